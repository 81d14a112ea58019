"""/admin/payments/balance-transactions: the balance at the provider beside ours, and its movements. The operator's machines ask."""

from flask import Response

from billing.kernel.errors import Invalid
from billing.payments.cash import holdings, movement_list
from billing.payments.cash.holdings import Holding
from billing.payments.cash.movement_list import STATES, Filters, MovementRow
from portal import services
from portal.api import answers, cursors, keys, parameters
from portal.api.provider_balance_schemas import ProviderBalancePage, ProviderHolding, ProviderMovement
from portal.api.values import Money


@keys.needs_staff("finance.read")
def list_movements() -> Response:
    """What is held in each currency, and movements, newest first, by state, kind, currency, or any id that they carry."""
    parameters.refuse_unknown("state", "type", "currency", "id", "limit", "cursor")
    limit, offset = cursors.limit(), cursors.read("")
    if offset is not None and (not isinstance(offset, int) or offset < 0):
        raise Invalid(field="cursor", reason="bad_cursor")
    filters = Filters(
        state=parameters.choice("state", STATES, None),
        type=parameters.text("type"),
        currency=parameters.text("currency"),
        text=parameters.text("id"),
    )
    with services.database().reading() as session:
        held = holdings.list_holdings(session)
        rows = movement_list.list_movements(session, filters, limit=limit + 1, offset=offset or 0)
    return answers.of(
        ProviderBalancePage(
            balances=[_holding(one) for one in held],
            data=[_movement(row) for row in rows[:limit]],
            next_cursor=cursors.write("", (offset or 0) + limit) if len(rows) > limit else None,
        )
    )


def _holding(one: Holding) -> ProviderHolding:
    return ProviderHolding(
        currency=one.currency,
        ours=_money(one.ours_minor, one.currency),
        available=_money(one.available_minor, one.currency),
        pending=_money(one.pending_minor, one.currency),
        difference=_money(one.difference_minor, one.currency),
        unexplained=_money(one.unexplained_minor, one.currency),
        unexplained_count=one.unexplained_count,
        read_at=one.read_at,
    )


def _movement(row: MovementRow) -> ProviderMovement:
    return ProviderMovement(
        id=row.id,
        provider=row.provider,
        provider_id=row.provider_id,
        type=row.type,
        category=row.category,
        amount=_money(row.amount_minor, row.currency),
        fee=_money(row.fee_minor, row.currency),
        net=_money(row.net_minor, row.currency),
        presented=_money(row.presented_minor, row.presented_currency),
        exchange_rate=row.exchange_rate,
        created_at=row.created_at,
        available_at=row.available_at,
        state=row.state,
        reason=row.reason,
        account=row.account_code,
        payment_id=row.payment_id,
        refund_id=row.refund_id,
        source=row.source_id,
        refund=row.refund_ref,
        dispute=row.dispute_ref,
        payout=row.payout_ref,
        paid_out_by=row.taken_by_ref,
    )


def _money(minor: int, currency: str) -> Money:
    return Money(amount_minor=minor, currency=currency)
