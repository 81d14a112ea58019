"""Disputes and early warnings in the sandbox, and what a person does there as the cardholder's bank."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel import clock
from billing.kernel.errors import Conflict
from billing.payments.errors import ProviderRefused
from billing.payments.providers import dispute_facts, envelopes
from billing.payments.providers.ports.disputes import Answer, DisputeFacts, EvidenceFile, WarningFacts
from billing.payments.providers.sandbox.memory import SignedEvent, get, known
from billing.payments.providers.sandbox.movements import Movements
from billing.payments.tables import SandboxObject

FEE = 1500
WINNING, LOSING = "winning_evidence", "losing_evidence"  # as Stripe's own test words decide at once
_ANSWER_WITHIN = timedelta(days=9)
_OPEN = ("needs_response", "under_review")
_INQUIRY = ("warning_needs_response", "warning_under_review")


@dataclass(frozen=True, kw_only=True)
class SandboxPayment:
    """What the bank's page shows of a payment: its object and its disputes, newest first."""

    id: str
    body: dict[str, Any]
    disputes: list[dict[str, Any]]


class Disputes(Movements):
    """ports.disputes, answered by ourselves."""

    def fetch_dispute(self, dispute_id: str) -> DisputeFacts:
        """The dispute with its movements."""
        with self.database.reading() as session:
            return self._facts(session, get(session, dispute_id, "dispute").body)

    def list_disputes(self, *, since: datetime) -> list[DisputeFacts]:
        """All since then, newest first."""
        query = select(SandboxObject).where(SandboxObject.kind == "dispute", SandboxObject.created_at >= since)
        with self.database.reading() as session:
            rows = session.execute(query.order_by(SandboxObject.id.desc())).scalars()
            return [self._facts(session, row.body) for row in rows]

    def give_file(self, file: EvidenceFile) -> str:
        """A file's name and size; the bytes stay where they are."""
        body = {
            "object": "file",
            "purpose": "dispute_evidence",
            "filename": file.name,
            "size": len(file.content),
            "type": file.media_type,
        }
        return str(self.create("file", "file", file.reference, body, reference=file.reference)["id"])

    def submit_evidence(self, answer: Answer) -> DisputeFacts:
        """The bank reads it; `winning_evidence` and `losing_evidence` among the texts decide at once. Raises ProviderRefused."""
        asked = {"dispute": answer.dispute_id, "evidence": dict(answer.texts) | dict(answer.files)}
        with self.database.transaction() as session:
            row = get(session, answer.dispute_id, "dispute", lock=True)
            if known(session, answer.reference, asked) is None:
                self._require_open(row, "dispute_already_submitted")
                self.add(session, "dispute_answer", "dpa", answer.reference, asked, asked, parent_id=row.id)
                details = row.body["evidence_details"]
                row.body = row.body | {
                    "evidence": asked["evidence"],
                    "evidence_details": details
                    | {"has_evidence": True, "submission_count": details["submission_count"] + 1},
                    "metadata": envelopes.metadata(answer.reference, None),
                    "status": "warning_under_review" if row.body["status"] in _INQUIRY else "under_review",
                }
                session.flush()
                words = {str(text).strip() for text in answer.texts.values()}
                if words & {WINNING, LOSING} and row.body["status"] == "under_review":
                    self._decide(session, row, "won" if WINNING in words else "lost", self.read_clock())
            return self._facts(session, row.body)

    def accept_dispute(self, *, reference: str, dispute_id: str) -> DisputeFacts:
        """Given up: lost. Raises ProviderRefused unless it waits for an answer."""
        asked = {"dispute": dispute_id, "accepted": True}
        with self.database.transaction() as session:
            row = get(session, dispute_id, "dispute", lock=True)
            if known(session, reference, asked) is None:
                self._require_open(row, "dispute_already_closed")
                self.add(session, "dispute_answer", "dpa", reference, asked, asked, parent_id=row.id)
                self._decide(session, row, "lost", self.read_clock())
            return self._facts(session, row.body)

    def fetch_warning(self, warning_id: str) -> WarningFacts:
        """The warning."""
        with self.database.reading() as session:
            return dispute_facts.warning_facts(get(session, warning_id, "radar.early_fraud_warning").body)

    def show_payment(self, payment_id: str) -> SandboxPayment:
        """What the bank's page shows. Raises ProviderRefused(resource_missing) for an unknown id."""
        with self.database.reading() as session:
            row = get(session, payment_id, "payment_intent")
            return SandboxPayment(id=row.id, body=dict(row.body), disputes=[one.body for one in _of(session, row.id)])

    def list_paid(self, *, limit: int = 20) -> list[SandboxPayment]:
        """The newest payments that brought money, for the bank's page."""
        query = select(SandboxObject).where(SandboxObject.kind == "payment_intent")
        with self.database.reading() as session:
            rows = session.execute(query.order_by(SandboxObject.id.desc()).limit(5 * limit)).scalars()
            paid = [row for row in rows if row.body.get("amount_received")][:limit]
            return [
                SandboxPayment(id=row.id, body=dict(row.body), disputes=[one.body for one in _of(session, row.id)])
                for row in paid
            ]

    def open_dispute(
        self,
        payment_id: str,
        *,
        now: datetime,
        amount: int | None = None,
        reason: str = "fraudulent",
        is_inquiry: bool = False,
        due_by: datetime | None = None,
    ) -> list[SignedEvent]:
        """The cardholder disputes a payment, or only asks; `amount` in the sandbox's units. Raises Conflict while one is open."""
        with self.database.transaction() as session:
            payment = get(session, payment_id, "payment_intent", lock=True)
            received = int(payment.body["amount_received"])
            if not received:
                raise Conflict(payment_id=payment_id, reason="nothing_to_dispute")
            if any(one.body["status"] in (*_OPEN, *_INQUIRY) for one in _of(session, payment.id)):
                raise Conflict(payment_id=payment_id, reason="dispute_open")
            charge = payment.body["latest_charge"]
            body = {
                "object": "dispute",
                "amount": received if amount is None else amount,
                "charge": charge.get("id") if isinstance(charge, dict) else charge,
                "created": clock.to_millis(now) // 1000,
                "currency": payment.body["currency"],
                "evidence": {},
                "evidence_details": {
                    "due_by": clock.to_millis(due_by or now + _ANSWER_WITHIN) // 1000,
                    "has_evidence": False,
                    "past_due": False,
                    "submission_count": 0,
                },
                "is_charge_refundable": is_inquiry,
                "livemode": False,
                "metadata": {},
                "network_reason_code": "10.4" if reason == "fraudulent" else "13.1",
                "payment_intent": payment.id,
                "reason": reason,
                "status": "warning_needs_response" if is_inquiry else "needs_response",
            }
            made = self.add(session, "dispute", "dp", None, body, None, parent_id=payment.id)
            told = [self.event("charge.dispute.created", made, now)]
            if not is_inquiry:
                self._move(session, made, -int(made["amount"]), now, fee=FEE)
                told.append(self.event("charge.dispute.funds_withdrawn", made, now))
            return told

    def decide(self, dispute_id: str, outcome: str, *, now: datetime) -> list[SignedEvent]:
        """The bank decides: won, lost, closed (an inquiry), disputed (an inquiry becomes one), reinstated or withdrawn (once more).

        Raises Conflict where that cannot happen.
        """
        with self.database.transaction() as session:
            row = get(session, dispute_id, "dispute", lock=True)
            return self._decide(session, row, outcome, now)

    def warn(self, payment_id: str, *, now: datetime, fraud_type: str = "made_with_stolen_card") -> list[SignedEvent]:
        """The card's issuer warns of fraud."""
        with self.database.transaction() as session:
            payment = get(session, payment_id, "payment_intent")
            charge = payment.body["latest_charge"]
            body = {
                "object": "radar.early_fraud_warning",
                "actionable": True,
                "charge": charge.get("id") if isinstance(charge, dict) else charge,
                "created": clock.to_millis(now) // 1000,
                "fraud_type": fraud_type,
                "livemode": False,
                "payment_intent": payment.id,
            }
            made = self.add(session, "radar.early_fraud_warning", "issfr", None, body, None, parent_id=payment.id)
            return [self.event("radar.early_fraud_warning.created", made, now)]

    def _decide(self, session: Session, row: SandboxObject, outcome: str, now: datetime) -> list[SignedEvent]:
        status, amount = str(row.body["status"]), int(row.body["amount"])
        held = -sum(int(one["amount"]) for one in self._moved(session, row.id))
        told: list[str] = []
        if outcome in ("won", "lost") and status in _OPEN:
            row.body = row.body | {"status": outcome}
            if outcome == "won" and held > 0:
                self._move(session, row.body, held, now)
                told.append("charge.dispute.funds_reinstated")
            told.append("charge.dispute.closed")
        elif outcome == "closed" and status in _INQUIRY:
            row.body = row.body | {"status": "warning_closed"}
            told.append("charge.dispute.closed")
        elif outcome == "disputed" and status in _INQUIRY:
            row.body = row.body | {"status": "needs_response", "is_charge_refundable": False}
            self._move(session, row.body, -amount, now, fee=FEE)
            told += ["charge.dispute.updated", "charge.dispute.funds_withdrawn"]
        elif outcome == "reinstated" and held > 0 and status in ("won", "lost"):
            row.body = row.body | {"status": "won"}
            self._move(session, row.body, held, now)
            told.append("charge.dispute.funds_reinstated")
        elif outcome == "withdrawn" and held <= 0 and status == "won":
            row.body = row.body | {"status": "lost"}
            self._move(session, row.body, -amount, now)
            told.append("charge.dispute.funds_withdrawn")
        else:
            raise Conflict(dispute_id=row.id, reason="dispute_not_open", state=status)
        session.flush()
        return [self.event(name, dict(row.body), now) for name in told]

    def _move(self, session: Session, dispute: dict[str, Any], amount: int, now: datetime, fee: int = 0) -> None:
        self.move(
            session,
            type="adjustment",
            source=dispute,
            amount=amount,
            fee=fee,
            now=now,
            payment_id=dispute["payment_intent"],
        )

    def _facts(self, session: Session, body: dict[str, Any]) -> DisputeFacts:
        intent = get(session, body["payment_intent"], "payment_intent").body
        return dispute_facts.dispute_facts(
            body | {"payment_intent": intent, "balance_transactions": list(self._moved(session, body["id"]))}
        )

    @staticmethod
    def _moved(session: Session, dispute_id: str) -> Iterable[dict[str, Any]]:
        query = select(SandboxObject).where(
            SandboxObject.kind == "balance_transaction", SandboxObject.reference == dispute_id
        )
        return [row.body for row in session.execute(query.order_by(SandboxObject.id)).scalars()]

    @staticmethod
    def _require_open(row: SandboxObject, reason: str) -> None:
        if row.body["status"] not in ("needs_response", "warning_needs_response"):
            raise ProviderRefused(reason, "the dispute does not wait for an answer")


def _of(session: Session, payment_id: str) -> list[SandboxObject]:
    query = select(SandboxObject).where(SandboxObject.parent_id == payment_id, SandboxObject.kind == "dispute")
    return list(session.execute(query.order_by(SandboxObject.id.desc())).scalars())
