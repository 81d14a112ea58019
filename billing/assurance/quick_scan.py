"""Hashing an account's usage and lines again at the speed of hashing: plain columns from the driver, two streams side by side.

A hash that agrees proves its row. Where anything at all does not, the scan gives up and the checks look row by row: they alone say
what is wrong, so that this file has no sentence of its own.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from json.encoder import encode_basestring
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.assurance.checks import lines
from billing.assurance.report import Tally
from billing.catalog.tables import PriceVersion
from billing.kernel import canonical
from billing.kernel.ids import new_id
from billing.metering.records import PLAIN
from billing.rating.derivations import line_hash as hash_of_line
from billing.rating.tables import UnratedUsage

_BATCH = 5_000
_MOST_WAITING = 100_000  # records that wait for their line while lines pass by; memory stays flat
_LAST_EXACT_MICROS = 2**32 * 10**6  # in 2106: up to then a double holds an instant to the microsecond
# How each dialect names a parameter, and says instants as microseconds and quantities as text.
_SQLITE = {"account": ":account", "micros": "{}", "digits": "{}"}
_POSTGRESQL = {
    "account": "%(account)s",
    "micros": "CAST(date_part('epoch', {}) * 1000000 AS bigint)",
    "digits": "CAST({} AS text)",
}


@dataclass(frozen=True, kw_only=True)
class Proven:
    """How many rows were proven: usage records; lines with their counters and charges; postings whose anchor is their lines'."""

    usage: int
    lines: int
    postings: int


def prove(session: Session, account_id: str) -> Proven | None:
    """Every usage record and line of the account, and what follows from them; None where one is not as it should be."""
    head = session.get(AccountHead, account_id)
    if head is None or head.rated_usage_seq > head.usage_seq:
        return None
    usage = _Usage(session, account_id, head.rated_usage_seq)
    sums, anchors = lines._Sums(), _Anchors(session, account_id)
    found = _prove_lines(session, account_id, usage, sums, anchors)
    if found is None or not usage.is_whole(head.usage_seq):
        return None
    if head.line_seq != found or not anchors.are_right() or head.posted_line_seq != anchors.posted:
        return None
    tally = Tally(check=lines.NAME)
    beside = lines._check_counters(session, tally, account_id, sums)
    beside += lines._check_charges(session, tally, account_id, sums)
    if tally.differences:
        return None
    return Proven(usage=usage.count, lines=found + beside, postings=anchors.count)


def _prove_lines(
    session: Session, account_id: str, usage: "_Usage", sums: lines._Sums, anchors: "_Anchors"
) -> int | None:
    """How many lines there are; each adds its usage's quantity to its counter and charge, and hashes to what it says."""
    prices = {row.id: (row.currency, row.price_hash) for row in session.execute(_PRICES)}
    counters, charges, take, expected = sums.counters, sums.charges, usage.take, 0
    for rows in _batches(session, _LINES, account_id):
        for row in rows:
            _, _, seq, usage_id, counter_id, counter_seq, charge_id, price_id, quantity, before, *_ = row
            currency, rated_at_micros, line_hash = row[11:]
            expected += 1
            stands, last_seq = counters.get(counter_id, (0, 0))
            record_hash, used = take(usage_id)
            price_currency, price_hash = prices[price_id]
            if (
                seq != expected
                or counter_seq != last_seq + 1
                or quantity != used
                or int(before) != stands
                or currency != price_currency
                or rated_at_micros > _LAST_EXACT_MICROS
                or hash_of_line(row[:12], rated_at_micros, record_hash, price_hash) != line_hash
            ):
                return None
            quantity_base = int(quantity)
            counters[counter_id] = (stands + quantity_base, counter_seq)
            charges[charge_id] = charges.get(charge_id, 0) + quantity_base
            if seq > anchors.until:
                anchors.go_on(seq)
            if anchors.hashes:
                anchors.hashes[charge_id].append(line_hash)
    return expected


class _Usage:
    """The account's usage records in order, each hashed as it passes by and kept until its line takes it."""

    def __init__(self, session: Session, account_id: str, rated_seq: int) -> None:
        self.count = 0
        self._account_id = account_id
        self._rated_seq = rated_seq
        self._batches = _batches(session, _USAGE, account_id)
        self._kept: dict[str, tuple[str, str]] = {}  # record -> (its hash, its quantity)
        waiting = select(UnratedUsage.usage_record_id).where(UnratedUsage.billing_account_id == account_id)
        self._waiting = set(session.scalars(waiting))

    def take(self, usage_id: str) -> tuple[str, str]:
        """(hash, quantity) of the record that a line rates. Raises LookupError where there is none, or it was taken before."""
        found = self._kept.pop(usage_id, None)
        while found is None:
            self._read(next(self._batches, None))
            found = self._kept.pop(usage_id, None)
        return found

    def is_whole(self, usage_seq: int) -> bool:
        """Whether the records are all there up to that number, and those without a line are those that wait for a price."""
        for rows in self._batches:
            self._read(rows)
        return self.count == usage_seq and self._kept.keys() == self._waiting

    def _read(self, rows: Any) -> None:
        """Prove the records of a batch. Raises LookupError when there are none, or one is not as it should be."""
        if rows is None or len(self._kept) > _MOST_WAITING:
            raise LookupError(self._account_id)
        quoted, account_id, kept, count = encode_basestring, self._account_id, self._kept, self.count
        for row in rows:
            record_id, seq, source, source_id, meter, start, end, quantity, allocation, project, member, *_ = row
            resource, tags, record_hash = row[11:14]
            count += 1
            version, more = 1, ""
            if row[14:] != PLAIN:
                version, more = 2, "".join(map(_after, row[14:]))
            told = (
                f'["usage-record/{version}","{record_id}","{account_id}",{seq},{quoted(source)},{quoted(source_id)},"{meter}"'
                f',{start},{end},"{quantity}",{_or_null(allocation)},{_or_null(project)},{_or_null(member)}'
                f",{quoted(resource)},{quoted(tags)}{more}]"
            )
            if seq != count or end > _LAST_EXACT_MICROS or sha256(told.encode()).hexdigest() != record_hash:
                raise LookupError(record_id)
            if count <= self._rated_seq:
                kept[record_id] = (record_hash, quantity)
        self.count = count


