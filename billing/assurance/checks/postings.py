"""Law 2: each charge stands in the ledger as its exact amount rounded once, and each posting anchors exactly its lines.

Postings, the entries they made and the lines they anchor are read side by side, transaction by transaction.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.assurance import streams
from billing.assurance.report import Tally, count
from billing.kernel import canonical
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.rating import price_facts, scales
from billing.rating.amounts import rounded_minor
from billing.rating.curves.terms import Curve, Scale
from billing.rating.derivations import curve_of
from billing.rating.tables import Charge, Counter, Posting, RatedLine

NAME = "posting"
KINDS = ("usage_debit", "opening_charge", "closing_charge")


def check(session: Session, tally: Tally, account_id: str | None = None) -> None:
    """Look at every posting, every entry that bills usage, and the anchor of every posting's transaction."""
    looked = 0
    for each in streams.account_ids(session, account_id):
        looked += _check_charges(session, tally, each)
        _check_entries(session, tally, each)
        check_anchors(session, tally, each)
    there = select(func.count()).select_from(Posting)
    if account_id is not None:
        there = there.join(Charge, Charge.id == Posting.charge_id).where(Charge.billing_account_id == account_id)
    tally.expect("postings", looked, count(session, there))


def check_anchors(session: Session, tally: Tally, account_id: str) -> None:
    """The Merkle root that a posting put into the chain is the root of its lines' hashes, in their order (Law 4)."""
    lines = (
        select(LedgerTransaction.chain_seq, LedgerTransaction.id, LedgerTransaction.anchor_hash, RatedLine.line_hash)
        .outerjoin(Posting, Posting.transaction_id == LedgerTransaction.id)
        .outerjoin(
            RatedLine,
            (RatedLine.charge_id == Posting.charge_id)
            & (RatedLine.line_seq > Posting.from_line_seq)
            & (RatedLine.line_seq <= Posting.to_line_seq),
        )
        .where(LedgerTransaction.billing_account_id == account_id, LedgerTransaction.type == "posting")
        .order_by(LedgerTransaction.chain_seq, RatedLine.line_seq)
    )
    anchored = 0
    for (_, transaction_id, anchor_hash), rows in streams.grouped(streams.stream(session, lines), lambda row: row[:3]):
        hashes = [row.line_hash for row in rows if row.line_hash is not None]
        anchored += len(hashes)
        tally.look()
        if _root(hashes) != anchor_hash:
            sentence = f"anchors other lines than the {len(hashes)} it posted"
            tally.differ(transaction_id, sentence, account=account_id, lines=len(hashes))
    posted = session.execute(
        select(AccountHead.posted_line_seq).where(AccountHead.billing_account_id == account_id)
    ).scalar()
    if anchored != (posted or 0):
        tally.differ(account_id, f"its head says {posted} lines are posted, the ledger anchors {anchored}")


def _root(hashes: list[str]) -> str:
    """Their Merkle root; no root at all when one of them is not even a hash."""
    try:
        return canonical.merkle_root(hashes)
    except ValueError:
        return ""


def _check_charges(session: Session, tally: Tally, account_id: str) -> int:
    """Each charge's postings follow each other, end at what the charge says, and each is R(curve at its quantity)."""
    statement = (
        select(
            Charge.id,
            Charge.currency,
            Charge.before_base,
            Charge.quantity_base,
            Charge.posted_minor,
            Charge.posting_seq,
            Charge.counter_id,
            Counter.price_version_id,
            Counter.scale,
            Posting.id.label("posting_id"),
            Posting.seq,
            Posting.from_line_seq,
            Posting.to_line_seq,
            Posting.quantity_base.label("at_base"),
            Posting.increment_minor,
            Posting.posted_minor.label("after_minor"),
            Posting.currency.label("posting_currency"),
        )
        .join(Counter, Counter.id == Charge.counter_id)
        .outerjoin(Posting, Posting.charge_id == Charge.id)
        .where(Counter.billing_account_id == account_id)
        .order_by(Charge.id, Posting.seq)
    )
    unposted = _unposted(session, account_id)
    curves = _Curves(session, account_id)
    looked = 0
    for _, rows in streams.grouped(streams.stream(session, statement), lambda row: row[0]):
        charge = rows[0]
        opened = curves.opened(charge)
        after_minor = last_line_seq = at_base = 0
        postings = [row for row in rows if row.posting_id is not None]
        for seq, row in enumerate(postings, start=1):
            looked += 1
            tally.look()
            is_next = row.seq == seq and row.from_line_seq >= last_line_seq
            if not is_next or row.after_minor != after_minor + row.increment_minor:
                tally.differ(row.posting_id, f"does not follow the posting before it of {charge.id}", seq=row.seq)
            right = rounded_minor(curves.at(charge, row.to_line_seq), charge.before_base, row.at_base, opened)
            if row.after_minor != right:
                sentence = (
                    f"holds {row.after_minor} minor units of {charge.id}, its curve at {row.at_base} makes {right}"
                )
                tally.differ(row.posting_id, sentence, posted_minor=row.after_minor, exact_minor=right)
            if row.posting_currency != charge.currency:
                tally.differ(
                    row.posting_id, f"is in {row.posting_currency}, its charge {charge.id} in {charge.currency}"
                )
            after_minor, last_line_seq, at_base = row.after_minor, row.to_line_seq, row.at_base
        if (charge.posted_minor, charge.posting_seq) != (after_minor, len(postings)):
            sentence = f"says {charge.posted_minor} posted in {charge.posting_seq}, its postings {after_minor} in {len(postings)}"
            tally.differ(charge.id, sentence, charge_minor=charge.posted_minor, postings_minor=after_minor)
        if charge.quantity_base != at_base + unposted.get(charge.id, 0):
            sentence = (
                f"counts {charge.quantity_base}, of which {at_base} is posted and {unposted.get(charge.id, 0)} waits"
            )
            tally.differ(charge.id, sentence, account=account_id)
    return looked


