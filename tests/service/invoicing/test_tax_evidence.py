"""Reverse charge needs a VAT id that was found valid, not too long ago; consumers and exemptions need what the law asks of them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest

from billing.accounts import directory, profiles, registrations, tax_profiles, vat_consultations
from billing.accounts.registrations import RegistrationFacts
from billing.accounts.tax_profiles import OverrideFacts
from billing.accounts.tax_tables import VatIdConsultation
from billing.accounts.vies import Vies
from billing.invoicing import drafts, issue
from billing.invoicing.documents import model
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import DraftOutdated, TaxEvidenceMissing, TaxEvidenceOld
from billing.invoicing.tables import InvoiceHeader
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.kernel.errors import Conflict, Invalid
from billing.storage.database import Database
from tests.peers import vies
from tests.service.invoicing import world
from tests.service.invoicing.world import NOW, Use

BUSINESS = replace(world.GERMANY, vat_id="DE136695976")


@pytest.fixture
def register() -> Iterator[vies.Server]:
    """A register that holds the buyer's number."""
    with vies.serving() as served:
        served.names["DE136695976"] = "Calla Labs GmbH"
        yield served


def _policy(database: Database, *, check: str = "vies", days: int = 90, provider: str = "own") -> None:
    with database.transaction("jobs") as session:
        registrations.change_policy(
            session,
            now=NOW,
            seller=directory.lock_seller(session),
            tax_provider=provider,
            vat_check=check,
            tax_evidence_days=days,
            actor="usr_mia",
        )


def _ask(database: Database, register: vies.Server) -> int:
    return steps.vat_ids(JobContext(database=database, providers={}, now=NOW, vat_register=Vies(register.url)))


def _document(header: InvoiceHeader) -> InvoiceDocument:
    return model.from_snapshot(header.snapshot or {})


def _approved(database: Database, **facts: object) -> tuple[str, str]:
    account_id = world.open_account(database, profile=replace(BUSINESS, **facts))  # type: ignore[arg-type]
    world.used(database, account_id, Use(1_000))
    return account_id, world.approved(database, account_id)


def _issue(database: Database, draft_id: str, *, days: int = 0) -> InvoiceHeader:
    with database.transaction() as session:
        return issue.issue(session, now=NOW + timedelta(days=days), draft_id=draft_id, actor="usr_ann")


def test_the_form_of_a_number_is_evidence_where_the_seller_goes_by_it_and_the_document_says_so(
    database: Database,
) -> None:
    _, draft_id = _approved(database)
    document = _document(_issue(database, draft_id))
    [facts] = document.tax_facts["decisions"]
    assert (facts["rule"], facts["evidence"]["method"]) == ("reverse_charge", "format")
    [group] = document.taxes
    assert (group.category, group.vatex, group.scheme, group.tax_minor) == ("AE", "VATEX-EU-AE", "reverse_charge", 0)


def test_without_an_answer_of_the_register_no_reverse_charge_is_issued(database: Database) -> None:
    _policy(database)
    _, draft_id = _approved(database)
    with pytest.raises(TaxEvidenceMissing) as refused:
        _issue(database, draft_id)
    assert refused.value.fields == {"vat_id": "DE136695976", "check": "vies"}


def test_the_job_asks_the_register_with_the_sellers_number_and_issue_keeps_its_reference(
    database: Database, register: vies.Server
) -> None:
    _policy(database)
    account_id, draft_id = _approved(database)
    assert _ask(database, register) == 1
    assert _ask(database, register) == 0
    assert register.asked == [
        {
            "countryCode": "DE",
            "vatNumber": "136695976",
            "requesterMemberStateCode": "IE",
            "requesterNumber": "1234567T",
        }
    ]
    [facts] = _document(_issue(database, draft_id)).tax_facts["decisions"]
    assert (facts["evidence"]["reference"], facts["evidence"]["outcome"]) == ("WAPIAAA1", "valid")
    with database.reading("jobs") as session:
        [row] = vat_consultations.list_of(session, account_id)
    assert (row.name, row.address, row.requested_by) == ("Calla Labs GmbH", None, "job:vat-ids")


