"""The evidence of one invoice: its files, each line down to the usage that caused it, and the proof that nothing was altered since.

A statement bundle (`bundle`) of which only this document's transactions are shown in full, so that the same verifier reads it, and
finds the byte that was changed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.assurance import bundle, bundle_facts
from billing.assurance.bundle import Checkpoint, Party, Range, Selection
from billing.invoicing.errors import NotReady
from billing.invoicing.tables import InvoiceDocument, InvoiceHeader
from billing.kernel.errors import NotFound
from billing.rating import derivations, price_facts, scales
from billing.rating.price_facts import PriceFacts
from billing.rating.tables import Counter

# format -> the end of its file's name, in the order in which they stand in the bundle
_ENDS = {"pdf": ".pdf", "xml": ".xml", "ubl": ".ubl.xml", "csv": ".csv"}
_POSTINGS_AT_ONCE = 100

README = """The evidence of {number}: billing account {{code}}, root number {{seq}}.

files/              the document as it was issued: PDF, e-invoice (XML), lines (CSV)
invoices.jsonl      all that the document says; its hash is printed on it and anchored in the ledger
charges.jsonl       what each of its lines bills; postings.jsonl how the ledger came to hold it
lines.jsonl         the rated lines of those charges, each with its usage record; prices.jsonl and counters.jsonl what they were rated by
derivations.jsonl   how each rated line's amount came about, step by step, for people
transactions.jsonl  the whole chain of the account's ledger; what other documents and months hold is covered by its hashes, not shown
root.json           the signed root over the ends of all chains, and the proof (RFC 6962) that this chain's end is under it

To verify it you need Python 3.9 or newer and the fingerprint of the seller's signing key, which you must have from another source than
this file: a contract, a web page of the seller.

    python3 plumbline_verify.py evidence.zip --fingerprint FINGERPRINT

One byte that was changed is named with the file and the row it stands in. plumbline_verify.py beside this text is the verifier. If you
do not trust a program that comes with what it is to verify, take it from the seller's published source instead, or write your own: its
first lines say how everything hangs together.

Amounts are integers of minor units (cents), instants are microseconds since 1970, quantities are base units of their meter.
"""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """An issued document whose evidence can be taken away."""

    document_id: str
    account_id: str
    number: str

    @property
    def file_name(self) -> str:
        """What the zip file is called."""
        return f"{_safe(self.number)}-evidence.zip"


def find(session: Session, *, key: str, account_id: str | None = None) -> Evidence:
    """The issued document of an id or number, of one account or of any. Raises NotFound, NotReady before it has a file."""
    header = session.scalars(
        select(InvoiceHeader).where((InvoiceHeader.id == key) | (InvoiceHeader.number == key)).limit(1)
    ).first()
    if header is None or header.number is None or account_id not in (None, header.billing_account_id):
        raise NotFound(invoice=key[:60])
    if not session.scalars(select(InvoiceDocument.format).where(InvoiceDocument.invoice_id == header.id)).all():
        raise NotReady(invoice_id=header.id)
    return Evidence(document_id=header.id, account_id=header.billing_account_id, number=header.number)


def stream(session: Session, account: Party, checkpoint: Checkpoint, of: Evidence) -> Iterator[bytes]:
    """The bytes of the zip file, the same for the same state of the books; memory holds the document's files and one posting's lines.

    `checkpoint` is the account's, made before. The session reads one snapshot, and may be held to the account's own rows.
    """
    header = session.get_one(InvoiceHeader, of.document_id)
    shown = [row.transaction_id for row in session.execute(bundle.postings_of(of.document_id)).all()]
    selection = Selection(
        document_id=of.document_id,
        transaction_ids=[*shown, str(header.transaction_id)],
        readme=README.format(number=of.number),
        facts={"id": of.document_id, "number": of.number, "takes_charges": bool(header.takes_charges)},
        files=_files(session, of),
        rows=lambda: [("derivations.jsonl", _derivations(session, shown))],
    )
    yield from bundle.stream(session, account, checkpoint, Range(), selection)


def _files(session: Session, of: Evidence) -> list[tuple[str, bytes]]:
    rows = session.execute(
        select(InvoiceDocument.format, InvoiceDocument.content).where(InvoiceDocument.invoice_id == of.document_id)
    ).all()
    held = {row.format: bytes(row.content) for row in rows}
    order = [*(name for name in _ENDS if name in held), *sorted(held.keys() - _ENDS.keys())]
    return [(f"files/{_safe(of.number)}{_ENDS.get(name, '.' + name)}", held[name]) for name in order]


def _derivations(session: Session, transaction_ids: list[str]) -> Iterator[Mapping[str, Any]]:
    """The steps of every line that these postings anchor, in order of the chain."""
    prices: dict[str, PriceFacts] = {}
    histories: dict[str, scales.History] = {}
    for place in range(0, len(transaction_ids), _POSTINGS_AT_ONCE):
        for line in bundle_facts.lines(session, transaction_ids[place : place + _POSTINGS_AT_ONCE]):
            price_id, counter_id = line["price_version_id"], line["counter_id"]
            if price_id not in prices:
                prices |= price_facts.load(session, [price_id])
            if counter_id not in histories:
                histories[counter_id] = scales.history_of(session, session.get_one(Counter, counter_id))
            yield _derived(line, prices[price_id], histories[counter_id])


def _derived(line: Mapping[str, Any], price: PriceFacts, history: scales.History) -> Mapping[str, Any]:
    seq, before = line["line_seq"], line["before_base"]
    if seq in history.line_seqs:
        made = derivations.derive_rescaling(price, before, history.before(seq), history.at(seq))
    else:
        made = derivations.derive(price, before, line["quantity_base"], history.at(seq))
    steps: Iterable[dict[str, Any]] = [asdict(step) for step in made.steps]
    return {
        "id": line["id"],
        "charge_id": line["charge_id"],
        "usage_record_id": line["usage_record_id"],
        "line_hash": line["line_hash"],
        "hashed": ["derivation/1", list(steps), str(made.amount_micro)],
        "hash": made.hash,
    }


def _safe(number: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", number).lstrip("._-") or "document"