def _check_entries(session: Session, tally: Tally, account_id: str) -> None:
    """What postings say they added is what the entries of their transactions moved, charge by charge, and nothing more."""
    entries = (
        select(LedgerTransaction.chain_seq, LedgerTransaction.id, LedgerEntry.__table__)
        .join(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
        .where(LedgerTransaction.billing_account_id == account_id, LedgerEntry.kind.in_(KINDS))
        .order_by(LedgerTransaction.chain_seq)
    )
    postings = (
        select(
            LedgerTransaction.chain_seq,
            LedgerTransaction.source_id,
            Posting.id,
            Posting.charge_id,
            Posting.to_line_seq,
            Posting.increment_minor,
            Posting.currency,
        )
        .join(Posting, Posting.transaction_id == LedgerTransaction.id)
        .where(LedgerTransaction.billing_account_id == account_id)
        .order_by(LedgerTransaction.chain_seq)
    )
    pairs = _beside(streams.stream(session, postings), streams.stream(session, entries))
    for _, posted, moved in pairs:
        found: dict[str, int] = {}
        for row in moved:
            tally.look()
            charge_id = str(row.detail.get("charge_id"))
            sign = 1 if row.debit_owner == account_id else -1
            found[charge_id] = found.get(charge_id, 0) + sign * row.amount_minor
        for row in posted:
            if row.source_id.rpartition(":")[2] != str(row.to_line_seq):  # the chain's hash covers where the run ended
                tally.differ(
                    row.id, f"says its run ended at line {row.to_line_seq}, its transaction says {row.source_id}"
                )
            in_ledger = found.pop(row.charge_id, 0)
            if in_ledger != row.increment_minor:
                sentence = f"says it added {row.increment_minor} of {row.charge_id}, the ledger moved {in_ledger}"
                tally.differ(row.id, sentence, posting_minor=row.increment_minor, ledger_minor=in_ledger)
        for charge_id, minor in found.items():
            sentence = f"bills {minor} minor units of {charge_id} without a posting"
            tally.differ(moved[0].transaction_id, sentence, charge=charge_id)


def _beside(left: streams.Rows, right: streams.Rows) -> Iterator[tuple[int, list[Any], list[Any]]]:
    """Groups of two streams that rise by their first column, side by side."""
    lefts, rights = streams.grouped(left, lambda row: row[0]), streams.grouped(right, lambda row: row[0])
    one, other = next(lefts, None), next(rights, None)
    while one is not None or other is not None:
        key = min(group[0] for group in (one, other) if group is not None)
        in_left = one[1] if one is not None and one[0] == key else []
        in_right = other[1] if other is not None and other[0] == key else []
        yield key, in_left, in_right
        one = next(lefts, None) if in_left else one
        other = next(rights, None) if in_right else other


def _unposted(session: Session, account_id: str) -> dict[str, int]:
    """{charge: quantity} of the account's lines that no posting covers yet; summed here, as SQLite keeps quantities as text."""
    waiting: dict[str, int] = {}
    statement = (
        select(RatedLine.charge_id, RatedLine.quantity_base)
        .join(AccountHead, AccountHead.billing_account_id == RatedLine.billing_account_id)
        .where(RatedLine.billing_account_id == account_id, RatedLine.line_seq > AccountHead.posted_line_seq)
    )
    for charge_id, quantity_base in streams.stream(session, statement):
        waiting[charge_id] = waiting.get(charge_id, 0) + quantity_base
    return waiting


class _Curves:
    """Curves of one account's counters as they were at a line: by price version and share of the period, made once."""

    def __init__(self, session: Session, account_id: str) -> None:
        self._session = session
        self._histories = scales.rescaled(session, account_id=account_id)
        self._made: dict[tuple[str, Scale | None], Curve] = {}

    def at(self, charge: Any, line_seq: int) -> Curve:
        """The curve of the charge's counter once that line was counted."""
        history = self._histories.get(charge.counter_id)
        return self._get(charge.price_version_id, history.at(line_seq) if history else scales.read_scale(charge.scale))

    def opened(self, charge: Any) -> Curve | None:
        """The curve when the charge opened, where its counter was rescaled and earlier generations came before it."""
        history = self._histories.get(charge.counter_id)
        if history is None or not charge.before_base:
            return None
        first = select(func.min(RatedLine.line_seq)).where(RatedLine.charge_id == charge.id)
        return self._get(charge.price_version_id, history.before(self._session.execute(first).scalar() or 0))

    def _get(self, price_version_id: str, scale: Scale | None) -> Curve:
        key = (price_version_id, scale)
        if key not in self._made:
            price = price_facts.load(self._session, [price_version_id])[price_version_id]
            self._made[key] = curve_of(price, scale)
        return self._made[key]