def _or_null(part: str | None) -> str:
    return "null" if part is None else encode_basestring(part)


def _after(part: str | None) -> str:
    return "," + _or_null(part)


class _Anchors:
    """The Merkle root of each posting, made while its lines pass by in the account's order."""

    def __init__(self, session: Session, account_id: str) -> None:
        rows = session.execute(text(_POSTINGS), {"account": account_id}).all()
        self.count = len({row.transaction_id for row in rows})
        self.posted = 0
        self._right = True
        self._runs: dict[tuple[int, int], dict[str, str]] = {}
        self._roots: dict[str, str] = {}
        for row in rows:
            self._roots[row.transaction_id] = row.anchor_hash
            if row.charge_id is None:
                self._right = False  # a posting's transaction without a posting
            else:
                self._runs.setdefault((row.from_line_seq, row.to_line_seq), {})[row.charge_id] = row.transaction_id
        self._waiting = iter(sorted(self._runs))
        self._of_transaction: dict[str, list[str]] = {}
        self.until = 0  # the last line of the run under way
        self.hashes: dict[str, list[str]] = {}  # charge -> the hashes of its run's lines; empty behind what is posted

    def go_on(self, seq: int) -> None:
        """Close the run under way and open the one that covers the line of that number."""
        while seq > self.until:
            self._close()
            following = next(self._waiting, None)
            if following is None:
                self.until, self.hashes = 1 << 62, {}  # not posted yet
                return
            self._right = self._right and following[0] == self.until
            self.until = following[1]
            transactions = self._runs[following]
            self._of_transaction = {transaction_id: [] for transaction_id in transactions.values()}
            self.hashes = {charge: self._of_transaction[transactions[charge]] for charge in transactions}

    def are_right(self) -> bool:
        """Whether every posting anchors the lines it covers, and nothing was left over."""
        self._close()
        return self._right and next(self._waiting, None) is None and not self._roots

    def _close(self) -> None:
        for transaction_id, hashes in self._of_transaction.items():
            self.posted += len(hashes)
            self._right = self._right and self._roots.pop(transaction_id, None) == canonical.merkle_root(hashes)
        self._of_transaction = {}


def _batches(session: Session, sql: str, account_id: str) -> Iterator[list[Any]]:
    """The statement's rows straight from the driver, some thousands at a time."""
    connection = session.connection()
    driver: Any = connection.connection.driver_connection
    is_sqlite = connection.dialect.name == "sqlite"
    spelled = _SQLITE if is_sqlite else _POSTGRESQL
    written = sql.format(
        micros=_Spelling(spelled["micros"]), digits=_Spelling(spelled["digits"]), account=spelled["account"]
    )
    with closing(driver.cursor() if is_sqlite else driver.cursor(name=new_id("scan"))) as cursor:
        cursor.execute(written, {"account": account_id})
        while rows := cursor.fetchmany(_BATCH):
            yield rows


class _Spelling:
    """A column of table `t` as the dialect says it: `{micros[start_at]}`."""

    def __init__(self, layout: str) -> None:
        self._layout = layout

    def __getitem__(self, name: str) -> str:
        return self._layout.format(f"t.{name}")


_PRICES = select(PriceVersion.id, PriceVersion.currency, PriceVersion.price_hash)
_USAGE = (
    "SELECT t.id, t.usage_seq, t.source, t.source_id, t.meter_code, {micros[start_at]}, {micros[end_at]}, "
    "{digits[quantity_base]}, t.allocation_id, t.project_id, t.member_id, t.resource, t.tags, t.record_hash, t.variant, t.mode, "
    "t.route, t.route_kind, t.reseller_id, t.corrects_id FROM usage_records t "
    "WHERE t.billing_account_id = {account} ORDER BY t.usage_seq"
)
# In the order in which a line is hashed, up to its time; then its hash.
_LINES = (
    "SELECT t.id, t.billing_account_id, t.line_seq, t.usage_record_id, t.counter_id, t.counter_seq, t.charge_id, "
    "t.price_version_id, {digits[quantity_base]}, {digits[before_base]}, {digits[amount_micro]}, t.currency, {micros[rated_at]}, "
    "t.line_hash FROM rated_usage_lines t WHERE t.billing_account_id = {account} ORDER BY t.line_seq"
)
_POSTINGS = (
    "SELECT t.id AS transaction_id, t.anchor_hash, p.charge_id, p.from_line_seq, p.to_line_seq FROM ledger_transactions t "
    "LEFT JOIN postings p ON p.transaction_id = t.id WHERE t.billing_account_id = :account AND t.type = 'posting'"
)
