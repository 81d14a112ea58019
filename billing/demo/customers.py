"""Saved payment methods of the demo's tenants, through the sandbox's page and its signed webhooks as real ones are."""

from datetime import datetime

from billing.payments import apply, webhooks
from billing.payments.customers import saving
from billing.payments.providers.port import Provider
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.providers.sandbox.customers import DEBIT
from billing.storage.database import Database

# tenant -> the last four digits of what it has saved, in this order, and whether it is the default.
METHODS: dict[str, tuple[tuple[str, bool], ...]] = {
    "northwind": (("4242", True), (DEBIT, False)),
    "tidewater": (("4444", True),),
    "heliograph": (("4242", True),),
    "pebble": (("9995", True),),
}


def save(database: Database, provider: Provider, *, tenant: str, account_id: str, actor: str, at: datetime) -> None:
    """Save the tenant's methods, one after the other. Done before: nothing happens."""
    if not isinstance(provider, SandboxProvider):
        raise TypeError("the demo saves methods with the sandbox provider")
    for last4, makes_default in METHODS.get(tenant, ()):
        row = saving.start_setup(
            database,
            provider,
            now=at,
            account_id=account_id,
            form_key=f"demo-method-{last4}",
            actor=actor,
            return_url_of=lambda setup_id: f"http://127.0.0.1:8000/payment-methods/setups/{setup_id}",
            makes_default=makes_default,
            role="jobs",
        )
        if row.state == "saved":
            continue
        for event in provider.save(str(row.provider_session_id), now=at, last4=last4):
            with database.transaction("jobs") as session:
                stored = webhooks.receive(
                    session, now=at, provider=provider, raw_body=event.body, headers=event.headers
                )
            apply.apply_event(database, {provider.name: provider}, stored.id, now=at)
