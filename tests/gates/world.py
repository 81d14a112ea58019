"""A seeded world for the gates: one tenant in which everything has happened once, a stranger beside it, people of every role.

Built by the services once a run; every worker and test gets a copy of the SQLite file.
"""

import io
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from flask import Flask
from PIL import Image
from sqlalchemy import select

from billing.accounts import (
    directory,
    invitations,
    keys,
    links,
    logos,
    permissions,
    recipients,
    registrations,
    resets,
    users,
)
from billing.accounts.tables import Seller
from billing.assurance import audit_log, reconciliation, reconciliation_findings
from billing.assurance.reconciliation_tally import Scope, Stage
from billing.catalog import books, commitments, plans, reservations
from billing.catalog.tables import Reservation
from billing.controls import second_person
from billing.controls.dunning import calendars
from billing.controls.dunning.calendar import made_of
from billing.invoicing import batches, seller_profiles
from billing.invoicing.documents import render
from billing.jobs import runner, shadow_works, works
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.ledger import adjustments, statement
from billing.notices import deliveries, relay
from billing.payments import acts, foreign_refunds, inbox, receipt_files, receipt_issue, refunds
from billing.payments.bank import transfers
from billing.payments.cash import movement_list, payout_list
from billing.payments.cash import sync as cash_sync
from billing.payments.charges import acts as charge_acts
from billing.payments.charges import agreements
from billing.payments.charges import history as charge_history
from billing.payments.customers import methods, saving
from billing.payments.customers.setups import SetupRow
from billing.payments.disputes import acts as dispute_acts
from billing.payments.disputes import evidence
from billing.payments.disputes import listing as disputes
from billing.payments.recovery.tables import UnmatchedPayment
from billing.payments.refund_subjects import Payee
from billing.payments.tables import ProviderEvent, SandboxObject
from billing.rating import price_changes, shadow, shadow_candidates
from billing.reference import ecb, fx_rates
from billing.storage.database import Database, DatabaseUrls, Session
from billing.storage.tables import Work
from portal import create_app
from portal.config import PortalConfig
from tests import databases, postgres, staff
from tests import keys as signing_keys
from tests.service.invoicing import world as invoicing_world
from tests.service.ledger import books as ledger
from tests.service.rating.world import Use
from tests.web import conftest as web
from tests.web import operators, tenants
from tests.web.tenants import Lived

SECRET = "k" * 40
TENANT, STRANGER, OTHER = "calla", "brine", "dahlia"
NOW = operators.NOW


@dataclass(frozen=True)
class World:
    """A database in which the seeded world lies; `ids` names its objects and the secrets of its keys."""

    urls: DatabaseUrls
    ids: dict[str, str]


def login_of(role: str, account: str | None = None) -> str:
    """The address with which the person of that role signs in; staff have no account."""
    return f"{role}@{account or 'ops'}.example.com"


def settings_of(urls: DatabaseUrls, base_url: str = "http://localhost") -> PortalConfig:
    """How the gates' portal is set up."""
    return PortalConfig(
        database=urls,
        secret_key=SECRET,
        base_url=base_url,
        is_testing=True,
        has_sandbox=True,
        signing_key_file=signing_keys.fresh(),
        # Every route is asked many times within the one minute at which the clock stands.
        api_reads_per_minute=1_000_000,
        api_writes_per_minute=1_000_000,
    )


@contextmanager
def running(urls: DatabaseUrls) -> Iterator[Flask]:
    """The application on that database."""
    app = create_app(settings_of(urls))
    try:
        yield app
    finally:
        app.extensions["plumbline"].database.dispose()


@contextmanager
def copied(run_dir: Path) -> Iterator[World]:
    """A copy of the seeded world on SQLite that nobody else sees."""
    template, ids = _template(run_dir)
    with databases.empty("sqlite", run_dir) as urls:
        shutil.copyfile(template, urls.web.removeprefix("sqlite:///"))
        yield World(urls=urls, ids=ids)


