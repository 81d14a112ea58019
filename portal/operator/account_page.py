"""One billing account: what it has, owes and burns, its documents and payments, who it is, and what happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from flask import g, render_template

from billing.accounts import approval_list, listing, profiles
from billing.assurance import timeline
from billing.invoicing import availability, invoices, parties
from billing.invoicing.invoices import InvoiceRow
from billing.kernel import periods
from billing.kernel.clock import get_zone
from billing.kernel.rounding import half_up_fraction
from billing.ledger import statement
from billing.metering.allocation_list import AllocationRow
from billing.payments import refunds, sessions
from billing.payments.disputes import listing as disputes
from billing.payments.disputes import states as dispute_states
from billing.rating import running, spending
from billing.rating.running import Part, RunningRow
from billing.rendering import formats, places
from portal import access, services
from portal.filters import reader_locale
from portal.operator import dunning, effects, words
from portal.tenant import words as tenant_words
from portal.tenant.query import path_key

_OPEN = ("issued", "part_paid", "overdue")


@dataclass(frozen=True, kw_only=True)
class Live:
    """A live allocation with the cost of its next hour, rounded for the reader; None without a price."""

    allocation: AllocationRow
    holds: str
    currency: str
    per_hour_minor: int | None


@dataclass(frozen=True, kw_only=True)
class Burn:
    """What runs costs an hour in one currency, rounded for the reader, and whether all of it has a price."""

    currency: str
    per_hour_minor: int
    count: int
    is_complete: bool


@dataclass(frozen=True, kw_only=True)
class Due:
    """What is to be paid in one currency."""

    currency: str
    minor: int
    count: int
    is_overdue: bool


@access.requires_staff("finance.read")
def accounts_detail(account_id: str) -> str:
    """Everything about one account on one page; times in its own zone."""
    now = services.now()
    with services.database().reading() as session:
        account = listing.get_account(session, path_key(account_id))
        g.zone = account.zone
        live = running.list_running(session, account.id, now=now, currency=account.currency)
        month = periods.label_of(now, "month", account.zone)
        opened = invoices.list_invoices(session, now=now, account_id=account.id, states=_OPEN, sort="due", limit=100)
        profile = profiles.get_profile(session, account.id)
        buyer = parties.of_buyer(profile)
        return render_template(
            "operator/accounts/detail.html",
            account=account,
            balances=availability.of_account(session, now=now, account_id=account.id),
            local_day=lambda at: at.astimezone(get_zone(account.zone)).date(),
            month=date.fromisoformat(f"{month}-01"),
            month_costs=spending.month_costs(session, account.id, [month]),
            lag=running.lag(session, account.id),
            live=[_live(row) for row in live],
            burns=_burns(live),
            dues=_dues(opened),
            open_invoices=opened,
            drafts=invoices.list_invoices(
                session, now=now, account_id=account.id, states=("draft", "in_review", "approved")
            ),
            invoice_count=invoices.count_invoices(session, now=now, account_id=account.id),
            payments=sessions.list_payments(session, account_id=account.id, limit=10),
            automatic=dunning.account_block(session, account.id),
            refunds=refunds.list_requests(session, account_id=account.id, limit=10),
            buyer=buyer,
            purchase_order=profile.purchase_order,
            country=places.country(buyer.country, locale=reader_locale()),
            history=words.timeline_of(timeline.of_account(session, account.id, limit=12)),
            movements=statement.movements(session, account_id=account.id, limit=8).rows,
            movement_title=tenant_words.movement,
            open_disputes=disputes.list_disputes(
                session, disputes.Filters(account_id=account.id, states=dispute_states.OPEN), limit=5, by_deadline=True
            ),
            approvals=[
                (row, effects.title_of(row))
                for row in approval_list.list_approvals(session, state="requested", account_id=account.id)
            ],
            may_correct="ledger.correct" in access.current_principal().staff_permissions,
            may_book="payments.manage" in access.current_principal().staff_permissions,
            may_set_terms="prices.change" in access.current_principal().staff_permissions,
            may_request="refund.request" in access.current_principal().staff_permissions,
        )


def _live(row: RunningRow) -> Live:
    exact = row.per_hour_minor
    return Live(
        allocation=row.allocation,
        holds=", ".join(_held(part) for part in row.parts),
        currency=row.currency,
        per_hour_minor=None if exact is None else half_up_fraction(exact),
    )


def _held(part: Part) -> str:
    """What is held of one meter: "8 GPUs", "96 cores", "768 GiB"."""
    count = formats.quantity(part.units_per_hour, locale=reader_locale())
    noun = part.unit.removesuffix("-hour")
    return f"{count} {noun}{'s' if noun in ('GPU', 'core') and part.units_per_hour != 1 else ''}"


def _burns(live: Sequence[RunningRow]) -> list[Burn]:
    found = []
    for currency in sorted({row.currency for row in live}):
        costs = [row.per_hour_minor for row in live if row.currency == currency]
        exact = sum((cost for cost in costs if cost is not None), Fraction(0))
        found.append(
            Burn(
                currency=currency,
                per_hour_minor=half_up_fraction(exact),
                count=len(costs),
                is_complete=None not in costs,
            )
        )
    return found


def _dues(opened: Sequence[InvoiceRow]) -> list[Due]:
    return [
        Due(
            currency=currency,
            minor=sum(row.due_minor for row in rows),
            count=len(rows),
            is_overdue=any(row.state == "overdue" for row in rows),
        )
        for currency in sorted({row.currency for row in opened})
        for rows in [[row for row in opened if row.currency == currency]]
    ]
