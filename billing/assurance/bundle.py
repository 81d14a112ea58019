"""Statement bundles: one account's chain with all that its hashes cover, in a file that strangers can verify (Law 4).

The whole chain of transactions is always in it, so that both balances are proven; usage, lines and documents are those of the
transactions recorded in the range. `verifier/plumbline_verify.py` reads what is written here, and is part of it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from itertools import groupby
from typing import Any, Protocol, cast

from sqlalchemy import Select, Table, select
from sqlalchemy.orm import Session

from billing.assurance import bundle_facts, streams
from billing.assurance.bundle_file import BundleFile
from billing.invoicing.tables import InvoiceLine
from billing.kernel import canonical
from billing.kernel.clock import to_rfc3339
from billing.kernel.errors import Invalid
from billing.ledger.chain import EntryFacts, Header
from billing.ledger.roots import Inclusion
from billing.ledger.tables import LedgerEntry, LedgerMemo, LedgerTransaction
from billing.rating.tables import Posting
from billing.storage.columns import micros
from billing.storage.signing import KeyRow, Signer

FORMAT = "plumbline-bundle/1"
_SIGNED = b"plumbline statement bundle\n"
_T = cast(Table, LedgerTransaction.__table__)
_E = cast(Table, LedgerEntry.__table__)
_P = cast(Table, Posting.__table__)
_HEADER = [_T.c[name.removesuffix("_micros")] for name in Header._fields]
_ENTRY = [_E.c[name] for name in EntryFacts._fields]
_POSTINGS_AT_ONCE = 100

README = """A statement bundle of Plumbline: {code}, root number {seq}.

It holds the whole chain of ledger transactions of one billing account and, for the range in account.json, the usage records, rated
lines, prices, charges and documents that the chain's hashes cover.

To verify it you need Python 3.9 or newer and the fingerprint of the seller's signing key, which you must have from another source than
this file: a contract, an invoice, a web page of the seller.

    python3 plumbline_verify.py bundle.zip --fingerprint FINGERPRINT

plumbline_verify.py beside this text is the verifier. If you do not trust a program that comes with what it is to verify, take it from
the seller's published source instead, or write your own: its first lines say how everything hangs together.

Amounts are integers of minor units (cents), instants are microseconds since 1970, quantities are base units of their meter.
"""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a bundle ends at: the proof that the account's head is under a signed root, all keys oldest first, and the key in force."""

    inclusion: Inclusion
    keys: Sequence[KeyRow]
    signer: Signer


@dataclass(frozen=True, kw_only=True)
class Range:
    """Instants of recording, [from, to); None: from the beginning, up to the signed head."""

    from_at: datetime | None = None
    to_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.from_at is not None and self.to_at is not None and self.from_at >= self.to_at:
            raise Invalid(field="to", value=to_rfc3339(self.to_at), reason="ends_before_it_begins")

    @property
    def words(self) -> str:
        """For a file's name: `all`, or the days it begins and ends with."""
        if self.from_at is None and self.to_at is None:
            return "all"
        return (
            f"{self.from_at:%Y-%m-%d}"
            if self.to_at is None
            else f"{self.from_at or '':%Y-%m-%d}-to-{self.to_at:%Y-%m-%d}"
        )

    def holds(self, recorded_at: datetime) -> bool:
        """Whether what was recorded then is shown with all that it covers."""
        return (self.from_at is None or recorded_at >= self.from_at) and (
            self.to_at is None or recorded_at < self.to_at
        )