@contextmanager
def built(engine: str, run_dir: Path) -> Iterator[World]:
    """The seeded world built anew on either engine; the clock must stand at NOW."""
    with databases.fresh(engine, run_dir) as urls:
        yield World(urls=urls, ids=_build(urls))


def _template(run_dir: Path) -> tuple[Path, dict[str, str]]:
    template, noted = run_dir / "gates.db", run_dir / "gates.json"
    with postgres.locked(run_dir, "gates"):
        if not noted.exists():
            with databases.fresh("sqlite", run_dir) as urls:
                ids = _build(urls)
                path = urls.web.removeprefix("sqlite:///")
                with closing(sqlite3.connect(path)) as connection:
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                shutil.copyfile(path, template)
            noted.write_text(json.dumps(ids))
    return template, json.loads(noted.read_text())


def _build(urls: DatabaseUrls) -> dict[str, str]:
    with databases.opened(urls) as database, running(urls) as app:
        lived = tenants.lived(app, database, TENANT)
        ids = _of_tenant(database, lived)
        ids |= _of_operators(database, lived)
        _people(database)
        ids |= _approvals(database, ids["account_id"])
        ids |= _messages(database)
        ids |= _keys(database)
        ids |= _access(database)
        ids |= _numbered(database, ids["account_id"])
        ids |= _reconciled(database, ids)
        ids |= _tried(database)
        ids |= _reserved(database, ids["account_id"])
        ids |= _priced(database)
        ids |= _committed(database, ids["account_id"])
        ids |= _changing(database, ids["account_id"])
        ids |= _transferred(database, ids["other_account_id"], ids["account_id"])
        ids |= _selling(database, ids["account_id"])
        ids |= _disputed(database, lived)
        ids |= _moved(database, lived)
    return ids


def _moved(database: Database, lived: Lived) -> dict[str, str]:
    """What moved at the provider is read: the payment, a payout, and a fee that two persons must book."""
    sandbox, own = lived.house.sandbox, lived.house.services.database
    sandbox.pay_out("USD", now=NOW, available_by=NOW + timedelta(days=9))
    [sent] = sandbox.list_payouts()
    with own.transaction() as session:
        fee = sandbox.move(
            session,
            type="stripe_fee",
            source={"id": "fee_gates", "object": "fee", "currency": "usd"},
            amount=-500,
            now=NOW,
        )
        sandbox.move(
            session,
            type="topup",
            source={"id": "tu_gates", "object": "topup", "currency": "usd"},
            amount=10_000,
            now=NOW,
            available_after=timedelta(0),
        )  # something to pay out
    cash_sync.sync(database, {sandbox.name: sandbox}, now=NOW)
    with database.reading("jobs") as session:
        [paid] = movement_list.list_movements(session, movement_list.Filters(text=lived.payment.id, type="charge"))
        return {
            "movement_id": paid.id,
            "open_movement_id": movement_list.get_movement(session, fee["id"]).id,
            "payout_id": payout_list.get_payout(session, sent.id).id,
            "sandbox_payout_id": sent.id,
        }


def _disputed(database: Database, lived: Lived) -> dict[str, str]:
    """A bank asks about the tenant's payment, and an answer is prepared; an early warning stands beside it. No money has moved."""
    sandbox, paid = lived.house.sandbox, lived.payment.provider_payment_id
    sandbox.warn(paid, now=NOW)
    sandbox.open_dispute(paid, now=NOW, is_inquiry=True)
    dispute_acts.find_untold(database, {sandbox.name: sandbox}, now=NOW)
    with database.transaction("jobs") as session:
        [row] = disputes.list_disputes(session, disputes.Filters(account_id=lived.account_id))
        draft = evidence.save(
            session,
            now=NOW,
            dispute_id=row.id,
            texts={"uncategorized_text": "Used daily."},
            version=0,
            actor="usr_gates",
        )
        draft = evidence.attach(
            session,
            now=NOW,
            dispute_id=row.id,
            field="receipt",
            name="receipt.pdf",
            content=b"%PDF-1.7 receipt",
            version=draft.version,
            actor="usr_gates",
        )
    return {
        "dispute_id": row.id,
        "dispute_file_id": draft.files[0].id,
        "evidence_version": str(draft.version),
        "evidence_sha256": draft.sha256,
        "paid_id": paid,
    }


