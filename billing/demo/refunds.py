"""Refunds beyond the plain ones: behind a credit note, made at the provider's own pages and adopted, and the limits of the roles."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from billing.controls import second_person
from billing.demo.settling import APPROVER, MAKER, Cloud
from billing.kernel.money import Money
from billing.payments import acts, foreign_refunds, refund_authority, refund_offers, refunds, sessions
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.refund_offers import Offer
from billing.payments.refunds import RefundRow
from billing.storage.database import Session

_ADMIN = "root@plumbline.example"
_LIMITS = (("maker", 50_000, 200_000), ("approver", 500_000, 2_000_000))
_CREDITED_MINOR, _BY_HAND_MINOR = 3_900, 1_500


def acts_of_month(cloud: Cloud, *, is_present: bool) -> Iterator[tuple[datetime, Callable[[], None]]]:
    """(instant, act) of the present month; nothing in any other."""
    if is_present:
        yield cloud.now - timedelta(minutes=90), partial(_tell, cloud)


def _tell(cloud: Cloud) -> None:
    """The whole story, once; it ends with books that the provider's agree with."""
    with cloud.database.reading("jobs") as session:
        if refund_authority.in_force(session):
            return
    _set_limits(cloud)
    _credit_and_refund(cloud)
    _adopt(cloud)


def _set_limits(cloud: Cloud) -> None:
    at = cloud.now - timedelta(minutes=90)
    for role, per_refund_minor, per_day_minor in _LIMITS:
        with cloud.database.transaction("jobs") as session:
            asked = refund_authority.request(
                session,
                now=at,
                role=role,
                currency="USD",
                per_refund_minor=per_refund_minor,
                per_day_minor=per_day_minor,
                maker=cloud.people[MAKER],
                reason="Limits for the new year",
            )
            second_person.approve(
                session,
                now=at,
                approval_id=asked.id,
                content_hash=asked.content_hash,
                checker=cloud.people[_ADMIN],
            )


def _credit_and_refund(cloud: Cloud) -> None:
    """Part of an invoice that was paid by card goes back behind a credit note, in one decision."""
    at, account_id = cloud.now - timedelta(minutes=85), cloud.account_ids["northwind"]
    with cloud.database.transaction("jobs") as session:
        offer = _find_credited(session, account_id, at)
        if offer is None or offer.payment is None:
            return
        asked = refunds.request(
            session,
            now=at,
            account_id=account_id,
            mode=offer.mode,
            amount=Money(minor=_CREDITED_MINOR, currency=offer.limit.currency),
            reason="Two nodes were down on the 14th",
            form_key="demo-refund-credited",
            actor=cloud.people["ada@northwind.example"],
            payment_id=offer.payment.id,
            invoice_id=offer.invoice_id,
        )
        _approve(session, cloud, asked, at)
    acts.send_refund(cloud.database, cloud.providers, now=at, refund_id=asked.id, role="jobs")


def _find_credited(session: Session, account_id: str, now: datetime) -> Offer | None:
    offered = refund_offers.list_offers(session, now=now, account_id=account_id, limit=20)
    return next((one for one in offered if one.payment and one.invoice_id and one.limit.minor >= _CREDITED_MINOR), None)


def _adopt(cloud: Cloud) -> None:
    """Support refunded a top-up on the provider's pages; finance found it and two people adopted it."""
    at, account_id, sandbox = (
        cloud.now - timedelta(minutes=80),
        cloud.account_ids["heliograph"],
        cloud.providers["sandbox"],
    )
    with cloud.database.reading("jobs") as session:
        payments = [
            row for row in sessions.list_payments(session, account_id=account_id) if row.provider == sandbox.name
        ]
    payment = next((row for row in reversed(payments) if row.rest_minor >= _BY_HAND_MINOR), None)
    if payment is None or not isinstance(sandbox, SandboxProvider):
        return
    sandbox.refund_by_hand(payment.provider_payment_id, _BY_HAND_MINOR, now=at)
    for seen in sandbox.list_refunds(payment.provider_payment_id):
        if seen.reference is not None:
            continue
        with cloud.database.transaction("jobs") as session:
            case_id = foreign_refunds.note(session, now=at, provider=sandbox.name, payment_id=payment.id, facts=seen)
            asked = foreign_refunds.ask_adoption(
                session,
                now=at,
                case_id=case_id,
                reason="Support refunded it on the provider's pages by phone",
                form_key="demo-refund-adopted",
                actor=cloud.people[MAKER],
            )
            _approve(session, cloud, asked, at)


def _approve(session: Session, cloud: Cloud, asked: RefundRow, at: datetime) -> None:
    second_person.approve(
        session,
        now=at,
        approval_id=str(asked.approval_id),
        content_hash=str(asked.content_hash),
        checker=cloud.people[APPROVER],
    )
