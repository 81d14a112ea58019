"""What was agreed says what its acts say: commitments, reservations, prices let into force, plans' versions, subscriptions.

Each act wrote its facts into the audit log, which is sealed; the rows that rating and invoicing go by must still say the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.assurance.report import Tally, count
from billing.catalog.commitments import is_withdrawn
from billing.catalog.tables import (
    CommitContract,
    Plan,
    PlanVersion,
    PriceBook,
    PriceBookActivation,
    Reservation,
    Subscription,
    SubscriptionWithdrawal,
)
from billing.invoicing.tables import InvoiceHeader, InvoiceLine
from billing.kernel.clock import to_rfc3339
from billing.metering import reserved_use
from billing.storage.tables import AuditRecord

NAME = "agreement"

Pairs = list[tuple[str, Any, Any]]
"""(field, what the row says, what the log says)."""


def check(session: Session, tally: Tally) -> None:
    """Look at every row of the five."""
    _check_commitments(session, tally)
    _check_reservations(session, tally)
    _check_activations(session, tally)
    _check_plans(session, tally)


def _check_commitments(session: Session, tally: Tally) -> None:
    acts = _acts(session, "commitment")
    sold = dict(
        session.execute(
            select(InvoiceLine.contract_id, InvoiceLine.invoice_id)
            .join(InvoiceHeader, InvoiceHeader.id == InvoiceLine.invoice_id)
            .where(
                InvoiceHeader.kind == "invoice",
                InvoiceHeader.state != "void",
                InvoiceHeader.billing_period_id.is_(None),
                InvoiceLine.contract_id.is_not(None),
            )
        ).all()
    )
    for row in _all(session, tally, CommitContract):
        own = acts.pop(row.id, {})
        made = own.get("commitment.create", ())
        if not made:
            tally.differ(row.id, "was agreed by no act")
            continue
        said, ended = made[0].facts, own.get("commitment.withdraw" if is_withdrawn(row) else "commitment.lapse", ())
        pairs: Pairs = [
            *_owned(row, made[0]),
            *((name, getattr(row, name), said.get(name)) for name in ("amount_minor", "currency", "families")),
            ("starts_at", to_rfc3339(row.starts_at), said.get("starts_at")),
            ("ends_at", to_rfc3339(row.ends_at), said.get("ends_at")),
            ("lapsed_at", row.lapsed_at, ended[-1].recorded_at if ended else None),
        ]
        if row.id in sold:
            pairs.append(("sale_invoice_id", row.sale_invoice_id, sold[row.id]))
        _compare(tally, row.id, pairs)
    for subject_id in acts:
        tally.differ(subject_id, "was agreed, and there is no such commitment")


def _check_reservations(session: Session, tally: Tally) -> None:
    acts = _acts(session, "reservation")
    for row in _all(session, tally, Reservation):
        own = acts.pop(row.id, {})
        made = own.get("reservation.create", ())
        if not made:
            tally.differ(row.id, "was agreed by no act")
            continue
        last = (*made, *own.get("reservation.end", ()))[-1]
        _compare(
            tally,
            row.id,
            [
                *_owned(row, made[0]),
                ("meter_code", row.meter_code, made[0].facts.get("meter")),
                ("variant", row.variant, made[0].facts.get("variant")),
                ("rate_base", str(row.rate_base), made[0].facts.get("rate_base")),
                ("starts_at", to_rfc3339(row.starts_at), made[0].facts.get("starts_at")),
                ("ends_at", _text(row.ends_at), last.facts.get("ends_at")),
            ],
        )
        if row.matched_at > row.starts_at:
            through = reserved_use.last_hour(session, row.id)
            if through is None or through < row.matched_at:
                tally.differ(row.id, f"says its hours are matched until {to_rfc3339(row.matched_at)}, and they are not")
    for subject_id in acts:
        tally.differ(subject_id, "was agreed, and there is no such reservation")


def _check_activations(session: Session, tally: Tally) -> None:
    """Prices that were in force before there were gates have no act of their own."""
    acts = {book_id: own for book_id, own in _acts(session, "price_book").items() if "prices.activate" in own}
    books = dict(session.execute(select(PriceBook.id, PriceBook.content_hash)).all())
    for row in _all(session, tally, PriceBookActivation):
        if row.price_book_id not in books:
            tally.differ(row.price_book_id, "is in force, and there is no such book")
        own = acts.pop(row.price_book_id, {}).get("prices.activate", ())
        if not own:
            if row.gate != "bootstrap":
                tally.differ(row.price_book_id, "was let into force by no act")
            continue
        said = own[0].facts
        _compare(
            tally,
            row.price_book_id,
            [
                *((name, getattr(row, name), said.get(name)) for name in ("gate", "trial_id", "approval_id")),
                ("actor", row.actor, own[0].actor),
                ("activated_at", row.activated_at, own[0].recorded_at),
                ("content_hash", books.get(row.price_book_id), said.get("content_hash")),
            ],
        )
    for subject_id in acts:
        tally.differ(subject_id, "was let into force, and its activation is not there")


def _check_plans(session: Session, tally: Tally) -> None:
    """Of versions and subscriptions that an act made: the oldest came with the installation."""
    codes = dict(session.execute(select(Plan.id, Plan.code)).all())
    said = {
        (plan_id, act.facts.get("version")): act.facts
        for plan_id, own in _acts(session, "plan").items()
        for act in own.get("plan.change", ())
    }
    for version in _all(session, tally, PlanVersion):
        facts = said.pop((version.plan_id, version.version), None)
        if facts is not None:
            pairs: Pairs = [
                ("book_code", version.book_code, facts.get("book")),
                ("valid_from", to_rfc3339(version.valid_from), facts.get("valid_from")),
                ("terms", version.terms, facts.get("terms", {})),
            ]
            _compare(tally, version.id, pairs)
    for plan_id, number in said:
        tally.differ(plan_id, f"has no version {number} any more")
    acts = _acts(session, "subscription")
    for row in _all(session, tally, Subscription):
        done = acts.pop(row.id, {})
        made = done.get("subscription.create", ())
        if made:
            pairs = [
                ("billing_account_id", row.billing_account_id, made[0].billing_account_id),
                ("plan", codes.get(row.plan_id), made[0].facts.get("plan")),
                ("valid_from", to_rfc3339(row.valid_from), made[0].facts.get("valid_from")),
                ("take", row.take, made[0].facts.get("take", 0)),
            ]
            _compare(tally, row.id, pairs)
        taken_back = session.get(SubscriptionWithdrawal, row.id)
        if (taken_back is not None) != bool(done.get("subscription.withdraw")):
            tally.differ(row.id, "is withdrawn in the log or in its row, not in both")
    for subject_id in acts:
        tally.differ(subject_id, "was made, and there is no such subscription")


def _acts(session: Session, subject_type: str) -> dict[str, Mapping[str, Sequence[AuditRecord]]]:
    """{subject: {act: its rows, oldest first}} of one type of subject, by the log's index."""
    found: dict[str, dict[str, list[AuditRecord]]] = {}
    query = select(AuditRecord).where(AuditRecord.subject_type == subject_type)
    for row in session.scalars(query.order_by(AuditRecord.subject_id, AuditRecord.id)):
        found.setdefault(row.subject_id, {}).setdefault(row.act, []).append(row)
    return dict(found)


def _all(session: Session, tally: Tally, table: Any) -> Iterator[Any]:
    rows = session.scalars(select(table).order_by(*table.__table__.primary_key)).all()
    tally.look(len(rows))
    tally.expect(table.__tablename__, len(rows), count(session, select(func.count()).select_from(table)))
    yield from rows


def _owned(row: CommitContract | Reservation, made: AuditRecord) -> Pairs:
    return [
        ("billing_account_id", row.billing_account_id, made.billing_account_id),
        ("actor", row.actor, made.actor),
        ("created_at", row.created_at, made.recorded_at),
    ]


def _compare(tally: Tally, subject_id: str, pairs: Pairs) -> None:
    other = [name for name, says, said in pairs if says != said]
    if other:
        tally.differ(subject_id, f"says other than the act that made it: {', '.join(other)}")


def _text(at: datetime | None) -> str | None:
    return None if at is None else to_rfc3339(at)