def _selling(database: Database, account_id: str) -> dict[str, str]:
    """The tenant's seller has a logo, and its payment a receipt."""
    picture = io.BytesIO()
    Image.new("RGB", (120, 40), "navy").save(picture, "PNG")
    with database.transaction("jobs") as session:
        seller = directory.get_seller(session, directory.get_account(session, account_id).seller_id)
        version = seller_profiles.version_of(seller)
        logo = logos.of_upload(picture.getvalue())
        seller_profiles.set_logo(session, now=NOW, seller_id=seller.id, logo=logo, version=version, actor="usr_gates")
        receipt_issue.issue_waiting(session, now=NOW, account_id=account_id)
        receipt = receipt_files.list_receipts(session, account_id=account_id)[0]
        found = {"seller_id": seller.id, "seller_version": seller_profiles.version_of(seller)}
    receipt_files.render_pending(database, now=NOW)
    return found | {"logo_sha256": logo.sha256, "receipt_id": receipt.id}


def _changing(database: Database, account_id: str) -> dict[str, str]:
    """A change of plan that has not begun."""
    with database.transaction() as session:
        made = price_changes.subscribe(
            session,
            now=NOW,
            account_id=account_id,
            plan_code="default",
            valid_from=datetime(2032, 1, 1, tzinfo=UTC),
            actor="usr_gates",
        )
        return {"subscription_id": made.id}


def _transferred(database: Database, account_id: str, tenant_account_id: str) -> dict[str, str]:
    """Two lines of the bank statement that were booked, one of them the tenant's."""
    with database.transaction() as session:
        _booked(session, tenant_account_id, "GATES-0")
        done = _booked(session, account_id, "GATES-1")
        return {
            "transfer_id": done.id,
            "value_on": NOW.date().isoformat(),
            "transfer_refund_id": _refunded_by_transfer(session, account_id),
        }


def _booked(session: Session, account_id: str, bank_reference: str) -> transfers.TransferRow:
    return transfers.book(
        session,
        now=NOW,
        account_id=account_id,
        line=transfers.Line(
            amount=Money(minor=2_000, currency="USD"),
            value_on=NOW.date(),
            bank_account="DE89370400440532013000",
            bank_reference=bank_reference,
            payer="Aloe GmbH",
        ),
        actor="usr_gates",
    )


def _refunded_by_transfer(session: Session, account_id: str) -> str:
    """A refund that waits for its bank transfer."""
    amount = Money(minor=700, currency="USD")
    line = transfers.Line(
        amount=amount,
        value_on=NOW.date(),
        bank_account="DE89370400440532013000",
        bank_reference="GATES-2",
        payer="Aloe GmbH",
    )
    paid = transfers.book(session, now=NOW, account_id=account_id, line=line, actor="usr_gates", shares=[])
    asked = refunds.request(
        session,
        now=NOW,
        account_id=account_id,
        mode="bank",
        amount=amount,
        reason="Paid twice",
        form_key="by-transfer",
        actor=operators.ASKER,
        payment_id=paid.payment_id,
        payee=Payee(name="Aloe GmbH", iban="DE89370400440532013000"),
    )
    staff.hire_two(session)
    second_person.approve(
        session,
        now=NOW,
        approval_id=str(asked.approval_id),
        content_hash=str(asked.content_hash),
        checker=staff.CHECKER,
    )
    return asked.id


def _committed(database: Database, account_id: str) -> dict[str, str]:
    """A commitment that nobody has bought yet."""
    with database.transaction() as session:
        contract = commitments.create(
            session,
            now=NOW,
            account_id=account_id,
            name="Gates",
            amount=Money(minor=100_000, currency="USD"),
            starts_at=datetime(2029, 1, 1, tzinfo=UTC),
            ends_at=datetime(2030, 1, 1, tzinfo=UTC),
            actor="usr_gates",
        )
        return {"contract_id": contract.id}


