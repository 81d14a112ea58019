"""Disputes and early warnings at Stripe."""

import io
from datetime import datetime
from typing import Any

from billing.kernel.clock import to_millis
from billing.payments.providers import dispute_facts, envelopes
from billing.payments.providers.ports.disputes import Answer, DisputeFacts, EvidenceFile, WarningFacts
from billing.payments.providers.stripe.calls import StripeCalls

_EXPAND = ["payment_intent"]


class Disputes(StripeCalls):
    """ports.disputes, spoken to Stripe."""

    def fetch_dispute(self, dispute_id: str) -> DisputeFacts:
        """The dispute; Stripe lists its balance transactions whole."""
        return dispute_facts.dispute_facts(
            self.call(lambda client: client.v1.disputes.retrieve(dispute_id, _expand()).to_dict())
        )

    def list_disputes(self, *, since: datetime) -> list[DisputeFacts]:
        """All since then."""
        params: Any = {"created": {"gte": to_millis(since) // 1000}, "limit": 100}
        params |= {"expand": [f"data.{name}" for name in _EXPAND]}
        items: list[dict[str, Any]] = self.call(
            lambda client: [item.to_dict() for item in client.v1.disputes.list(params).auto_paging_iter()]
        )
        return [dispute_facts.dispute_facts(item) for item in items]

    def give_file(self, file: EvidenceFile) -> str:
        """An upload with the purpose dispute_evidence."""
        handle = io.BytesIO(file.content)
        handle.name = file.name  # the SDK takes the part's file name from it
        params: Any = {"purpose": "dispute_evidence", "file": handle}
        options: Any = {"idempotency_key": file.reference}
        return self.call(lambda client: client.v1.files.create(params, options).id)

    def submit_evidence(self, answer: Answer) -> DisputeFacts:
        """All fields in one request that submits them."""
        params: Any = {
            "evidence": dict(answer.texts) | dict(answer.files),
            "submit": True,
            "metadata": envelopes.metadata(answer.reference, None),
            "expand": _EXPAND,
        }
        options: Any = {"idempotency_key": answer.reference}
        return dispute_facts.dispute_facts(
            self.call(lambda client: client.v1.disputes.update(answer.dispute_id, params, options).to_dict())
        )

    def accept_dispute(self, *, reference: str, dispute_id: str) -> DisputeFacts:
        """Stripe calls it closing."""
        options: Any = {"idempotency_key": reference}
        return dispute_facts.dispute_facts(
            self.call(lambda client: client.v1.disputes.close(dispute_id, _expand(), options).to_dict())
        )

    def fetch_warning(self, warning_id: str) -> WarningFacts:
        """The warning."""
        return dispute_facts.warning_facts(
            self.call(lambda client: client.v1.radar.early_fraud_warnings.retrieve(warning_id).to_dict())
        )


def _expand() -> Any:
    return {"expand": list(_EXPAND)}
