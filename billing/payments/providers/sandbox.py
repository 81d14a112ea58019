"""The sandbox: a provider that lives in our own database, for development and tests. Its checkout page is `portal.sandbox`.

It keeps Stripe-shaped objects of its own, signs its events in the same way, and forgets nothing it promised: a repeated request
gives the same object, other content under the same key is an error. Like a real provider it reads its own clock.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from billing.kernel import canonical, clock
from billing.kernel.errors import Conflict
from billing.kernel.ids import new_id
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers import envelopes, facts, signing
from billing.payments.providers.envelopes import METADATA_KEY
from billing.payments.providers.port import CheckoutFacts, CheckoutRequest, Notice, RefundFacts, RefundRequestFacts
from billing.payments.tables import SandboxObject
from billing.reference import provider_currencies
from billing.storage.database import Database

SIGNATURE_HEADER = "Sandbox-Signature"
_CHECKOUT_LIFE = timedelta(hours=24)
CARD = "4242"
CARD_WITHOUT_REFUND = "5126"  # as Stripe's test card: pays, but a refund to it fails later


@dataclass(frozen=True, kw_only=True)
class SignedEvent:
    """An event as it would arrive: the exact bytes and the signature header."""

    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class SandboxCheckout:
    """What the checkout page shows."""

    id: str
    facts: CheckoutFacts
    title: str
    success_url: str
    cancel_url: str


class SandboxProvider:
    """The port, answered by ourselves."""

    name = "sandbox"
    is_live = False

    def __init__(
        self, *, secret: str, base_url: str, database: Database, read_clock: Callable[[], datetime] = clock.utc_now
    ) -> None:
        self._secret = secret
        self._base_url = base_url
        self._database = database
        self._read_clock = read_clock

    def create_customer(self, *, account_id: str, label: str) -> str:
        """A customer for the billing account, the same one each time."""
        body = {"object": "customer", "description": label, "metadata": {METADATA_KEY: account_id}}
        return str(self._create("customer", "cus", f"customer:{account_id}", body, reference=account_id)["id"])

    def create_checkout(self, request: CheckoutRequest) -> CheckoutFacts:
        """A checkout whose page is on this portal."""
        body = {
            "object": "checkout.session",
            "amount_total": provider_currencies.to_stripe(request.amount),
            "currency": request.amount.currency.lower(),
            "client_reference_id": request.reference,
            "customer": request.customer_id,
            "livemode": False,
            "metadata": envelopes.metadata(request.reference, request.correlation_id),
            "payment_intent": None,
            "payment_status": "unpaid",
            "status": "open",
            "title": request.title,
            "success_url": request.success_url,
            "cancel_url": request.cancel_url,
        }
        item = self._create("checkout.session", "cs_test", request.reference, body, reference=request.reference)
        return self.fetch_checkout(item["id"])

    def fetch_checkout(self, checkout_id: str) -> CheckoutFacts:
        """The checkout as it is now, its payment intent expanded."""
        with self._database.reading() as session:
            return self._checkout_facts(session, _get(session, checkout_id, "checkout.session"))

    def find_checkout(self, *, reference: str, customer_id: str, since: datetime) -> CheckoutFacts | None:
        """The checkout made for that reference, or None."""
        query = select(SandboxObject).where(
            SandboxObject.kind == "checkout.session", SandboxObject.reference == reference
        )
        with self._database.reading() as session:
            row = session.execute(query).scalars().first()
            return None if row is None else self._checkout_facts(session, row)

    def refund(self, request: RefundRequestFacts) -> RefundFacts:
        """Money back to the card: at once, except to the card whose refunds fail, which stays pending first."""
        amount = provider_currencies.to_stripe(request.amount)
        body = {
            "object": "refund",
            "amount": amount,
            "currency": request.amount.currency.lower(),
            "metadata": envelopes.metadata(request.reference, request.correlation_id),
            "payment_intent": request.payment_id,
            "balance_transaction": new_id("txn"),
        }
        with self._database.transaction() as session:
            payment = _get(session, request.payment_id, "payment_intent", lock=True)
            asked = {name: value for name, value in body.items() if name != "balance_transaction"}
            known = _known(session, request.reference, asked)
            if known is not None:
                return facts.refund_facts(known)
            if amount > payment.body["amount_received"] - self._refunded(session, payment.id):
                raise ProviderRefused("amount_too_large", "the refund is greater than what is left of the charge")
            last4 = payment.body["latest_charge"]["payment_method_details"]["card"]["last4"]
            body["status"] = "pending" if last4 == CARD_WITHOUT_REFUND else "succeeded"
            item = self._add(session, "refund", "re", request.reference, body, asked, parent_id=payment.id)
        return facts.refund_facts(item)

    def fetch_refund(self, refund_id: str) -> RefundFacts:
        """The refund as it is now: a pending one has failed by the time somebody asks."""
        with self._database.transaction() as session:
            row = _get(session, refund_id, "refund", lock=True)
            if row.body["status"] == "pending":
                row.body = row.body | {"status": "failed", "failure_reason": "expired_or_canceled_card"}
                session.flush()
            return facts.refund_facts(row.body)

    def list_refunds(self, payment_id: str) -> list[RefundFacts]:
        """All refunds of a payment."""
        with self._database.reading() as session:
            return [facts.refund_facts(row.body) for row in _refund_rows(session, payment_id)]

    def read_webhook(self, raw_body: bytes, headers: Mapping[str, str], *, now: datetime) -> Notice:
        """Check the signature over the raw bytes, then read the envelope: the same code as for Stripe."""
        signing.verify(raw_body, headers.get(SIGNATURE_HEADER), secret=self._secret, now=now)
        return envelopes.read(raw_body)

    def show(self, checkout_id: str) -> SandboxCheckout:
        """What the checkout page shows. Raises ProviderRefused(resource_missing) for an unknown id."""
        with self._database.reading() as session:
            row = _get(session, checkout_id, "checkout.session")
            found = self._checkout_facts(session, row)
        return SandboxCheckout(
            id=row.id,
            facts=found,
            title=row.body["title"],
            success_url=row.body["success_url"],
            cancel_url=row.body["cancel_url"],
        )

    def pay(self, checkout_id: str, *, now: datetime, last4: str = CARD) -> SignedEvent:
        """The customer pays: the checkout completes. Raises Conflict unless it is open."""
        with self._database.transaction() as session:
            row = self._open_checkout(session, checkout_id)
            balance = {"id": new_id("txn"), "object": "balance_transaction", "currency": row.body["currency"], "fee": 0}
            charge = {
                "id": new_id("ch"),
                "object": "charge",
                "created": clock.to_millis(now) // 1000,
                "balance_transaction": balance,
                "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": last4}},
            }
            intent = self._intent(row, status="succeeded", received=row.body["amount_total"], charge=charge)
            self._add(session, "payment_intent", "pi", None, intent, None, reference=row.reference)
            row.body = row.body | {"status": "complete", "payment_status": "paid", "payment_intent": intent["id"]}
            session.flush()
            return self._event("checkout.session.completed", row.body, now)

    def decline(self, checkout_id: str, *, now: datetime) -> SignedEvent:
        """The card is declined: the checkout stays open for another try. Raises Conflict unless it is open."""
        with self._database.transaction() as session:
            row = self._open_checkout(session, checkout_id)
            intent = self._intent(row, status="requires_payment_method", received=0, charge=None)
            intent["last_payment_error"] = {"code": "card_declined", "decline_code": "insufficient_funds"}
            self._add(session, "payment_intent", "pi", None, intent, None, reference=row.reference)
            row.body = row.body | {"payment_intent": intent["id"]}
            session.flush()
            return self._event("payment_intent.payment_failed", intent, now)

    def abandon(self, checkout_id: str, *, now: datetime) -> SignedEvent:
        """The customer leaves for good: the checkout expires unpaid. Raises Conflict unless it is open."""
        with self._database.transaction() as session:
            row = self._open_checkout(session, checkout_id)
            row.body = row.body | {"status": "expired"}
            session.flush()
            return self._event("checkout.session.expired", row.body, now)

    def sign(self, body: bytes, *, now: datetime) -> SignedEvent:
        """These bytes as an event of ours."""
        return SignedEvent(body=body, headers={SIGNATURE_HEADER: signing.sign(body, secret=self._secret, at=now)})

    def _event(self, event_type: str, item: dict[str, Any], now: datetime) -> SignedEvent:
        event = {
            "id": new_id("evt"),
            "object": "event",
            "type": event_type,
            "created": clock.to_millis(now) // 1000,
            "livemode": False,
            "data": {"object": item},
        }
        return self.sign(json.dumps(event).encode(), now=now)

    def _create(self, kind: str, prefix: str, key: str, body: dict[str, Any], *, reference: str) -> dict[str, Any]:
        try:
            with self._database.transaction() as session:
                return _known(session, key, body) or self._add(
                    session, kind, prefix, key, body, body, reference=reference
                )
        except IntegrityError:  # the same request at the same moment was faster
            with self._database.transaction() as session:
                return _known(session, key, body) or {}

    def _add(
        self,
        session: Session,
        kind: str,
        prefix: str,
        key: str | None,
        body: dict[str, Any],
        asked: dict[str, Any] | None,
        *,
        reference: str | None = None,
        parent_id: str | None = None,
    ) -> dict[str, Any]:
        body = {"id": new_id(prefix)} | body
        session.add(
            SandboxObject(
                id=body["id"],
                kind=kind,
                reference=reference,
                parent_id=parent_id,
                idempotency_key=key,
                request_hash=None if asked is None else canonical.digest("sandbox-request/1", asked),
                body=body,
                created_at=self._read_clock(),
            )
        )
        session.flush()
        return body

    def _open_checkout(self, session: Session, checkout_id: str) -> SandboxObject:
        row = _get(session, checkout_id, "checkout.session", lock=True)
        if row.body["status"] != "open" or self._is_over(row):
            raise Conflict(checkout_id=checkout_id, reason="checkout_not_open")
        return row

    def _checkout_facts(self, session: Session, row: SandboxObject) -> CheckoutFacts:
        body = row.body | {"url": f"{self._base_url}/sandbox/checkout/{row.id}"}
        if self._is_over(row):
            body["status"] = "expired"
        if body["payment_intent"] is not None:
            body["payment_intent"] = _get(session, body["payment_intent"], "payment_intent").body
        return facts.checkout_facts(body)

    def _is_over(self, row: SandboxObject) -> bool:
        return row.body["status"] == "open" and row.created_at + _CHECKOUT_LIFE < self._read_clock()

    @staticmethod
    def _intent(row: SandboxObject, *, status: str, received: int, charge: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "id": new_id("pi"),
            "object": "payment_intent",
            "amount": row.body["amount_total"],
            "amount_received": received,
            "currency": row.body["currency"],
            "customer": row.body["customer"],
            "latest_charge": charge,
            "livemode": False,
            "metadata": {METADATA_KEY: row.reference},
            "status": status,
        }

    @staticmethod
    def _refunded(session: Session, payment_id: str) -> int:
        return sum(row.body["amount"] for row in _refund_rows(session, payment_id) if row.body["status"] != "failed")


def _refund_rows(session: Session, payment_id: str) -> list[SandboxObject]:
    query = select(SandboxObject).where(SandboxObject.parent_id == payment_id, SandboxObject.kind == "refund")
    return list(session.execute(query.order_by(SandboxObject.id)).scalars())


def _known(session: Session, key: str, asked: dict[str, Any]) -> dict[str, Any] | None:
    """What was made under this key before. Raises OutcomeUnknown when other content was asked for, as Stripe refuses it."""
    row = session.execute(select(SandboxObject).where(SandboxObject.idempotency_key == key)).scalar_one_or_none()
    if row is None:
        return None
    if row.request_hash != canonical.digest("sandbox-request/1", asked):
        raise OutcomeUnknown("the idempotency key was used with other parameters")
    return dict(row.body)


def _get(session: Session, object_id: str, kind: str, *, lock: bool = False) -> SandboxObject:
    query = select(SandboxObject).where(SandboxObject.id == object_id, SandboxObject.kind == kind)
    row = session.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    if row is None:
        raise ProviderRefused("resource_missing", object_id)
    return row