def _of_tenant(database: Database, lived: Lived) -> dict[str, str]:
    """What the tenant's own addresses are about."""
    refund = lived.house.ask_refund(lived.account_id, lived.payment, 1_000)
    unpaid = acts.start_checkout(
        lived.house.services.database,
        lived.house.sandbox,
        now=NOW,
        account_id=lived.account_id,
        purpose="top_up",
        amount=Money(minor=2_500, currency="USD"),
        form_key="unpaid",
        actor=operators.ASKER,
        return_url_of=lambda session_id: f"http://localhost/add-funds/{session_id}",
    )
    assert render.render_pending(database, now=NOW) == 1
    sandbox = lived.house.sandbox
    sandbox.refund_by_hand(lived.payment.provider_payment_id, 100, now=NOW)
    with database.transaction("jobs") as session:
        for seen in sandbox.list_refunds(lived.payment.provider_payment_id):
            case_id = foreign_refunds.note(
                session, now=NOW, provider=sandbox.name, payment_id=lived.payment.id, facts=seen
            )
    return _saved_method(lived) | {
        "case_id": case_id,
        "account_id": lived.account_id,
        "account": TENANT,
        "invoice_id": lived.invoice.id,
        "invoice_number": str(lived.invoice.number),
        "payment_id": lived.payment.id,
        "payment_session_id": str(unpaid.id),
        "checkout_id": str(unpaid.provider_session_id),
        "refund_id": refund.id,
        "budget_id": lived.budget_id,
        "line_id": lived.line_ids()[0],
        "usage_record_id": lived.record_ids()[0],
    }


def _saved_method(lived: Lived) -> dict[str, str]:
    """A saved card, a setup that waits, and the provider's page for both."""
    sandbox, database = lived.house.sandbox, lived.house.services.database

    def begin(key: str) -> SetupRow:
        return saving.start_setup(
            database,
            sandbox,
            now=NOW,
            account_id=lived.account_id,
            form_key=key,
            actor=operators.ASKER,
            return_url_of=lambda setup_id: f"http://localhost/payment-methods/setups/{setup_id}",
        )

    done = begin("saved")
    sandbox.save(str(done.provider_session_id), now=NOW, last4="4242")
    saving.look_up(database, sandbox, done, now=NOW)
    waiting = begin("waiting")
    portal_url = saving.open_portal(
        database, sandbox, now=NOW, account_id=lived.account_id, return_url="http://localhost/", actor=operators.ASKER
    )
    with database.reading() as session:
        [method] = methods.list_methods(session, account_id=lived.account_id)
    return _charged(lived, method.provider_method_id) | {
        "method_id": method.id,
        "setup_id": waiting.id,
        "setup_page_id": str(waiting.provider_session_id),
        "portal_id": portal_url.rpartition("/")[2],
    }


def _charged(lived: Lived, provider_method_id: str) -> dict[str, str]:
    """Automatic top-up that was agreed to, declined once, and ended: the agreement's version is 2."""
    sandbox, database = lived.house.sandbox, lived.house.services.database

    def agree(version: int, *, is_on: bool) -> None:
        figures = [Money(minor=minor, currency="USD") for minor in (10_000_000, 10_000, 20_000)]
        top_up = agreements.TopUp(threshold=figures[0], amount=figures[1], cap=figures[2])
        with database.transaction() as session:
            agreements.change(
                session,
                now=NOW,
                account_id=lived.account_id,
                is_paying=False,
                is_topping_up=is_on,
                top_up=top_up,
                version=version,
                providers=[sandbox.name],
                actor=operators.ASKER,
            )

    def bank_says(last4: str) -> None:
        with database.transaction() as session:
            row = session.get_one(SandboxObject, provider_method_id)
            row.body = row.body | {"card": row.body["card"] | {"last4": last4}}

    agree(0, is_on=True)
    bank_says("9995")
    later = NOW + timedelta(hours=1)  # while somebody is at the provider's page, nothing is charged
    assert charge_acts.top_up(database, {sandbox.name: sandbox}, now=later, account_id=lived.account_id) == "failed"
    bank_says("4242")
    agree(1, is_on=False)
    with database.transaction() as session:
        calendars.change(
            session,
            now=NOW,
            seller_id=directory.get_account(session, lived.account_id).seller_id,
            account_id=lived.account_id,
            steps=made_of(charges_at="due", retry_days=(2,), reminder_days=(-3, 1, 7, 14, 30)),
            reason="By contract",
            actor=operators.ASKER,
        )
    with database.reading() as session:
        [attempt] = charge_history.list_attempts(session, account_id=lived.account_id)
    return {"attempt_id": attempt.session_id}


