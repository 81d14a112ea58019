"""What a dispute at the provider is to us: both axes, its postings, its history, in one transaction with whatever brought it."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import directory, heads
from billing.accounts.tables import AccountHead, BillingAccount
from billing.kernel.ids import new_id
from billing.payments.disputes import history, postings, states, telling
from billing.payments.disputes.tables import Dispute
from billing.payments.errors import OutcomeUnknown, ProviderMismatch
from billing.payments.providers.ports.disputes import DisputeFacts
from billing.payments.tables import Payment, PaymentSession
from billing.storage import correlation

_WAIT_FOR_PAYMENT = timedelta(hours=1)


def find_version(session: Session, *, provider: str, provider_dispute_id: str) -> int:
    """How often a look at the dispute was taken over, 0 for one that is new: to be read before the provider is asked."""
    query = select(Dispute.version).where(
        Dispute.provider == provider, Dispute.provider_dispute_id == provider_dispute_id
    )
    return session.execute(query).scalar_one_or_none() or 0


def record(
    session: Session, *, now: datetime, provider: str, is_live: bool, facts: DisputeFacts, version: int, actor: str
) -> str:
    """Bring our dispute to what the provider's object says and return its id; a second time changes nothing.

    `facts` must have been fetched after `version` was read: a look that another one has overtaken raises OutcomeUnknown and is done
    again, so that the last word is the newest. Locks the heads of the account and of its house, then the dispute. A payment that we
    know of but have not credited yet is waited for (OutcomeUnknown); one that we do not know makes the dispute a case without
    postings. Raises ProviderMismatch for another mode.
    """
    if facts.is_live != is_live:
        raise ProviderMismatch(reason="livemode_mismatch", dispute_id=facts.id)
    payment = _find_payment(session, provider, facts, now)
    locked = _lock(session, payment)
    item = _lock_dispute(session, provider, facts.id)
    if (item.version if item is not None else 0) != version:
        raise OutcomeUnknown("the dispute was looked at meanwhile")
    is_new = item is None
    if item is None:
        item = _new(session, provider, facts, now)
    before = _Before(item)
    _copy(item, facts, now)
    _link(item, payment, facts)
    if is_new:
        session.add(item)
        session.flush()
        history.add(session, item, now=now, type="opened", actor=actor, occurred_at=min(now, facts.opened_at))
    if item.finding is None and payment is not None:
        _book(session, now, item, payment, facts, locked, actor)
    elif item.finding is not None and item.finding != before.finding:
        history.add(session, item, now=now, type="case", actor=actor, facts={"finding": item.finding})
    if is_new or item.state != before.state:
        history.add(session, item, now=now, type=f"state_{item.state}", actor=actor, facts={"said": facts.status})
    telling.tell(session, item, now=now, state_before=before.state, was_standing=before.was_standing, actor=actor)
    session.flush()
    return item.id


def pass_time(session: Session, *, now: datetime, dispute_id: str) -> bool:
    """Whether a dispute that waits for an answer has become due: its deadline is within 72 h. Locks the dispute alone."""
    item = session.execute(
        select(Dispute).where(Dispute.id == dispute_id).with_for_update().execution_options(populate_existing=True)
    ).scalar_one()
    state = states.state_of(item.provider_state, due_by=item.due_by, now=now)
    if item.state not in states.WAITING or state == item.state:
        return False
    was_standing = telling.is_standing(item)
    before, item.state, item.updated_at = item.state, state, now
    history.add(session, item, now=now, type=f"state_{state}", actor="job:disputes")
    telling.tell(session, item, now=now, state_before=before, was_standing=was_standing, actor="job:disputes")
    return True


class _Before:
    """What the dispute said before this look."""

    def __init__(self, item: Dispute) -> None:
        self.state = item.state or None
        self.finding = item.finding
        self.was_standing = telling.is_standing(item)


def _find_payment(session: Session, provider: str, facts: DisputeFacts, now: datetime) -> Payment | None:
    found = session.execute(
        select(Payment).where(Payment.provider == provider, Payment.provider_payment_id == (facts.payment_id or ""))
    ).scalar_one_or_none()
    if found is None and facts.payment_reference and now - facts.opened_at < _WAIT_FOR_PAYMENT:
        ours = select(PaymentSession.id).where(
            PaymentSession.id == facts.payment_reference, PaymentSession.provider == provider
        )
        if session.execute(ours).first() is not None:
            raise OutcomeUnknown("the disputed payment is not credited yet")
    return found


def _lock(session: Session, payment: Payment | None) -> dict[str, AccountHead]:
    if payment is None:
        return {}
    account = session.get_one(BillingAccount, payment.billing_account_id)
    house_id = directory.house_account(session, account.seller_id).id
    locked = heads.lock(session, [account.id, house_id])
    return {"account": locked[account.id], "house": locked[house_id]}


def _lock_dispute(session: Session, provider: str, provider_dispute_id: str) -> Dispute | None:
    query = select(Dispute).where(Dispute.provider == provider, Dispute.provider_dispute_id == provider_dispute_id)
    return session.execute(query.with_for_update().execution_options(populate_existing=True)).scalar_one_or_none()


def _new(session: Session, provider: str, facts: DisputeFacts, now: datetime) -> Dispute:
    return Dispute(
        id=new_id("dsp"),
        provider=provider,
        provider_dispute_id=facts.id,
        is_inquiry=facts.is_inquiry,
        state="",
        funds="none",
        version=0,
        opened_at=facts.opened_at,
        recorded_at=now,
        correlation_id=correlation.current(),
    )


def _copy(item: Dispute, facts: DisputeFacts, now: datetime) -> None:
    item.provider_payment_id, item.provider_charge_id = facts.payment_id, facts.charge_id
    item.amount_minor, item.currency = facts.amount.minor, facts.amount.currency
    item.reason, item.network_reason_code = facts.reason, facts.network_reason_code
    # An inquiry that became a dispute is one; what ended as an inquiry stays one.
    item.is_inquiry = facts.is_inquiry
    item.provider_state, item.due_by = facts.status, facts.due_by
    item.submission_count = facts.submission_count
    item.state = states.state_of(facts.status, due_by=facts.due_by, now=now)
    item.ended_at = (item.ended_at or now) if item.state in states.ENDED else None
    item.version, item.updated_at, item.looked_up_at = item.version + 1, now, now


def _link(item: Dispute, payment: Payment | None, facts: DisputeFacts) -> None:
    if payment is None:
        item.finding = "payment_unknown"
        return
    item.payment_id, item.billing_account_id = payment.id, payment.billing_account_id
    item.finding = "currency_mismatch" if facts.amount.currency != payment.currency else None


def _book(
    session: Session,
    now: datetime,
    item: Dispute,
    payment: Payment,
    facts: DisputeFacts,
    locked: dict[str, AccountHead],
    actor: str,
) -> None:
    places = postings.credited_parts(session, payment.id)
    item.invoice_id = next((place for place in sorted(places) if place != "wallet"), None)
    session.flush()
    for movement in sorted(facts.movements, key=lambda one: (one.created_at, one.id)):
        postings.post_movement(
            session, now=now, head=locked["account"], house=locked["house"], item=item, movement=movement, actor=actor
        )
    postings.settle_loss(session, now=now, head=locked["account"], item=item, actor=actor)
    item.funds = states.funds_of(history.movements(session, item.id))