def test_an_old_answer_is_refused_at_issue_and_asked_for_before(database: Database, register: vies.Server) -> None:
    _policy(database, days=30)
    _, draft_id = _approved(database)
    _ask(database, register)
    with pytest.raises(TaxEvidenceOld):
        _issue(database, draft_id, days=31)
    with database.reading("jobs") as session:
        assert not vat_consultations.due(session, now=NOW + timedelta(days=19))
        assert vat_consultations.due(session, now=NOW + timedelta(days=20))


@pytest.mark.parametrize(
    ("error", "raw", "status", "reason"),
    [
        ("MS_UNAVAILABLE", None, 200, "MS_UNAVAILABLE"),
        ("SERVICE_UNAVAILABLE", None, 500, "SERVICE_UNAVAILABLE"),
        (None, b"<html>", 200, "JSONDecodeError"),
        (None, b"[]", 503, "HTTP 503"),
        (None, b'{"valid": "yes"}', 200, "no answer"),
    ],
)
def test_a_register_that_cannot_answer_leaves_the_number_unproven_and_is_asked_again_later(
    database: Database, register: vies.Server, error: str | None, raw: bytes | None, status: int, reason: str
) -> None:
    _policy(database)
    account_id, draft_id = _approved(database)
    register.error, register.raw, register.status = error, raw, status
    _ask(database, register)
    with database.reading("jobs") as session:
        [row] = vat_consultations.list_of(session, account_id)
        assert (row.outcome, row.reason) == ("unavailable", reason)
        assert not vat_consultations.due(session, now=NOW + timedelta(hours=5))
        assert vat_consultations.due(session, now=NOW + timedelta(hours=6))
    with pytest.raises(TaxEvidenceMissing):
        _issue(database, draft_id)


def test_nobody_there_is_an_answer_too() -> None:
    assert Vies("http://127.0.0.1:9/rest-api", timeout_s=1).consult("DE136695976", requester=None).outcome == (
        "unavailable"
    )


def test_a_register_that_points_elsewhere_is_not_followed(register: vies.Server) -> None:
    with vies.serving() as elsewhere:
        elsewhere.names["DE136695976"] = "Anybody"
        register.status, register.location = 303, f"{elsewhere.url}/check-vat-number"
        answer = Vies(register.url).consult("DE136695976", requester=None)
        assert (answer.outcome, answer.reason, elsewhere.asked) == ("unavailable", "HTTP 303", [])


