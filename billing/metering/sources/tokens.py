"""Tokens that a model read and wrote, one event a request or a sum of many.

    {"type": "billing.tokens.metered", "data": {"model": "llama-3.1-70b", "input_tokens": 4808, "output_tokens": 10}}

The model is the variant of both meters, so each has its own price.
"""

from billing.metering.sources import reading
from billing.metering.sources.port import EventFacts, Told, Windowed


class Data(Windowed, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Whole tokens; in a correction they may be negative."""

    model: str
    input_tokens: int
    output_tokens: int
    corrects: str | None = None


class Tokens:
    """token_input and token_output, in tokens."""

    name = "tokens"
    meters = ("token_input", "token_output")
    event_types = ("billing.tokens.metered",)
    data = Data
    is_deferred = False

    def facts(self, told: Told, data: Data) -> EventFacts:
        """Both counts of one model. Raises Refused."""
        if data.corrects is None:
            start_at, end_at = reading.window(told, data)
        else:
            start_at, end_at = reading.window_of_correction(told)
        facts = EventFacts(
            source=told.source,
            source_id=told.id,
            account_id=told.account_id,
            meter_code="token_input",
            quantity_base=data.input_tokens,
            start_at=start_at,
            end_at=end_at,
            project_code=data.project,
            member_handle=data.submitter,
            resource=data.resource,
            tags=tuple(sorted(data.tags.items())),
            correlation_id=told.correlation_id,
            variant=reading.model(data.model),
            corrects=data.corrects,
        )
        return reading.of_many(facts, [("token_input", data.input_tokens), ("token_output", data.output_tokens)])
