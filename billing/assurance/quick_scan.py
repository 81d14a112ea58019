"""Hashing an account's usage and lines again at the speed of hashing: the database lays out the bytes, Python hashes and compares.

A hash that agrees proves its row. Where anything at all does not, the scan gives up and the checks look row by row: they alone say
what is wrong, so that this file has no sentence of its own.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.assurance.checks import lines
from billing.assurance.report import Tally
from billing.kernel import canonical

_BATCH = 5_000
# How each dialect lays out text, writes text as JSON, and says instants and quantities.
_SQLITE = {"format": "printf", "text": "json_quote({})", "micros": "{}", "digits": "{}"}
_POSTGRESQL = {
    "format": "format",
    "text": "coalesce(to_json({})::text, 'null')",
    "micros": "(extract(epoch from {}) * 1000000)::bigint",
    "digits": "{}",
}


def usage(session: Session, account_id: str) -> int | None:
    """How many usage records were proven; None where one is not as it should be."""
    head = session.execute(
        select(AccountHead.usage_seq, AccountHead.rated_usage_seq).where(AccountHead.billing_account_id == account_id)
    ).one_or_none()
    if head is None or head.rated_usage_seq > head.usage_seq:
        return None
    odd = session.execute(text(_ODD_USAGE), {"account": account_id, "rated": head.rated_usage_seq}).scalar()
    if odd:
        return None
    expected = 0
    for rows in _batches(session, _usage_sql(_dialect(session)), account_id):
        for seq, told, record_hash in rows:
            expected += 1
            if seq != expected or sha256(told.encode()).hexdigest() != record_hash:
                return None
    return expected if expected == head.usage_seq else None


def rated_lines(session: Session, account_id: str) -> tuple[int, int] | None:
    """(rows proven: lines, counters and charges; postings whose anchor is their lines'); None where one is not as it should be."""
    head = session.execute(
        select(AccountHead.line_seq, AccountHead.posted_line_seq).where(AccountHead.billing_account_id == account_id)
    ).one_or_none()
    if head is None:
        return None
    sums, anchors, expected = lines._Sums(), _Anchors(session, account_id), 0
    counters, charges = sums.counters, sums.charges
    for rows in _batches(session, _line_sql(_dialect(session)), account_id):
        for told, line_hash, agrees, seq, counter_id, counter_seq, charge_id, quantity, before in rows:
            expected += 1
            stands, last_seq = counters.get(counter_id, (0, 0))
            if (
                seq != expected
                or not agrees
                or counter_seq != last_seq + 1
                or int(before) != stands
                or sha256(told.encode()).hexdigest() != line_hash
            ):
                return None
            quantity_base = int(quantity)
            counters[counter_id] = (stands + quantity_base, counter_seq)
            charges[charge_id] = charges.get(charge_id, 0) + quantity_base
            anchors.add(seq, charge_id, line_hash)
    if head.line_seq != expected or head.posted_line_seq != anchors.posted or not anchors.are_right():
        return None
    tally = Tally(check=lines.NAME)
    rows_beside = lines._check_counters(session, tally, account_id, sums) + lines._check_charges(
        session, tally, account_id, sums
    )
    return None if tally.differences else (expected + rows_beside, anchors.count)


class _Anchors:
    """The Merkle root of each posting, made while its lines pass by in the account's order."""

    def __init__(self, session: Session, account_id: str) -> None:
        rows = session.execute(text(_POSTINGS), {"account": account_id}).all()
        self.count = len({row.transaction_id for row in rows})
        self.posted = 0
        self._right = True
        self._runs: dict[tuple[int, int], dict[str, str]] = {}
        self._roots: dict[str, str] = {}
        self._hashes: dict[str, list[str]] = {}
        for row in rows:
            self._roots[row.transaction_id] = row.anchor_hash
            if row.charge_id is None:
                self._right = False  # a posting's transaction without a posting
            else:
                self._runs.setdefault((row.from_line_seq, row.to_line_seq), {})[row.charge_id] = row.transaction_id
        self._waiting = iter(sorted(self._runs))
        self._run: tuple[int, int] = (0, 0)
        self._of_charge: dict[str, str] = {}

    def add(self, seq: int, charge_id: str, line_hash: str) -> None:
        """One more line."""
        while seq > self._run[1]:
            self._close()
            following = next(self._waiting, None)
            if following is None:
                self._run, self._of_charge = (self._run[1], 1 << 62), {}  # not posted yet
                return
            self._right = self._right and following[0] == self._run[1]
            self._run, self._of_charge = following, self._runs[following]
        if self._of_charge:
            transaction_id = self._of_charge.get(charge_id)
            if transaction_id is None:
                self._right = False
            else:
                self.posted += 1
                self._hashes.setdefault(transaction_id, []).append(line_hash)

    def are_right(self) -> bool:
        """Whether every posting anchors the lines it covers, and nothing was left over."""
        self._close()
        return self._right and next(self._waiting, None) is None and not self._roots

    def _close(self) -> None:
        for transaction_id, hashes in self._hashes.items():
            self._right = self._right and self._roots.pop(transaction_id, None) == canonical.merkle_root(hashes)
        self._hashes = {}


def _dialect(session: Session) -> dict[str, str]:
    return _SQLITE if session.get_bind().dialect.name == "sqlite" else _POSTGRESQL


def _batches(session: Session, sql: str, account_id: str) -> Iterator[Any]:
    statement = text(sql).execution_options(yield_per=_BATCH)
    with session.connection().execute(statement, {"account": account_id}) as rows:
        yield from rows.partitions(_BATCH)


def _usage_sql(spelled: dict[str, str]) -> str:
    """(seq, the canonical bytes of the record, its stored hash), in order; the bytes are those of `records.record_hash`."""

    def quoted(*names: str) -> str:
        return ", ".join(spelled["text"].format(f"u.{name}") for name in names)

    plain = (
        "u.variant = '' AND u.mode = 'on_demand' AND u.route IS NULL AND u.route_kind IS NULL AND u.reseller_id IS NULL "
        "AND u.corrects_id IS NULL"
    )
    more = quoted("variant", "mode", "route", "route_kind", "reseller_id", "corrects_id")
    start, end = spelled["micros"].format("u.start_at"), spelled["micros"].format("u.end_at")
    layout = '["usage-record/%s","%s","%s",%s,%s,%s,"%s",%s,%s,"%s",%s,%s,%s,%s,%s%s]'
    fields = (
        f"CASE WHEN {plain} THEN '1' ELSE '2' END, u.id, u.billing_account_id, u.usage_seq, {quoted('source', 'source_id')}, "
        f"u.meter_code, {start}, {end}, {spelled['digits'].format('u.quantity_base')}, "
        f"{quoted('allocation_id', 'project_id', 'member_id', 'resource', 'tags')}, "
        f"CASE WHEN {plain} THEN '' ELSE {spelled['format']}(',%s,%s,%s,%s,%s,%s', {more}) END"
    )
    return (
        f"SELECT u.usage_seq, {spelled['format']}('{layout}', {fields}), u.record_hash "  # noqa: S608  our own names
        "FROM usage_records u WHERE u.billing_account_id = :account ORDER BY u.usage_seq"
    )


def _line_sql(spelled: dict[str, str]) -> str:
    """(canonical bytes, stored hash, whether usage and price agree, seq, counter, its seq, charge, quantity, before), in order.

    The bytes are those of `derivations.line_hash`.
    """
    layout = '["rated-line/1","%s","%s",%s,"%s","%s",%s,"%s","%s","%s","%s","%s","%s",%s,"%s","%s"]'
    fields = (
        "l.id, l.billing_account_id, l.line_seq, l.usage_record_id, l.counter_id, l.counter_seq, l.charge_id, l.price_version_id, "
        f"l.quantity_base, l.before_base, l.amount_micro, l.currency, {spelled['micros'].format('l.rated_at')}, u.record_hash, "
        "p.price_hash"
    )
    return (
        f"SELECT {spelled['format']}('{layout}', {fields}), l.line_hash, "  # noqa: S608
        "u.billing_account_id = l.billing_account_id AND u.quantity_base = l.quantity_base AND p.currency = l.currency, "
        "l.line_seq, l.counter_id, l.counter_seq, l.charge_id, l.quantity_base, l.before_base "
        "FROM rated_usage_lines l JOIN usage_records u ON u.id = l.usage_record_id "
        "JOIN price_versions p ON p.id = l.price_version_id WHERE l.billing_account_id = :account ORDER BY l.line_seq"
    )


_POSTINGS = (
    "SELECT t.id AS transaction_id, t.anchor_hash, p.charge_id, p.from_line_seq, p.to_line_seq FROM ledger_transactions t "
    "LEFT JOIN postings p ON p.transaction_id = t.id WHERE t.billing_account_id = :account AND t.type = 'posting'"
)
# Rated or waiting, never both, never neither, and neither behind what rating has looked at: as checks.usage says it.
_ODD_USAGE = (
    "SELECT count(*) FROM usage_records u LEFT JOIN rated_usage_lines l ON l.usage_record_id = u.id "
    "LEFT JOIN unrated_usage w ON w.usage_record_id = u.id WHERE u.billing_account_id = :account AND "
    "(CASE WHEN l.id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN w.reason IS NULL THEN 0 ELSE 1 END) "
    "<> (CASE WHEN u.usage_seq <= :rated THEN 1 ELSE 0 END)"
)
