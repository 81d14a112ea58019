"""Taxes worked out by Stripe Tax: asked with the real SDK, put into the draft, required and dated at issue."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from billing.accounts import directory, profiles, registrations
from billing.assurance import reconciliation
from billing.invoicing import corrections, drafts, issue
from billing.invoicing.documents import model
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import TaxCalculationNeeded, TaxEvidenceOld
from billing.invoicing.tables import InvoiceHeader
from billing.invoicing.taxes.port import TaxCalculator
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.service.invoicing.terms_world import gift
from tests.service.invoicing.test_below_zero import IN_SEPTEMBER, SEPTEMBER, volume_account
from tests.service.invoicing.world import NOW, Use
from tests.service.payments.world import StripeCustomer, customer_of

SWITZERLAND = replace(world.GERMANY, country="CH", city="Zürich", postcode="8001")


@pytest.fixture
def stripe(database: Database) -> Iterator[StripeCustomer]:
    """Stripe's SDK against the peer; the seller's taxes are worked out there."""
    with customer_of("stripe", database) as customer:
        assert isinstance(customer, StripeCustomer)
        with database.transaction("jobs") as session:
            registrations.change_policy(
                session,
                now=NOW,
                seller=directory.lock_seller(session),
                tax_provider="stripe",
                vat_check="format",
                tax_evidence_days=30,
                actor="usr_mia",
            )
        yield customer


def _calculate(database: Database, stripe: StripeCustomer) -> int:
    assert isinstance(stripe.provider, TaxCalculator)
    return steps.taxes(JobContext(database=database, providers={"stripe": stripe.provider}, now=NOW))


def _draft(database: Database, draft_id: str) -> tuple[InvoiceHeader, InvoiceDocument]:
    with database.reading("jobs") as session:
        header = session.get_one(InvoiceHeader, draft_id)
        return header, model.from_snapshot(header.snapshot or {})


def _issue(database: Database, draft_id: str, *, days: int = 0) -> InvoiceHeader:
    with database.transaction() as session:
        drafts.approve(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    with database.transaction() as session:
        return issue.issue(session, now=NOW + timedelta(days=days), draft_id=draft_id, actor="usr_ann")


def test_the_providers_rate_takes_the_place_of_ours_and_its_calculation_is_the_evidence(
    database: Database, stripe: StripeCustomer
) -> None:
    account_id = world.open_account(database, profile=SWITZERLAND)
    world.used(database, account_id, Use(10_000))
    draft_id = world.draft(database, account_id)
    assert _draft(database, draft_id)[1].taxes[0].category == "O"
    with pytest.raises(TaxCalculationNeeded):
        _issue(database, draft_id)
    assert _calculate(database, stripe) == 1
    assert _calculate(database, stripe) == 0
    header, document = _draft(database, draft_id)
    assert (header.state, header.net_minor, header.tax_minor) == ("draft", 10_000, 810)
    [group] = document.taxes
    assert (group.category, group.rate_bp, group.jurisdiction, group.scheme) == ("S", 810, "CH", "provider")
    issued = model.from_snapshot(_issue(database, draft_id).snapshot or {})
    [facts] = issued.tax_facts["decisions"]
    assert (facts["rule"], facts["provider"]["name"]) == ("provider", "stripe")
    assert facts["provider"]["reference"].startswith("taxcalc_")


def test_a_business_with_a_vat_id_is_reverse_charged_as_the_provider_says(
    database: Database, stripe: StripeCustomer
) -> None:
    account_id = world.open_account(database, profile=replace(world.GERMANY, vat_id="DE136695976"))
    world.used(database, account_id, Use(10_000))
    draft_id = world.draft(database, account_id)
    _calculate(database, stripe)
    [group] = model.from_snapshot(_issue(database, draft_id).snapshot or {}).taxes
    assert (group.category, group.vatex, group.tax_minor) == ("AE", "VATEX-EU-AE", 0)


def test_a_calculation_of_another_address_or_too_old_is_refused_at_issue(
    database: Database, stripe: StripeCustomer
) -> None:
    account_id = world.open_account(database, profile=SWITZERLAND)
    world.used(database, account_id, Use(10_000))
    draft_id = world.draft(database, account_id)
    _calculate(database, stripe)
    with pytest.raises(TaxEvidenceOld):
        _issue(database, draft_id, days=31)
    with database.transaction() as session:
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=replace(SWITZERLAND, postcode="8002"))
    with pytest.raises(TaxCalculationNeeded):
        _issue(database, draft_id)
    assert _calculate(database, stripe) == 1
    assert _issue(database, draft_id).state == "issued"


def test_a_credit_note_of_late_charges_takes_the_providers_rate_and_no_gift(
    database: Database, stripe: StripeCustomer
) -> None:
    """900 at 1.00 billed; 200 late come to -20.00: with the provider's 8.1 % 21.62 are given back, and the gift stays whole."""
    account_id = volume_account(database)
    with database.transaction("jobs") as session:
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=SWITZERLAND)
    world.used(database, account_id, Use(900, at=IN_SEPTEMBER))
    first = world.draft(database, account_id, period=SEPTEMBER)
    _calculate(database, stripe)
    assert _issue(database, first).total_minor == 97_290
    gift(database, account_id, 500)
    world.used(database, account_id, Use(200, at=IN_SEPTEMBER), Use(0))
    note_id = world.draft(database, account_id)
    assert _calculate(database, stripe) == 1
    header, document = _draft(database, note_id)
    assert (header.kind, header.net_minor, header.tax_minor, document.allowances) == ("credit_note", 2_000, 162, ())
    issued = _issue(database, note_id)
    assert (issued.total_minor, issued.number) == (2_162, "CN-2026-000001")
    balance = world.balance(database, account_id)
    assert (balance.receivable_minor, balance.promo_minor, balance.unbilled_minor) == (2_162 - 97_290, 500, 0)


def test_an_invoice_is_billed_again_once_the_provider_has_said_what_todays_address_bears(
    database: Database, stripe: StripeCustomer
) -> None:
    account_id = world.open_account(database, profile=SWITZERLAND)
    world.used(database, account_id, Use(10_000))
    draft_id = world.draft(database, account_id)
    _calculate(database, stripe)
    issued = _issue(database, draft_id)
    with database.transaction() as session:
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=world.GERMANY)
    with pytest.raises(TaxCalculationNeeded):
        _billed_again(database, issued)
    assert _calculate(database, stripe) == 0
    for _ in range(2):
        with database.transaction() as session:
            corrections.want_taxes(session, now=NOW, invoice_id=issued.id)
    assert (_calculate(database, stripe), _calculate(database, stripe)) == (1, 0)
    with database.reading() as session:
        shown = corrections.preview(session, now=NOW, invoice_id=issued.id)
    done = _billed_again(database, issued)
    document = _draft(database, done.invoice_id)[1]
    [group] = document.taxes
    assert (group.category, group.rate_bp, group.jurisdiction, group.scheme) == ("S", 1900, "DE", "provider")
    assert (document.total_minor, shown.total_minor, document.corrects_number) == (11_900, 11_900, issued.number)
    [facts] = document.tax_facts["decisions"]
    assert facts["provider"]["reference"].startswith("taxcalc_")
    with database.reading("jobs") as session:
        assert reconciliation.compare(session, now=NOW).found == []


def _billed_again(database: Database, invoice: InvoiceHeader) -> corrections.Reissued:
    with database.transaction() as session:
        return corrections.reissue(session, now=NOW, invoice_id=invoice.id, reason="Moved", actor="usr_ann")