def _of_operators(database: Database, lived: Lived) -> dict[str, str]:
    """What operators' addresses are about: a draft of another account, a batch, a run of a job, an event."""
    other_id = lived.house.account(OTHER, Use(10_000))
    draft_id = invoicing_world.draft(database, other_id)
    with database.transaction() as session:
        run_id = runner.ask_for(session, now=NOW, name="rate", actor="usr_x")
        batch_id = batches.start(
            session,
            now=NOW,
            act="approve",
            period_label=invoicing_world.OCTOBER,
            invoice_ids=[draft_id],
            form_key="batch",
            actor="usr_x",
        )
        event = inbox.list_events(session)[0]
        session.add(
            ProviderEvent(
                id="pev_failed", provider="sandbox", event_id="evt_failed", type="checkout.session.completed", body="{}",
                state="failed", attempts=1, note="amount_mismatch: x", received_at=NOW - timedelta(days=90), processed_at=NOW,
            )
        )  # fmt: skip
        session.add(
            UnmatchedPayment(
                id="ump_1", provider="sandbox", provider_payment_id="pi_foreign", kind="foreign", state="open",
                amount_minor=1200, currency="USD", paid_at=NOW, first_seen_at=NOW, last_seen_at=NOW, is_given_back=False,
            )
        )  # fmt: skip
        work_id = works.ask(session, now=NOW, kind="self-check", facts={}, form_key="work", actor="usr_x")
        dry_run_id = works.ask(
            session,
            now=NOW,
            kind="invoice-dry-run",
            facts={"period": invoicing_world.OCTOBER},
            form_key="gates-dry-run",
            actor="usr_x",
        )
        done = session.get_one(Work, dry_run_id)
        done.state, done.started_at, done.ended_at, done.moved_at = "succeeded", NOW, NOW, NOW
        done.result = {"counts": {"": 0}}
        seller_id = session.scalars(select(Seller.id)).first()
        audit_id = audit_log.list_rows(session, act="account.open", account_id=lived.account_id)[0].id
    return {
        "work_id": work_id,
        "dry_run_id": dry_run_id,
        "seller_id": str(seller_id),
        "audit_id": audit_id,
        "other_account_id": other_id,
        "draft_id": draft_id,
        "run_id": run_id,
        "batch_id": batch_id,
        "event_id": event.id,
        "failed_event_id": "pev_failed",
        "unmatched_id": "ump_1",
        "period": invoicing_world.OCTOBER,
    }


def _messages(database: Database) -> dict[str, str]:
    """An e-mail that waits, and one that its mail server has refused."""
    relay.deliver_due(database, now=NOW, by_mail=True)
    with database.transaction("jobs") as session:
        claimed = deliveries.claim(session, now=NOW)
        assert claimed is not None
        deliveries.record_not_taken(
            session, now=NOW, claimed=claimed, error="recipient_refused: 550 <b>nobody</b>", is_final=True
        )
        waiting, _ = deliveries.list_deliveries(session, state="waiting", topic="invoice.issued")
    return {"delivery_id": waiting[0].id, "failed_delivery_id": claimed.id}


