"""What a seller says on documents: checked, kept by nobody else's edit, its numbers nobody else's."""

import io
import struct
import zlib
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from billing.accounts import directory, logos
from billing.accounts.directory import SellerFacts
from billing.accounts.tables import Seller
from billing.invoicing import seller_profiles
from billing.invoicing.documents import model
from billing.invoicing.errors import PrefixTaken, SellerChanged
from billing.kernel.errors import Invalid
from billing.storage.database import Database
from billing.storage.tables import AuditRecord
from tests.service.invoicing import world
from tests.service.invoicing.world import NOW


def picture(kind: str = "PNG", size: tuple[int, int] = (300, 100), mode: str = "RGBA") -> bytes:
    written = io.BytesIO()
    Image.new(mode, size, "navy").save(written, kind)
    return written.getvalue()


def change(database: Database, seller_id: str, **changes: Any) -> tuple[str, ...]:
    with database.transaction() as session:
        found = seller_profiles.get_detail(session, seller_id)
        return seller_profiles.update(
            session,
            now=NOW,
            seller_id=seller_id,
            facts=replace(found.facts, **changes),
            version=found.version,
            actor="usr_ann",
        )


@pytest.fixture
def seller_id(database: Database) -> str:
    world.open_account(database)
    with database.reading() as session:
        return session.scalars(select(Seller.id).order_by(Seller.id)).first() or pytest.fail("no seller")


def test_a_change_is_on_the_next_document_and_on_no_earlier_one(database: Database) -> None:
    first = world.invoice_of(database, 1_000, code="one")
    changed = change(database, first.seller_id, footer="Registered in Dublin.", language="de", page_size="letter")
    assert changed == ("footer", "language", "page_size")
    with database.transaction() as session:
        found = seller_profiles.get_detail(session, first.seller_id)
        logo = logos.of_upload(picture())
        seller_profiles.set_logo(
            session, now=NOW, seller_id=first.seller_id, logo=logo, version=found.version, actor="usr_ann"
        )
    second = world.invoice_of(database, 1_000, code="two")
    old, new = model.from_snapshot(first.snapshot or {}), model.from_snapshot(second.snapshot or {})
    assert (old.footer, old.language, old.logo_sha256) != ("Registered in Dublin.", "de", logo.sha256)
    assert (new.footer, new.language, new.page_size, new.logo_sha256) == (
        "Registered in Dublin.",
        "de",
        "letter",
        logo.sha256,
    )
    with database.reading() as session:
        assert seller_profiles.logo_bytes(session, logo.sha256) == logo.content
        acts = set(session.scalars(select(AuditRecord.act).where(AuditRecord.subject_type == "seller")))
    assert {"seller.update", "seller.logo"} <= acts


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(database: Database, seller_id: str) -> None:
    with database.reading() as session:
        seen = seller_profiles.get_detail(session, seller_id)
    change(database, seller_id, phone="+353 1 555 0199")
    with pytest.raises(SellerChanged), database.transaction() as session:
        seller_profiles.update(
            session, now=NOW, seller_id=seller_id, facts=seen.facts, version=seen.version, actor="usr_bob"
        )


def test_another_prefix_begins_at_one_and_an_old_one_goes_on(database: Database) -> None:
    first = world.invoice_of(database, 1_000, code="one")
    old_prefix = str(first.number).partition("2026-")[0]
    change(database, first.seller_id, invoice_prefix="A-")
    assert world.invoice_of(database, 1_000, code="two").number == "A-2026-000001"
    change(database, first.seller_id, invoice_prefix=old_prefix)
    assert world.invoice_of(database, 1_000, code="three").number == f"{old_prefix}2026-000002"
    with pytest.raises(PrefixTaken):  # invoices were numbered so: receipts never are
        change(database, first.seller_id, receipt_prefix="A-")


def test_a_prefix_of_another_seller_is_refused(database: Database, seller_id: str) -> None:
    with database.transaction() as session:
        facts = seller_profiles.get_detail(session, seller_id).facts
        other = replace(facts, code="other", invoice_prefix="X-", credit_note_prefix="XC-", receipt_prefix="XR-")
        directory.create_seller(session, now=NOW, facts=other)
    with pytest.raises(PrefixTaken):
        change(database, seller_id, credit_note_prefix="x-")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("bank_account", "IE29AIBK93115212345679", "iban_wrong"),
        ("bic", "AIBK", "bic_wrong"),
        ("bic", "DEUTDEFF", "bic_of_other_country"),
        ("website", "javascript:alert(1)", "website_wrong"),
        ("language", "tlh", "unknown_language"),
        ("page_size", "A0", "unknown_page_size"),
        ("invoice_prefix", "<b>", "prefix_wrong"),
        ("invoice_prefix", "RE/", "prefix_wrong"),
        ("receipt_prefix", "inv-", "prefixes_equal"),
        ("footer", "x" * 501, "too_long"),
        ("legal_id", "HRB\u202e1", "direction_control"),
    ],
)
def test_what_no_document_should_say_is_refused(
    database: Database, seller_id: str, field: str, value: str, reason: str
) -> None:
    known = {"bank_account": "IE29AIBK93115212345678", "invoice_prefix": "INV-"}
    with pytest.raises(Invalid) as refused:
        change(database, seller_id, **{**known, field: value})
    assert (refused.value.fields["field"], refused.value.fields["reason"]) == (field, reason)


def test_numbers_of_the_bank_are_kept_in_one_spelling() -> None:
    facts = SellerFacts(
        code="x",
        legal_name="X",
        street="1",
        city="Dublin",
        postcode="D02",
        country="IE",
        email="a@b.example",
        functional_currency="EUR",
        bank_account="ie29 aibk 9311 5212 3456 78",
        bic="aibkie2d",
        website="https://Plumbline.Example/",
    )
    assert (facts.bank_account, facts.bic, facts.website) == ("IE29AIBK93115212345678", "AIBKIE2D", "plumbline.example")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "logo_empty"),
        (b"x" * (logos.BYTES_MAX + 1), "logo_too_heavy"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "logo_not_an_image"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 40, "logo_not_an_image"),
        (picture("GIF", mode="P"), "logo_not_an_image"),
        (picture()[:-12] + b"\x00\x00\x00\x00iCCP" + struct.pack(">I", zlib.crc32(b"iCCP")), "logo_not_an_image"),
        (picture(size=(8, 8)), "logo_too_small"),
        (picture(size=(4_001, 20)), "logo_too_large"),
        (picture()[:120], "logo_not_an_image"),
    ],
    ids=["empty", "heavy", "svg", "broken head", "gif", "empty profile", "small", "wide", "cut off"],
)
def test_what_is_no_logo_is_refused_with_its_reason(content: bytes, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        logos.of_upload(content)
    assert refused.value.fields["reason"] == reason


def test_a_logo_keeps_its_picture_and_nothing_else() -> None:
    written = io.BytesIO()
    Image.new("RGB", (3_000, 500), "navy").save(written, "JPEG", exif=Image.Exif().tobytes() + b"secret place")
    logo = logos.of_upload(written.getvalue())
    assert (logo.media_type, logo.width_px, logo.height_px) == ("image/jpeg", 1_200, 200)
    assert b"secret place" not in logo.content
