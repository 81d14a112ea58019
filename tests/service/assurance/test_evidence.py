"""The evidence of one invoice: read by the verifier as a stranger would, and any byte that is changed is located."""

import hashlib
import io
import tracemalloc
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from billing.accounts import directory
from billing.assurance import evidence
from billing.invoicing.errors import NotReady
from billing.invoicing.tables import InvoiceDocument, InvoiceHeader
from billing.kernel.errors import NotFound
from billing.storage.database import Database
from tests.service.assurance import bundles
from tests.service.assurance.walk import SIGNER
from tests.service.invoicing import test_conversion, world
from tests.service.invoicing.world import NOW, Use

FILES = {"pdf": b"%PDF-1.7 the invoice", "xml": b"<invoice/>", "csv": b"line,amount\r\n1,1.00\r\n"}


def rendered(database: Database, header: InvoiceHeader) -> None:
    with database.transaction("jobs") as session:
        for name, content in FILES.items():
            sha256 = hashlib.sha256(content).hexdigest()
            session.add(
                InvoiceDocument(invoice_id=header.id, format=name, sha256=sha256, content=content, rendered_at=NOW)
            )


def make(database: Database, header: InvoiceHeader) -> bytes:
    found = bundles.checkpoint(database, header.billing_account_id)
    with database.reading("jobs") as session:
        account = directory.get_account(session, header.billing_account_id)
        of = evidence.find(session, key=str(header.number), account_id=account.id)
        assert of.file_name == "INV-2026-000002-evidence.zip"
        return b"".join(evidence.stream(session, account, found, of))


def two_months(database: Database, account_id: str) -> InvoiceHeader:
    """September and October, both issued, with late usage of September on October's invoice: that one."""
    september = datetime(2026, 9, 10, tzinfo=UTC)
    world.used(database, account_id, Use(100, project="red", at=september))
    world.issued(database, account_id, period="2026-09")
    world.used(database, account_id, Use(250, project="red"), Use(7, project="blue"))
    world.used(database, account_id, Use(3, project="red", at=september), Use(40, project="red"))
    header = world.issued(database, account_id)
    world.used(database, account_id, Use(11, project="red"))  # October's own late usage, after the invoice
    return header


def test_a_stranger_proves_every_line_down_to_its_usage(database: Database, tmp_path: Path) -> None:
    header = two_months(database, world.open_account(database))
    rendered(database, header)
    made = make(database, header)
    assert made == make(database, header)  # the same bytes for the same books
    status, said = bundles.run(tmp_path, made, "--fingerprint", SIGNER.fingerprint)
    assert (status, said.splitlines()[-1]) == (0, "PROVEN."), said
    assert "Of INV-2026-000002: 3 files as they were issued; each line is what its charge comes to." in said
    held = bundles.members(made, tmp_path)
    assert {name: held[f"files/INV-2026-000002.{name}"] for name in FILES} == FILES
    lines, derived = bundles.rows(held["lines.jsonl"]), bundles.rows(held["derivations.jsonl"])
    assert [line["quantity_base"] for line in lines] == [250, 7, 3, 40]
    assert [row["line_hash"] for row in derived] == [line["line_hash"] for line in lines]
    assert [row["number"] for row in bundles.rows(held["invoices.jsonl"])] == ["INV-2026-000002"]


def test_a_converted_invoice_is_proven_by_its_rate(database: Database, tmp_path: Path) -> None:
    test_conversion.load(database, test_conversion.RATES + "2026-09-30,1.1,170,\n")
    header = two_months(database, test_conversion.account_in(database, "EUR"))
    rendered(database, header)
    status, said = bundles.run(tmp_path, make(database, header), "--fingerprint", SIGNER.fingerprint)
    assert (status, said.splitlines()[-1]) == (0, "PROVEN."), said


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_one_changed_byte_is_located_in_every_member(database: Database, tmp_path: Path) -> None:
    header = two_months(database, world.open_account(database))
    rendered(database, header)
    made = make(database, header)
    held = bundles.members(made, tmp_path)
    for name, content in held.items():
        place = content.rfind(b"1") if b"1" in content else len(content) // 2
        changed = content[:place] + (b"2" if content[place : place + 1] != b"2" else b"3") + content[place + 1 :]
        status, said = bundles.run(tmp_path, _packed({**held, name: changed}), "--fingerprint", SIGNER.fingerprint)
        assert (status, said.startswith("NOT PROVEN.")) == (1, True), (name, said)
        assert name in said or (name == "manifest.json" and "the manifest is not what key" in said), (name, said)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_line_that_bills_more_than_its_charge_is_found_even_when_all_is_signed_anew(
    database: Database, tmp_path: Path
) -> None:
    header = two_months(database, world.open_account(database))
    rendered(database, header)
    held: dict[str, bytes | list[dict[str, object]]] = dict(bundles.members(make(database, header), tmp_path))
    content = held["derivations.jsonl"]
    assert isinstance(content, bytes)
    rows = bundles.rows(content)
    rows[0]["hashed"][2] = str(int(rows[0]["hashed"][2]) + 1)
    held["derivations.jsonl"] = rows
    status, said = bundles.run(tmp_path, bundles.packed(held, signer=SIGNER), "--fingerprint", SIGNER.fingerprint)
    assert (status, "the derivation does not hash to what it says" in said) == (1, True), said


def test_drafts_strangers_and_documents_without_a_file_have_none(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100))
    draft_id = world.draft(database, account_id)
    with database.reading() as session:
        for key in (draft_id, "INV-2026-999999"):
            with pytest.raises(NotFound):
                evidence.find(session, key=key)
    header = world.invoice_of(database, 100, code="dora")
    with database.reading() as session:
        with pytest.raises(NotFound):
            evidence.find(session, key=header.id, account_id=account_id)
        with pytest.raises(NotReady):
            evidence.find(session, key=header.id)


def _packed(members: dict[str, bytes]) -> bytes:
    """The members in a zip file as anybody packs one: the hashes inside are not made anew."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("count", [500, pytest.param(100_000, marks=pytest.mark.release_heavy)])
def test_memory_stays_flat_however_many_lines_an_invoice_has(database: Database, count: int) -> None:
    account_id = world.open_account(database)
    step = min(count, 5_000)
    for _ in range(count // step):  # rated and posted as they come, as an installation does
        world.used(database, account_id, *(Use(place % 7 + 1, project="red") for place in range(step)))
    header = world.issued(database, account_id)
    rendered(database, header)
    found = bundles.checkpoint(database, account_id)
    with database.reading("jobs") as session:
        account = directory.get_account(session, account_id)
        of = evidence.find(session, key=header.id)
        tracemalloc.start()
        try:
            size = sum(len(chunk) for chunk in evidence.stream(session, account, found, of))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert size > count * 100
    assert peak < 24_000_000, f"{peak:,} bytes for {count:,} lines"