def _people(database: Database) -> None:
    """Someone of every member role and of every staff role, and the owner of a tenant that is a stranger."""
    for role in permissions.MEMBER_ROLES:
        web.ensure_person(database, login_of(role, TENANT), account=TENANT, role=role)
    for role in permissions.STAFF_ROLES:
        web.ensure_person(database, login_of(role), account=None, staff=role)
    web.ensure_person(database, login_of("owner", STRANGER), account=STRANGER)


def _approvals(database: Database, account_id: str) -> dict[str, str]:
    """A gift that a maker asked for and that waits for a second person."""
    with database.transaction("jobs") as session:
        maker = users.find_user_by_login(session, login_of("maker"))
        assert maker is not None
        asked = adjustments.request(
            session,
            now=NOW,
            account_id=account_id,
            pair_code="gift",
            amount=Money(minor=500, currency="USD"),
            maker=maker.id,
            reason="Slow storage",
        )
    return {"approval_id": asked.id}


def _tried(database: Database) -> dict[str, str]:
    """A shadow rating that is done, and one that was asked for as a long work."""
    text = (
        'code = "default"\nname = "Default"\ncurrency = "USD"\nvalid_from = 2027-01-01T00:00:00Z\n'
        '[[prices]]\nsku = "analytics/query"\nmodel = "per_unit"\nunit_price = "0.011"\n'
    )
    with database.transaction("jobs") as session:
        question = shadow.Question(
            candidate=shadow_candidates.of_text(session, text), from_at=NOW - timedelta(days=60), to_at=NOW
        )
        trial = shadow.record(session, shadow.run(session, question), now=NOW, actor="test")
        asked = shadow_works.facts_of(
            text=text,
            price_book_id=None,
            from_at=question.from_at,
            to_at=question.to_at,
            account_ids=(),
            limits=question.limits,
            row_bound=question.row_bound,
        )
        work_id = works.ask(session, now=NOW, kind="shadow-rating", facts=asked, form_key="gates-shadow", actor="test")
    return {"trial_id": trial.id, "shadow_work_id": work_id}


def _priced(database: Database) -> dict[str, str]:
    """A candidate of the default book, and the plan that uses it."""
    text = (
        'code = "default"\nname = "Default price book"\ncurrency = "USD"\nvalid_from = 2030-01-01T00:00:00Z\n'
        '[[prices]]\nsku = "analytics/query"\nmodel = "per_unit"\nunit_price = "0.012"\n'
    )
    with database.transaction("jobs") as session:
        book_id = books.load(session, text, now=NOW, origin="file", actor="test").id
        return {"book_id": book_id, "plan_id": plans.get_plan(session, plans.DEFAULT_CODE).id}


def _reserved(database: Database, account_id: str) -> dict[str, str]:
    """A reservation that is still to come: it holds nothing yet."""
    with database.transaction("jobs") as session:
        row = Reservation(
            id=new_id("rsv"),
            billing_account_id=account_id,
            name="Training",
            meter_code="gpu_hour",
            variant="h100",
            rate_base=168_000,
            starts_at=NOW.replace(minute=0, second=0, microsecond=0) + timedelta(days=900),
            matched_at=reservations.NEVER_MATCHED,
            actor="test",
            created_at=NOW,
        )
        session.add(row)
        return {"reservation_id": row.id}


def _keys(database: Database) -> dict[str, str]:
    """{"key:<scope>": plain text} for the tenant's keys of one scope each, `key:stranger` with all of them."""
    made = {}
    with database.transaction("jobs") as session:
        tenant_id = directory.get_account_by_code(session, TENANT).tenant_id
        stranger_id = directory.get_account_by_code(session, STRANGER).tenant_id
        wanted = chain(
            ((scope, tenant_id, [scope]) for scope in sorted(permissions.SCOPES)),
            [("stranger", stranger_id, sorted(permissions.SCOPES))],
            ((scope, None, [scope]) for scope in sorted(permissions.STAFF_SCOPES)),
        )
        for name, owner_id, scopes in wanted:
            key, plaintext = keys.create_key(session, now=NOW, tenant_id=owner_id, label=name, scopes=scopes)
            made |= {f"key:{name}": plaintext, f"key_id:{name}": key.id}
    return made | {"api_key_id": made["key_id:usage.write"]}


