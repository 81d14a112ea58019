"""Answering a dispute: put together from our books, edited, submitted once, and found out where nobody answered."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import select

from billing.kernel.errors import Conflict, Invalid
from billing.payments.disputes import acts, evidence, fields, listing, submissions
from billing.payments.disputes.errors import DeadlinePassed, EvidenceChanged, NotAnswerable
from billing.payments.disputes.submissions import SubmissionRow
from billing.payments.disputes.tables import DisputeSubmission
from billing.storage.tables import OutboxMessage
from tests.service.payments.disputing import Bank, happened, the_dispute
from tests.service.payments.world import StripeCustomer, World

ACTOR = "usr_finance"
PDF = b"%PDF-1.7 what the customer signed"
StripeWorld = tuple[World, StripeCustomer]


def disputed(world: World, **more: object) -> str:
    """A top-up of 50.00 in dispute; our id of it."""
    payment = world.top_up(5_000)
    world.deliver(*Bank(world).dispute(payment, **more))
    return the_dispute(world).id


def write(world: World, dispute_id: str, text: str = "Used daily.", *, with_file: bool = False) -> evidence.Draft:
    with world.database.transaction() as session:
        draft = evidence.get_draft(session, dispute_id)
        draft = evidence.save(
            session,
            now=world.now,
            dispute_id=dispute_id,
            texts={"uncategorized_text": text},
            version=draft.version,
            actor=ACTOR,
        )
        if with_file:
            draft = evidence.attach(
                session,
                now=world.now,
                dispute_id=dispute_id,
                field="service_documentation",
                name="contract.pdf",
                content=PDF,
                version=draft.version,
                actor=ACTOR,
            )
    return draft


def answer(world: World, dispute_id: str, *, sha256: str, kind: str = "evidence", form_key: str = "f") -> SubmissionRow:
    return acts.answer(
        world.database,
        world.providers,
        now=world.now,
        dispute_id=dispute_id,
        kind=kind,
        expected_sha256=sha256,
        form_key=form_key,
        actor=ACTOR,
    )


def test_evidence_with_a_file_is_submitted_once_and_kept_byte_for_byte(world: World) -> None:
    dispute_id = disputed(world)
    draft = write(world, dispute_id, with_file=True)
    done = answer(world, dispute_id, sha256=draft.sha256)
    assert (done.state, the_dispute(world).state) == ("submitted", "evidence_submitted")
    assert answer(world, dispute_id, sha256=draft.sha256).id == done.id  # the same form again
    with pytest.raises(NotAnswerable):
        answer(world, dispute_id, sha256=draft.sha256, form_key="g")
    with world.database.reading() as session:
        [row] = session.scalars(select(DisputeSubmission))
        assert (hashlib.sha256(row.content).hexdigest(), row.sha256) == (draft.sha256, draft.sha256)
        assert b"Used daily." in row.content
        assert hashlib.sha256(PDF).hexdigest().encode() in row.content
    with pytest.raises(NotAnswerable):
        write(world, dispute_id, "too late")


@pytest.mark.parametrize(
    ("words", "state", "wallet"), [("winning_evidence", "won", 5_000), ("losing_evidence", "lost", 0)]
)
def test_the_providers_test_words_decide(world: World, words: str, state: str, wallet: int) -> None:
    dispute_id = disputed(world)
    answer(world, dispute_id, sha256=write(world, dispute_id, words).sha256)
    assert (the_dispute(world).state, world.held("wallet"), world.held("disputed")) == (state, wallet, 0)


def test_acceptance_loses_at_once(stripe_world: StripeWorld) -> None:
    world, _customer = stripe_world
    dispute_id = disputed(world)
    done = answer(world, dispute_id, sha256="", kind="acceptance")
    assert (done.kind, done.state, the_dispute(world).state) == ("acceptance", "submitted", "lost")
    assert (world.held("wallet"), world.held("disputed")) == (0, 0)


def test_an_inquiry_is_not_accepted_but_may_be_answered(stripe_world: StripeWorld) -> None:
    world, _customer = stripe_world
    dispute_id = disputed(world, is_inquiry=True)
    with pytest.raises(NotAnswerable) as refusal:
        answer(world, dispute_id, sha256="", kind="acceptance")
    assert refusal.value.fields["reason"] == "inquiry_is_refunded"
    assert answer(world, dispute_id, sha256=write(world, dispute_id).sha256).state == "submitted"


def test_what_somebody_changed_meanwhile_is_not_submitted(stripe_world: StripeWorld) -> None:
    world, _customer = stripe_world
    dispute_id = disputed(world)
    seen = write(world, dispute_id)
    write(world, dispute_id, "Something else.")
    with pytest.raises(EvidenceChanged):
        answer(world, dispute_id, sha256=seen.sha256)
    with pytest.raises(EvidenceChanged), world.database.transaction() as session:
        evidence.save(session, now=world.now, dispute_id=dispute_id, texts={}, version=seen.version, actor=ACTOR)


def test_after_the_deadline_nothing_is_sent(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    dispute_id = disputed(world)
    draft = write(world, dispute_id)
    world.later(days=9)
    before = len(customer.peer.calls)
    with pytest.raises(DeadlinePassed):
        answer(world, dispute_id, sha256=draft.sha256)
    assert len(customer.peer.calls) == before


def test_an_answer_without_content_is_refused(stripe_world: StripeWorld) -> None:
    world, _customer = stripe_world
    dispute_id = disputed(world)
    with pytest.raises(Invalid) as refusal:
        answer(world, dispute_id, sha256="")
    assert refusal.value.fields["reason"] == "evidence_empty"
    answer(world, dispute_id, sha256="", kind="acceptance", form_key="a")
    with pytest.raises(Conflict):
        answer(world, dispute_id, sha256="", kind="evidence", form_key="a")


@pytest.mark.parametrize("fault", ["drop_after", "error_500_after"])
def test_an_answer_nobody_confirmed_is_looked_up_and_not_sent_again(stripe_world: StripeWorld, fault: str) -> None:
    world, customer = stripe_world
    dispute_id = disputed(world)
    path = f"/v1/disputes/{the_dispute(world).provider_dispute_id}"
    draft = write(world, dispute_id)
    customer.peer.fail_next(fault, path, 1)  # type: ignore[arg-type]
    assert answer(world, dispute_id, sha256=draft.sha256).state == "unknown"
    world.later(minutes=2)
    assert acts.run(world.database, world.providers, now=world.now) >= 1
    with world.database.reading() as session:
        assert submissions.list_submissions(session, dispute_id)[0].state == "submitted"
    assert customer.peer.count_calls("POST", path) == 1
    assert the_dispute(world).state == "evidence_submitted"


def test_an_answer_that_never_arrived_is_sent_again_under_its_key(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    dispute_id = disputed(world)
    path = f"/v1/disputes/{the_dispute(world).provider_dispute_id}"
    draft = write(world, dispute_id, with_file=True)
    customer.peer.fail_next("drop_before", path, 1)
    assert answer(world, dispute_id, sha256=draft.sha256).state == "unknown"
    world.later(minutes=2)
    acts.run(world.database, world.providers, now=world.now)
    keys = [key for method, called, key in customer.peer.calls if (method, called) == ("POST", path)]
    assert (len(keys), len(set(keys))) == (2, 1)
    assert customer.peer.count_calls("POST", "/v1/files") == 1
    assert the_dispute(world).state == "evidence_submitted"


def test_an_answer_that_never_arrived_in_time_is_given_up(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    dispute_id = disputed(world)
    path = f"/v1/disputes/{the_dispute(world).provider_dispute_id}"
    draft = write(world, dispute_id)
    customer.peer.fail_next("drop_before", path, 1)
    answer(world, dispute_id, sha256=draft.sha256)
    world.later(hours=24)
    acts.run(world.database, world.providers, now=world.now)
    with world.database.reading() as session:
        [row] = submissions.list_submissions(session, dispute_id)
    assert (row.state, row.failure) == ("failed", "never_reached_provider")


def test_a_deadline_within_three_days_is_told_once(stripe_world: StripeWorld) -> None:
    world, _customer = stripe_world
    disputed(world)
    for _ in range(2):
        acts.run(world.database, world.providers, now=world.now)
    assert the_dispute(world).state == "needs_response"
    world.now = the_dispute(world).due_by - timedelta(hours=72)  # type: ignore[operator]
    for _ in range(2):
        acts.run(world.database, world.providers, now=world.now)
    assert the_dispute(world).state == "evidence_due"
    with world.database.reading() as session:
        topics = list(session.scalars(select(OutboxMessage.topic).where(OutboxMessage.topic == "dispute.evidence_due")))
    assert topics == ["dispute.evidence_due"]
    assert happened(world).count("state_evidence_due") == 1


def test_a_dispute_that_no_event_told_of_is_found_in_the_list(stripe_world: StripeWorld) -> None:
    world, _customer = stripe_world
    payment = world.top_up(5_000)
    Bank(world).dispute(payment)
    assert acts.find_untold(world.database, world.providers, now=world.now) == 1
    assert acts.find_untold(world.database, world.providers, now=world.now) == 0
    assert (world.held("disputed"), the_dispute(world).state) == (-5_000, "needs_response")


def test_evidence_is_put_together_from_our_books(stripe_world: StripeWorld) -> None:
    world, _customer = stripe_world
    dispute_id = disputed(world)
    acts.run(world.database, world.providers, now=world.now)
    with world.database.reading() as session:
        draft = evidence.get_draft(session, dispute_id)
        row = listing.get_dispute(session, key=dispute_id)
    assert draft.texts["customer_name"] == row.account_name
    assert row.provider_payment_id in draft.texts["uncategorized_text"]
    assert "number 1 of the account's chain, SHA-256 " in draft.texts["uncategorized_text"]
    assert draft.updated_by == "job:disputes"


def test_limits_of_the_provider_hold() -> None:
    with pytest.raises(Invalid) as long:
        fields.require_texts({"uncategorized_text": "x" * 20_001})
    assert long.value.fields["reason"] == "evidence_text_too_long"
    names = [field.name for field in fields.TEXTS]
    with pytest.raises(Invalid) as together:
        fields.require_texts(dict.fromkeys(names, "x" * 19_000))
    assert together.value.fields["reason"] == "evidence_texts_too_long"
    for content, reason in ((b"", "evidence_file_empty"), (b"GIF89a", "evidence_file_type")):
        with pytest.raises(Invalid) as refusal:
            fields.require_file("receipt", content)
        assert refusal.value.fields["reason"] == reason
    with pytest.raises(Invalid):
        fields.require_file("receipt", b"%PDF-" + b"x" * 5 * 1024 * 1024)
    assert fields.require_file("receipt", PDF) == "application/pdf"
    assert len(fields.shorten("line\n" * 10_000)) <= 20_000
