"""GET /billing/statement: every movement of the account with its cause, and the proof that they make the balance."""

from flask import Response

from billing.kernel.errors import Invalid
from billing.ledger import explanation, statement
from billing.ledger.entries import KINDS
from billing.ledger.statement import MovementRow
from portal import services
from portal.api import answers, cursors, keys, parameters
from portal.api.reconciliation_schemas import Movement, StatementPage
from portal.api.values import Money


@keys.needs("billing.read")
def show_statement() -> Response:
    """Newest first, of what was recorded from `from` until before `to`, in one currency (the account's own by default)."""
    parameters.refuse_unknown("account", "currency", "kind", "from", "to", "limit", "cursor")
    limit = cursors.limit()
    from_at, to_at = parameters.instant("from"), parameters.instant("to")
    if from_at is not None and to_at is not None and to_at <= from_at:
        raise Invalid(field="to", reason="end_before_start")
    kind = parameters.choice("kind", sorted(KINDS), None)
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        currency = parameters.text("currency") or account.currency
        before = cursors.read(account.id)
        if before is not None and not isinstance(before, int):
            raise Invalid(field="cursor", reason="bad_cursor")
        summary = explanation.summarize(session, account_id=account.id, currency=currency, from_at=from_at, to_at=to_at)
        page = statement.movements(
            session,
            account_id=account.id,
            currency=currency,
            kind=kind,
            after_seq=summary.first_seq,
            before_seq=min(before or summary.last_seq + 1, summary.last_seq + 1),
            limit=limit,
        )
    return answers.of(
        StatementPage(
            account=account.code,
            currency=currency,
            opening=Money(amount_minor=summary.opening_minor, currency=currency),
            by_kind={name: Money(amount_minor=minor, currency=currency) for name, minor in summary.by_kind.items()},
            closing=Money(amount_minor=summary.closing_minor, currency=currency),
            data=[_movement(row) for row in page.rows],
            next_cursor=cursors.write(account.id, page.next_before_seq) if page.next_before_seq else None,
        )
    )


def _movement(row: MovementRow) -> Movement:
    return Movement(
        transaction=row.transaction_id,
        sequence=row.chain_seq,
        type=row.type,
        source_type=row.source_type,
        source_id=row.source_id,
        recorded_at=row.recorded_at,
        effective_at=row.effective_at,
        memo=row.memo,
        amount=Money(amount_minor=row.amount_minor, currency=row.currency),
        balance=Money(amount_minor=row.balance_minor, currency=row.currency),
        by_kind=row.by_kind,
        references={name: list(values) for name, values in row.references.items()},
    )