def test_a_number_that_the_register_does_not_know_is_taxed_as_a_consumers(
    database: Database, register: vies.Server
) -> None:
    _policy(database)
    account_id, draft_id = _approved(database)
    register.names.clear()
    _ask(database, register)
    with pytest.raises(DraftOutdated):
        _issue(database, draft_id)
    with database.transaction() as session:
        drafts.void(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    [group] = _document(world.issued(database, account_id)).taxes
    assert (group.category, group.rate_bp, group.scheme, group.registration) == ("S", 1900, "oss", "IE1234567T")


def test_an_operator_accepts_a_number_by_hand_with_a_reason(database: Database) -> None:
    _policy(database)
    account_id, draft_id = _approved(database)
    with database.transaction() as session, pytest.raises(Invalid):
        vat_consultations.accept(
            session, now=NOW, account_id=account_id, vat_id="DE1", is_valid=True, reason="Letter", actor="usr_mia"
        )
    with database.transaction() as session:
        vat_consultations.accept(
            session,
            now=NOW,
            account_id=account_id,
            vat_id="DE136695976",
            is_valid=True,
            reason="Letter of the Finanzamt",
            actor="usr_mia",
        )
    [facts] = _document(_issue(database, draft_id)).tax_facts["decisions"]
    assert facts["evidence"]["method"] == "manual"


def test_the_first_answer_to_a_question_stands(database: Database) -> None:
    account_id = world.open_account(database, profile=BUSINESS)
    with database.transaction("jobs") as session:
        asked = vat_consultations.ask(session, now=NOW, account_id=account_id, vat_id="DE136695976", actor="test").id
        for outcome in ("valid", "invalid"):
            vat_consultations.answer(
                session,
                now=NOW,
                consultation_id=asked,
                answer=vat_consultations.Answer(outcome=outcome),  # type: ignore[arg-type]
            )
    with database.reading("jobs") as session:
        assert session.get_one(VatIdConsultation, asked).outcome == "valid"


def test_a_consumer_stays_one_though_it_gave_a_number_and_every_version_is_kept(database: Database) -> None:
    account_id = world.open_account(database, profile=BUSINESS)
    with database.transaction() as session:
        tax_profiles.change(
            session,
            now=NOW,
            account_id=account_id,
            customer_kind="consumer",
            vat_id="DE 136 695 976",
            actor="usr_ann",
        )
    world.used(database, account_id, Use(1_000))
    [group] = _document(world.issued(database, account_id)).taxes
    assert group.category == "S"
    with database.transaction() as session:
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=world.GERMANY)
        versions = tax_profiles.versions(session, account_id)
    assert [(row.version, row.customer_kind, row.vat_id) for row in versions] == [
        (3, "consumer", None),
        (2, "consumer", "DE136695976"),
        (1, "business", "DE136695976"),
    ]


def test_an_exemption_of_finance_is_printed_with_its_code_and_ends_with_its_certificate(database: Database) -> None:
    account_id = world.open_account(database)
    with database.transaction() as session:
        tax_profiles.override(
            session,
            now=NOW,
            account_id=account_id,
            facts=OverrideFacts(
                category="E",
                reason="Diplomatic mission",
                vatex="VATEX-EU-151-1A",
                certificate="15.10 no. 17",
                valid_until=date(2026, 12, 31),
            ),
            actor="usr_mia",
        )
    world.used(database, account_id, Use(1_000))
    header = world.issued(database, account_id)
    [group] = _document(header).taxes
    assert (group.category, group.vatex, group.reason, header.tax_minor) == (
        "E",
        "VATEX-EU-151-1A",
        "Diplomatic mission",
        0,
    )


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"category": "X", "reason": "a"}, "unknown_tax_category"),
        ({"category": "E", "reason": "a", "valid_until": date(2027, 1, 1)}, "certificate_needed"),
        ({"category": "E", "reason": "a", "certificate": "b"}, "certificate_end_needed"),
        ({"category": "K", "reason": "a"}, "delivery_country_needed"),
        (
            {"category": "Z", "reason": "a", "valid_from": date(2027, 1, 2), "valid_until": date(2027, 1, 1)},
            "ends_before_it_begins",
        ),
    ],
)
def test_an_override_that_could_not_be_proven_is_refused(facts: dict[str, object], reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        OverrideFacts(**facts)  # type: ignore[arg-type]
    assert refused.value.fields["reason"] == reason


def test_a_registration_is_ended_once_and_not_doubled(database: Database) -> None:
    with database.transaction("jobs") as session:
        seller = directory.lock_seller(session)
        facts = RegistrationFacts(scheme="vat", country="DE", number="DE136695976", valid_from=date(2026, 1, 1))
        added = registrations.add(session, now=NOW, seller=seller, facts=facts, actor="usr_mia")
        with pytest.raises(Conflict):
            registrations.add(session, now=NOW, seller=seller, facts=facts, actor="usr_mia")
        registrations.end(session, now=NOW, registration_id=added.id, valid_until=date(2026, 6, 30), actor="usr_mia")
        with pytest.raises(Conflict):
            registrations.end(
                session, now=NOW, registration_id=added.id, valid_until=date(2026, 7, 31), actor="usr_mia"
            )
