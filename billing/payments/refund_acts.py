"""Acts on refunds at a provider beside sending (`acts`): asking how one stands, and cancelling one that waits for the customer.

As `acts`: commits twice, intent before the call and outcome after it, no network in between (Law 6). Asking has no intent.
"""

from collections.abc import Mapping
from datetime import datetime

from billing.kernel.errors import Conflict, Invalid
from billing.payments import foreign_refunds, refund_outcomes, refund_steps, refunds
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.foreign_refunds import CaseRow
from billing.payments.providers.port import Provider, RefundFacts
from billing.payments.refunds import RefundRow
from billing.payments.tables import RefundRequest
from billing.storage.database import Database, Role

_ASKED = ("sent", "unknown", "succeeded", "failed")


def refresh_refund(
    database: Database, providers: Mapping[str, Provider], *, now: datetime, refund_id: str, role: Role = "web"
) -> RefundRow:
    """Ask the provider how a refund stands, take over what it says, and return it; without an answer it is returned as it is.

    Raises NotFound, Conflict(nothing_to_ask) for one that was never sent, Invalid(provider_not_configured), ProviderMismatch.
    """
    provider, row, reference = _provider_of(database, providers, refund_id, role)
    try:
        facts = _fetch(provider, row, reference)
    except (OutcomeUnknown, ProviderRefused):
        return row
    if facts is None:
        return row
    return _record(database, provider, now, refund_id, facts, role)


def cancel_refund(
    database: Database,
    providers: Mapping[str, Provider],
    *,
    now: datetime,
    refund_id: str,
    actor: str,
    role: Role = "web",
) -> RefundRow:
    """Cancel a refund for which the provider waits for the customer's details: its money goes back to the wallet.

    Raises as `refresh_refund`, Conflict(refund_not_cancellable) where nothing is waited for, ProviderRefused and OutcomeUnknown.
    """
    provider, row, _reference = _provider_of(database, providers, refund_id, role)
    with database.transaction(role) as session:
        item, _head = refund_steps.lock_request(session, refund_id)
        if item.state != "sent" or item.provider_status != refund_outcomes.NEEDS_ACTION:
            raise Conflict(refund_id=item.id, state=item.state, reason="refund_not_cancellable")
        refund_steps.tell(session, now, item, "cancel_asked", actor, act="refund.cancel")
    facts = provider.cancel_refund(row.provider_refund_id or "")
    return _record(database, provider, now, refund_id, facts, role)


def refresh_case(
    database: Database, providers: Mapping[str, Provider], *, now: datetime, case_id: str, role: Role = "web"
) -> CaseRow:
    """Ask the provider how a refund of its own pages stands and keep the answer; without one the case is returned as it is.

    Raises NotFound, Invalid(provider_not_configured), ProviderMismatch.
    """
    with database.reading(role) as session:
        case = foreign_refunds.get_case(session, case_id)
    provider = _configured(providers, case.provider)
    try:
        facts = provider.fetch_refund(case.provider_refund_id)
    except (OutcomeUnknown, ProviderRefused):
        return case
    with database.transaction(role) as session:
        foreign_refunds.note(session, now=now, provider=case.provider, payment_id=case.payment_id, facts=facts)
        return foreign_refunds.get_case(session, case_id)


def _provider_of(
    database: Database, providers: Mapping[str, Provider], refund_id: str, role: Role
) -> tuple[Provider, RefundRow, str]:
    with database.reading(role) as session:
        row = refunds.get_request(session, refund_id=refund_id)
        if row.mode != "card" or row.state not in _ASKED:
            raise Conflict(refund_id=row.id, state=row.state, reason="nothing_to_ask")
        name, provider_payment_id = refunds.provider_of(session, session.get_one(RefundRequest, refund_id))
    return _configured(providers, name), row, provider_payment_id


def _configured(providers: Mapping[str, Provider], name: str) -> Provider:
    if name not in providers:
        raise Invalid(field="provider", value=name, reason="provider_not_configured")
    return providers[name]


def _fetch(provider: Provider, row: RefundRow, provider_payment_id: str) -> RefundFacts | None:
    if row.provider_refund_id is not None:
        return provider.fetch_refund(row.provider_refund_id)
    return next((found for found in provider.list_refunds(provider_payment_id) if found.reference == row.id), None)


def _record(
    database: Database, provider: Provider, now: datetime, refund_id: str, facts: RefundFacts, role: Role
) -> RefundRow:
    with database.transaction(role) as session:
        refund_outcomes.record_outcome(
            session, now=now, refund_id=refund_id, facts=facts, actor=f"provider:{provider.name}"
        )
        return refunds.get_request(session, refund_id=refund_id)
