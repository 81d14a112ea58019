"""Our link beside what the provider has: what differs, in stable words. Nothing is changed by looking."""

from dataclasses import dataclass

from billing.payments.customers import copies, links, listing, methods
from billing.payments.customers.copies import Copy
from billing.payments.customers.links import LinkRow
from billing.payments.customers.methods import MethodRow
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers.port import Provider
from billing.payments.providers.ports.customers import CustomerFacts, MethodFacts
from billing.storage.database import Database, Role

# customer_of_another_account, customer_other_mode, customer_deleted come from `links.why_unfit`.
MISSING, UNMARKED = "customer_missing", "customer_unmarked"
METHODS, DEFAULT = "methods_differ", "default_differs"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both sides. `there` is None where the provider has no such customer; `differences` is empty where all is well."""

    link: LinkRow
    ours: tuple[MethodRow, ...]
    there: CustomerFacts | None
    methods_there: tuple[MethodFacts, ...]
    differences: tuple[str, ...]
    trouble: str | None = None


def compare(database: Database, provider: Provider, *, account_id: str, role: Role = "web") -> Comparison:
    """Ask the provider for the account's customer. Where it does not answer, `trouble` says so. Raises NotFound for no account."""
    with database.reading(role) as session:
        link = listing.get_link(session, account_id=account_id, provider=provider.name)
        ours = tuple(methods.list_methods(session, account_id=account_id, provider=provider.name))
    if link.customer_id is None:
        return Comparison(link=link, ours=ours, there=None, methods_there=(), differences=())
    asked = copies.Asked(account_id=account_id, provider=provider.name, customer_id=link.customer_id, copies=0)
    try:
        found = copies.fetch(provider, asked)
    except (OutcomeUnknown, ProviderRefused) as trouble:
        return Comparison(
            link=link, ours=ours, there=None, methods_there=(), differences=(), trouble=str(trouble)[:200]
        )
    return Comparison(
        link=link,
        ours=ours,
        there=found.facts,
        methods_there=found.methods,
        differences=tuple(_differences(link, ours, found, is_live=provider.is_live)),
    )


def _differences(link: LinkRow, ours: tuple[MethodRow, ...], found: Copy, *, is_live: bool) -> list[str]:
    if found.facts is None:
        return [MISSING]
    unfit = links.why_unfit(found.facts, account_id=link.account_id, is_live=is_live)
    if unfit is not None:
        return [unfit]
    differences = [UNMARKED] if found.facts.reference is None else []
    if {row.provider_method_id for row in ours} != {facts.id for facts in found.methods}:
        differences.append(METHODS)
    default = next((row.provider_method_id for row in ours if row.is_default), None)
    if default != found.facts.default_method_id:
        differences.append(DEFAULT)
    return differences
