"""Rates of countries that the table does not hold, entered by one person and allowed by another; dated, never changed."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import approvals, countries, names
from billing.accounts.access_tables import Approval
from billing.accounts.approvals import Allowed
from billing.accounts.tables import Seller
from billing.accounts.tax_tables import ManualRate
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit

ACT, SUBJECT = "tax.rate", "seller"
_MAX_BP = 10_000


@dataclass(frozen=True, kw_only=True)
class RateFacts:
    """A rate to be entered, in basis points; None ends what was charged in that country. Raises Invalid naming the field."""

    country: str
    tax_name: str
    rate_bp: int | None
    registration: str
    valid_from: date

    def __post_init__(self) -> None:
        countries.require_country(self.country)
        object.__setattr__(self, "tax_name", names.require_name(self.tax_name, "tax_name", max_length=40))
        object.__setattr__(self, "registration", names.require_code(self.registration, "registration", max_length=40))
        if self.rate_bp is not None and not 0 <= self.rate_bp <= _MAX_BP:
            raise Invalid(field="rate", value=self.rate_bp, limit=_MAX_BP, reason="rate_out_of_range")

    def content(self) -> dict[str, Any]:
        """What is asked for, as an approval keeps it."""
        return {
            "country": self.country,
            "tax_name": self.tax_name,
            "rate_bp": self.rate_bp,
            "registration": self.registration,
            "valid_from": self.valid_from.isoformat(),
        }


def list_of(session: Session, seller_id: str) -> list[ManualRate]:
    """All rates of a seller by country, the newest first."""
    query = select(ManualRate).where(ManualRate.seller_id == seller_id)
    return list(session.scalars(query.order_by(ManualRate.country, ManualRate.valid_from.desc(), ManualRate.id.desc())))


def request(
    session: Session,
    *,
    now: datetime,
    seller_id: str,
    facts: RateFacts,
    maker: str,
    reason: str,
    form_key: str | None = None,
) -> Approval:
    """Ask for a rate. A country whose rates the table holds takes none by hand. Raises as `approvals.request`, NotFound."""
    if session.get(Seller, seller_id) is None:
        raise NotFound(seller_id=names.shown(seller_id))
    return approvals.request(
        session,
        now=now,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=seller_id,
        content=facts.content(),
        maker=maker,
        reason=reason,
        billing_account_id=None,
        form_key=form_key,
    )


def enter(session: Session, *, now: datetime, seller_id: str, allowed: Allowed, content: dict[str, Any]) -> ManualRate:
    """Enter a rate that a second person allowed. Raises NotAllowed."""
    approvals.spend(session, allowed, act=ACT, subject_id=seller_id, content=content)
    row = ManualRate(
        id=new_id("tmr"),
        seller_id=seller_id,
        country=content["country"],
        tax_name=content["tax_name"],
        rate_bp=content["rate_bp"],
        registration=content["registration"],
        valid_from=date.fromisoformat(content["valid_from"]),
        approval_id=allowed.approval_id,
        recorded_at=now,
        recorded_by=allowed.checker,
    )
    session.add(row)
    facts = {"country": row.country, "rate_bp": row.rate_bp, "valid_from": content["valid_from"]}
    audit.record(
        session,
        now=now,
        actor=allowed.checker,
        act="tax.rate",
        subject_type=SUBJECT,
        subject_id=seller_id,
        facts=facts,
    )
    session.flush()  # the next draft reads it
    return row
