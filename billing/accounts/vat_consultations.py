"""What was found out about VAT ids, and when: the evidence for reverse charge.

By its form (nobody is asked), by VIES, or by an operator who accepts it with a reason. VIES is asked outside of any transaction:
`ask` writes that it will be, `answer` what came of it; a question that nobody answered is asked anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import names, vat_ids
from billing.accounts.tables import BillingAccount, BillingProfile, Seller
from billing.accounts.tax_tables import VatIdConsultation
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit
from billing.storage.database import Database, Role

Outcome = Literal["valid", "invalid", "unavailable"]
_REASON_MAX = 500
_ASK_AGAIN = timedelta(hours=6)  # after the register could not answer
_REFRESH_SHARE = 3  # refreshed when less than a third of its time is left


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a register said: its own number for the consultation, and who it says the number belongs to, where it says so."""

    outcome: Outcome
    reference: str | None = None
    name: str | None = None
    address: str | None = None
    reason: str | None = None


class Register(Protocol):
    """A register of VAT ids that can be asked over the network."""

    def consult(self, vat_id: str, *, requester: str | None) -> Answer:
        """Ask about a number with its prefix; `requester` is the seller's own. Never raises for what the network does."""


def find_evidence(
    session: Session, account_id: str, vat_id: str, *, methods: Sequence[str] = ("format", "vies", "manual")
) -> VatIdConsultation | None:
    """The newest answer that says valid or invalid; that a register could not answer says nothing."""
    return session.scalars(
        select(VatIdConsultation)
        .where(
            VatIdConsultation.billing_account_id == account_id,
            VatIdConsultation.vat_id == vat_id,
            VatIdConsultation.outcome.in_(("valid", "invalid")),
            VatIdConsultation.method.in_(methods),
        )
        .order_by(VatIdConsultation.answered_at.desc(), VatIdConsultation.id.desc())
        .limit(1)
    ).first()


def methods_of(seller: Seller) -> tuple[str, ...]:
    """The methods whose answers a seller goes by: where VIES is asked, the form alone says nothing."""
    return ("format", "vies", "manual") if seller.vat_check == "format" else ("vies", "manual")


def list_of(session: Session, account_id: str, *, limit: int = 50) -> list[VatIdConsultation]:
    """The account's consultations, the newest first."""
    query = select(VatIdConsultation).where(VatIdConsultation.billing_account_id == account_id)
    return list(session.scalars(query.order_by(VatIdConsultation.id.desc()).limit(limit)))


def keep_format(
    session: Session, *, now: datetime, account_id: str, vat_id: str | None, country: str, seller: Seller, actor: str
) -> None:
    """Where the seller goes by the form of a number, record that it was looked at, unless an answer is young enough already."""
    if vat_id is None or seller.vat_check != "format":
        return
    known = find_evidence(session, account_id, vat_id)
    if known is not None and _age(known, now) < _refresh_after(seller):
        return
    try:
        vat_ids.find_vat_id(vat_id, country)
        outcome, reason = "valid", None
    except Invalid as refusal:
        outcome, reason = "invalid", str(refusal.fields.get("reason", ""))
    session.add(
        VatIdConsultation(
            id=new_id("vic"),
            billing_account_id=account_id,
            vat_id=vat_id,
            method="format",
            outcome=outcome,
            reason=reason,
            requested_at=now,
            requested_by=actor,
            answered_at=now,
        )
    )
    session.flush()  # the treatment reads it


def accept(
    session: Session, *, now: datetime, account_id: str, vat_id: str, is_valid: bool, reason: str, actor: str
) -> VatIdConsultation:
    """An operator's own look at a number, with its reason: a letter of the tax office, a telephone call. Audited.

    Raises NotFound, Invalid without a reason or for a number that the account does not bear.
    """
    reason = names.require_name(" ".join(reason.split()), "reason", max_length=_REASON_MAX)
    profile = session.get(BillingProfile, account_id)
    if profile is None:
        raise NotFound(account_id=account_id)
    if profile.vat_id is None or profile.vat_id != vat_id:
        raise Invalid(field="vat_id", value=names.shown(vat_id), reason="vat_id_not_of_account")
    row = VatIdConsultation(
        id=new_id("vic"),
        billing_account_id=account_id,
        vat_id=vat_id,
        method="manual",
        outcome="valid" if is_valid else "invalid",
        reason=reason,
        requested_at=now,
        requested_by=actor,
        answered_at=now,
    )
    session.add(row)
    _tell(session, now, row, actor)
    return row