class Party(Protocol):
    """What a bundle says about the account; a stored billing account has it, and one that a person opened."""

    @property
    def id(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def currency(self) -> str: ...
    @property
    def zone(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What is shown in full instead of a range: the transactions of one document, with more members about it.

    `facts` stand in account.json, `files` are (member, bytes) in their order, `rows` gives (member, rows) once the lines are known.
    """

    document_id: str
    transaction_ids: Sequence[str]
    readme: str
    facts: Mapping[str, Any]
    files: Sequence[tuple[str, bytes]]
    rows: Callable[[], Iterable[tuple[str, Iterable[Mapping[str, Any]]]]]


def stream(
    session: Session, account: Party, checkpoint: Checkpoint, range_: Range, selection: Selection | None = None
) -> Iterator[bytes]:
    """The bundle's bytes, the same for the same state of the books; memory holds one posting's lines and the ids of counters.

    The session reads one snapshot, and may be held to the account's own rows. `checkpoint` was made before: the chain is shown
    up to the head that it signed. Nothing is written.
    """
    file = BundleFile()
    writer = _Writer(session, account, checkpoint.inclusion.head.chain_seq, range_, selection)
    root = checkpoint.inclusion.root
    readme = README if selection is None else selection.readme
    yield from file.add("README.txt", [readme.format(code=account.code, seq=root.seq).encode()])
    source = resources.files("billing.assurance.verifier").joinpath("plumbline_verify.py").read_bytes()
    yield from file.add("plumbline_verify.py", [source])
    yield from file.add_rows("transactions.jsonl", writer.transactions())
    yield from file.add_rows("postings.jsonl", writer.postings())
    yield from file.add_rows("lines.jsonl", writer.lines())
    yield from file.add_rows("invoices.jsonl", bundle_facts.invoices(session, account.id, writer.documents))
    yield from file.add_rows("charges.jsonl", bundle_facts.charges(session, writer.charge_ids))
    yield from file.add_rows("counters.jsonl", bundle_facts.counters(session, account.id, writer.counter_ids))
    yield from file.add_rows("prices.jsonl", bundle_facts.prices(session, writer.price_ids))
    if selection is not None:
        for name, rows in selection.rows():
            yield from file.add_rows(name, rows)
        for name, content in selection.files:
            yield from file.add(name, [content])
    told: dict[str, Any] = {
        "format": FORMAT,
        "id": account.id,
        "code": account.code,
        "currency": account.currency,
        "zone": account.zone,
        "from_micros": range_.from_at and micros(range_.from_at),
        "to_micros": range_.to_at and micros(range_.to_at),
        "root_signed_at": to_rfc3339(root.signed_at),
        "opening": writer.opening,
        "closing": writer.closing,
        "head_balances": writer.final,
    }
    if selection is not None:
        told |= {"invoice": selection.facts, "shown": sorted(selection.transaction_ids)}
    yield from file.add("account.json", [_line(told)])
    yield from file.add("root.json", [_line(_root(checkpoint))])
    manifest = _line({"format": FORMAT, "account": account.id, "root": root.hash, "files": file.files})
    yield from file.add("manifest.json", [manifest])
    signature = checkpoint.signer.sign(_SIGNED + hashlib.sha256(manifest).digest())
    signed = {"fingerprint": checkpoint.signer.fingerprint, "signature": signature}
    yield from file.add("signature.json", [_line(signed)])
    yield from file.close()


class _Writer:
    """The rows of one bundle, member by member, and the ids that later members need."""

    def __init__(
        self, session: Session, account: Party, head_seq: int, range_: Range, selection: Selection | None
    ) -> None:
        self._session, self._account, self._head_seq, self._range = session, account, head_seq, range_
        self._selection = selection
        self.documents: set[str] = set()
        self.charge_ids: set[str] = set()
        self.counter_ids: set[str] = set()
        self.price_ids: set[str] = set()
        self.opening: dict[str, int] = {}
        self.closing: dict[str, int] = {}
        self.final: dict[str, int] = {}

    def transactions(self) -> Iterator[dict[str, Any]]:
        """Every transaction up to the signed head, with its entries and, where it was not erased, its memo."""
        statement = (
            select(
                *_HEADER,
                _T.c.anchor_hash,
                _T.c.prev_hash,
                _T.c.hash,
                LedgerMemo.memo,
                LedgerMemo.salt,
                *(column.label(f"e_{column.name}") for column in _ENTRY),
            )
            .select_from(
                _T.outerjoin(_E, _E.c.transaction_id == _T.c.id).outerjoin(
                    LedgerMemo, LedgerMemo.transaction_id == _T.c.id
                )
            )
            .where(_T.c.billing_account_id == self._account.id, _T.c.chain_seq <= self._head_seq)
            .order_by(_T.c.chain_seq, _E.c.seq)
        )
        for _, group in groupby(streams.stream(self._session, statement), lambda row: row[0]):
            rows = list(group)
            first = rows[0]
            entries = [
                dict(zip(EntryFacts._fields, row[len(_HEADER) + 5 :], strict=True))
                for row in rows
                if row.e_id is not None
            ]
            self._fold(first, entries)
            header = (*first[:8], *map(micros, first[8:11]), *first[11 : len(_HEADER)])
            yield {
                **dict(zip(Header._fields, header, strict=True)),
                "entries": entries,
                "anchor_hash": first.anchor_hash,
                "prev_hash": first.prev_hash,
                "hash": first.hash,
                "memo": None if first.memo is None else {"salt": first.salt, "text": first.memo},
            }

    def postings(self) -> Iterator[dict[str, Any]]:
        """The posting rows of each posting transaction in the range, in order of the chain and of the charge."""
        columns = (_P.c[name] for name in _P.c.keys())  # noqa: SIM118  a column collection, not a dict
        statement = (
            select(*columns)
            .join(_T, _T.c.id == _P.c.transaction_id)
            .where(*self._posted())
            .order_by(_T.c.chain_seq, _P.c.charge_id)
        )
        for row in streams.stream(self._session, statement):
            self.charge_ids.add(row.charge_id)
            yield dict(row._mapping)

    def lines(self) -> Iterator[dict[str, Any]]:
        """The rated lines that each posting transaction in the range anchors, in the order of the anchor, with their usage."""
        ids = streams.stream(self._session, select(_T.c.id).where(*self._posted()).order_by(_T.c.chain_seq))
        for chunk in _chunks((row[0] for row in ids), _POSTINGS_AT_ONCE):
            for line in bundle_facts.lines(self._session, chunk):
                self.counter_ids.add(line["counter_id"])
                self.price_ids.add(line["price_version_id"])
                yield line

    def _posted(self) -> list[Any]:
        found = [_T.c.billing_account_id == self._account.id, _T.c.type == "posting", _T.c.chain_seq <= self._head_seq]
        if self._selection is not None:
            found.append(_T.c.id.in_(postings_of(self._selection.document_id)))
        if self._range.from_at is not None:
            found.append(_T.c.recorded_at >= self._range.from_at)
        if self._range.to_at is not None:
            found.append(_T.c.recorded_at < self._range.to_at)
        return found

    def _fold(self, row: Any, entries: Iterable[Mapping[str, Any]]) -> None:
        """The balances of the account's own book accounts at the range's start, at its end and at the head."""
        recorded_at, range_ = row.recorded_at, self._range
        is_shown = (
            range_.holds(recorded_at) if self._selection is None else row.source_id == self._selection.document_id
        )
        if row.anchor_hash is not None and row.type != "posting" and is_shown:
            self.documents.add(row.source_id)
        sums = [self.final]
        if range_.from_at is not None and recorded_at < range_.from_at:
            sums.append(self.opening)
        if range_.to_at is None or recorded_at < range_.to_at:
            sums.append(self.closing)
        for entry in entries:
            for side, sign in (("credit", 1), ("debit", -1)):
                if entry[f"{side}_owner"] == self._account.id:
                    book = entry[f"{side}_account_id"]
                    for each in sums:
                        each[book] = each.get(book, 0) + sign * entry["amount_minor"]


def postings_of(document_id: str) -> Select[tuple[str]]:
    """The transactions that posted the charges of a document."""
    charged = select(InvoiceLine.charge_id).where(
        InvoiceLine.invoice_id == document_id, InvoiceLine.charge_id.is_not(None)
    )
    return select(_P.c.transaction_id).where(_P.c.charge_id.in_(charged)).distinct()


def _root(checkpoint: Checkpoint) -> dict[str, Any]:
    found, root = checkpoint.inclusion, checkpoint.inclusion.root
    return {
        "root": {
            "id": root.id,
            "seq": root.seq,
            "previous_hash": root.previous_hash,
            "merkle_root": root.merkle_root,
            "chain_count": root.chain_count,
            "transaction_count": root.transaction_count,
            "signed_at_micros": micros(root.signed_at),
            "key_id": root.key_id,
            "fingerprint": root.fingerprint,
            "hash": root.hash,
            "signature": root.signature,
        },
        "head": {"chain_seq": found.head.chain_seq, "chain_hash": found.head.chain_hash},
        "proof": {"place": found.place, "path": list(found.path)},
        "keys": [
            {
                "id": key.id,
                "public_key": key.public_key,
                "fingerprint": key.fingerprint,
                "previous_id": key.previous_id,
                "signature": key.signature,
            }
            for key in checkpoint.keys
        ],
    }


def _line(told: Mapping[str, Any]) -> bytes:
    return canonical.dumps(told).encode() + b"\n"


def _chunks(items: Iterator[str], size: int) -> Iterator[list[str]]:
    chunk: list[str] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