def _access(database: Database) -> dict[str, str]:
    """People to be changed, invitations that wait, and the links that were mailed."""
    config = settings_of(database.urls)
    with database.transaction("jobs") as session:
        owner, viewer, operator = (
            users.find_user_by_login(session, login)
            for login in (login_of("owner", TENANT), login_of("viewer", TENANT), login_of("viewer"))
        )
        assert owner is not None
        assert viewer is not None
        assert operator is not None
        tenant_id = str(directory.get_account_by_code(session, TENANT).tenant_id)
        invited = invitations.invite(
            session, now=NOW, login="new@calla.example.com", actor=owner.id, tenant_id=tenant_id, role="viewer"
        )
        hired = invitations.invite(session, now=NOW, login="new@ops.example.com", actor="system", staff_role="viewer")
        key, _ = keys.create_key(
            session, now=NOW, tenant_id=None, label="importer", scopes=["usage.write"], tenant_ids=[tenant_id]
        )
        account_id = directory.get_account_by_code(session, TENANT).id
        listed = recipients.add(
            session, now=NOW, account_id=account_id, email="books@calla.example.com", actor=owner.id
        )
        resets.ask(session, login=login_of("billing", TENANT), now=NOW)
        reset = links.list_open(session, purpose=links.RESET, now=NOW, tenant_id=None)[0].id
    return {
        "member_id": viewer.id,
        "operator_id": operator.id,
        "invitation_id": invited,
        "staff_invitation_id": hired,
        "service_key_id": key.id,
        "recipient_id": listed,
        "recipient_token": links.make_token(listed, key=config.link_key),
        "invitation_token": links.make_token(invited, key=config.link_key),
        "reset_token": links.make_token(reset, key=config.link_key),
    }


def _numbered(database: Database, account_id: str) -> dict[str, str]:
    """Ids that only a list gives: the newest ledger transaction; and one that may be reversed, for what a provider holds may not."""
    with database.reading() as session:
        newest = statement.movements(session, account_id=account_id, currency="USD").rows[0]
    with database.transaction() as session:
        given = ledger.post(
            session, account_id, "goodwill", ledger.entry("adjustment", "bad_debt", "wallet", 1), now=NOW
        )
    return {"transaction_id": newest.transaction_id, "reversible_id": given.transaction_id}


def _reconciled(database: Database, ids: dict[str, str]) -> dict[str, str]:
    """A run of reconciliation, and a difference that it found."""
    stage = Stage(name="settlements", looked=1)
    subject = ("ledger_transaction", ids["transaction_id"])
    stage.differ(subject, "took 1 off", account=ids["account_id"], currency="USD", settled_minor=0, ledger_minor=1)
    comparison = reconciliation.Comparison(scope=Scope(now=NOW), stages=(stage,))
    with database.transaction("jobs") as session:
        run_id = reconciliation.record(session, now=NOW, comparison=comparison, actor="usr_x")
        [finding] = reconciliation_findings.list_findings(session, reconciliation_findings.Filters())
        seller = directory.get_seller(session, directory.get_account(session, ids["account_id"]).seller_id)
        registration = registrations.list_of(session, seller.id)[0]
    rates = ecb.read(b"Date,USD,JPY\n2026-10-30,1.1172,175.68\n", today=NOW.date())
    with database.transaction() as session:
        fx_rates.import_table(session, rates, now=NOW, actor="usr_x")
        (snapshot,), _ = fx_rates.list_snapshots(session)
    return {
        "reconciliation_run_id": run_id,
        "finding_id": finding.id,
        "seller": seller.code,
        "registration_id": registration.id,
        "fx_snapshot": snapshot.id,
    }