def ask(session: Session, *, now: datetime, account_id: str, vat_id: str, actor: str) -> VatIdConsultation:
    """Write down that the register will be asked."""
    row = VatIdConsultation(
        id=new_id("vic"),
        billing_account_id=account_id,
        vat_id=vat_id,
        method="vies",
        outcome="asked",
        requested_at=now,
        requested_by=actor,
    )
    session.add(row)
    session.flush()  # its answer names it
    return row


def answer(session: Session, *, now: datetime, consultation_id: str, answer: Answer) -> VatIdConsultation:
    """Write down what the register said; the first answer stands."""
    row = session.scalars(
        select(VatIdConsultation)
        .where(VatIdConsultation.id == consultation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if row.outcome != "asked":
        return row
    row.outcome, row.reference, row.answered_at = answer.outcome, answer.reference, now
    row.name, row.address, row.reason = answer.name, answer.address, answer.reason
    _tell(session, now, row, row.requested_by)
    return row


def consult(
    database: Database, register: Register, *, now: datetime, account_id: str, actor: str, role: Role = "jobs"
) -> VatIdConsultation | None:
    """Ask the register about the account's number: written down, asked, answered, each for itself. None without a number.

    Takes no lock and holds no transaction while it waits for the network.
    """
    with database.transaction(role) as session:
        profile = session.get(BillingProfile, account_id)
        account = session.get(BillingAccount, account_id)
        if profile is None or account is None or profile.vat_id is None:
            return None
        seller = session.get_one(Seller, account.seller_id)
        vat_id, requester = profile.vat_id, seller.vat_id
        asked = ask(session, now=now, account_id=account_id, vat_id=vat_id, actor=actor).id
    found = register.consult(vat_id, requester=requester)
    with database.transaction(role) as session:
        return answer(session, now=now, consultation_id=asked, answer=found)


def due(session: Session, *, now: datetime) -> list[str]:
    """Accounts whose seller asks VIES and whose evidence is missing or has less than a third of its time left, by id."""
    rows = session.execute(
        select(BillingAccount.id, BillingProfile.vat_id, Seller)
        .join(BillingProfile, BillingProfile.billing_account_id == BillingAccount.id)
        .join(Seller, Seller.id == BillingAccount.seller_id)
        .where(BillingProfile.vat_id.is_not(None), Seller.vat_check == "vies")
        .order_by(BillingAccount.id)
    ).all()
    return [
        account_id for account_id, vat_id, seller in rows if _is_due(session, account_id, str(vat_id), seller, now=now)
    ]


def _is_due(session: Session, account_id: str, vat_id: str, seller: Seller, *, now: datetime) -> bool:
    known = find_evidence(session, account_id, vat_id, methods=methods_of(seller))
    if known is not None and _age(known, now) < _refresh_after(seller):
        return False
    last = session.scalar(
        select(func.max(VatIdConsultation.requested_at)).where(
            VatIdConsultation.billing_account_id == account_id, VatIdConsultation.vat_id == vat_id
        )
    )
    return last is None or last <= now - _ASK_AGAIN


def _age(known: VatIdConsultation, now: datetime) -> timedelta:
    return now - (known.answered_at or known.requested_at)


def _refresh_after(seller: Seller) -> timedelta:
    days = seller.tax_evidence_days
    return timedelta(days=days) - timedelta(days=days) / _REFRESH_SHARE


def _tell(session: Session, now: datetime, row: VatIdConsultation, actor: str) -> None:
    audit.record(
        session,
        now=now,
        actor=actor,
        act=f"vat_id.{row.method}",
        subject_type="billing_account",
        subject_id=row.billing_account_id,
        billing_account_id=row.billing_account_id,
        facts={"consultation": row.id, "outcome": row.outcome},
    )
    session.flush()  # what follows reads it
