"""GET /billing/reservations: reserved capacity, and how much of it was used."""

from typing import Literal

from flask import Response
from pydantic import Field

from billing.exports.csv import decimal_text
from portal import reservation_words, services
from portal.api import answers, keys, parameters
from portal.api.values import Instant, Out


class Reservation(Out):
    """One reservation. Quantities are in `unit`, as decimal text; utilisation is null before its first hour has ended."""

    id: str
    account: str
    name: str
    meter: str
    variant: str
    unit: str
    capacity_per_hour: str
    starts_at: Instant
    ends_at: Instant | None
    state: Literal["coming", "running", "ended"]
    used: str
    unused: str
    utilisation_percent: str | None = Field(description="Of the hours that have ended, two decimals.")


class ReservationList(Out):
    """All of them, newest first."""

    data: list[Reservation]


@keys.needs("billing.read")
def list_reservations() -> Response:
    """Newest first; ended ones too."""
    parameters.refuse_unknown("account")
    now = services.now()
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        rows = reservation_words.rows(session, account.id, now)
    return answers.of(
        ReservationList(
            data=[
                Reservation(
                    id=one.row.id,
                    account=account.code,
                    name=one.row.name,
                    meter=one.row.meter_code,
                    variant=one.row.variant,
                    unit=one.row.unit,
                    capacity_per_hour=decimal_text(one.row.capacity),
                    starts_at=one.row.starts_at,
                    ends_at=one.row.ends_at,
                    state=_STATES[one.row.state(now)],
                    used=decimal_text(one.reserved),
                    unused=decimal_text(one.unused),
                    utilisation_percent=(
                        None if one.utilisation is None else decimal_text(one.utilisation * 100, places=2)
                    ),
                )
                for one in rows
            ]
        )
    )


_STATES: dict[str, Literal["coming", "running", "ended"]] = {"coming": "coming", "running": "running", "ended": "ended"}
