"""How a supply to an account is taxed as the books know it now, and whether the evidence for it is young enough to issue.

Nothing here reaches the network: evidence is fetched before, by jobs or operators, and only looked at here (Law 6).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import registrations, tax_profiles, vat_consultations
from billing.accounts.tables import BillingAccount, BillingProfile, Seller
from billing.accounts.tax_tables import ManualRate, SellerRegistration, TaxProfile
from billing.invoicing.errors import TaxEvidenceMissing, TaxEvidenceOld, TaxMixed
from billing.invoicing.tax import Treatment
from billing.invoicing.taxes import determination
from billing.invoicing.taxes.determination import BuyerFacts, Decision, Evidence, Override, Registration, SellerFacts
from billing.kernel.clock import to_rfc3339


def treat(session: Session, *, account: BillingAccount, seller: Seller, profile: BillingProfile, on: date) -> Decision:
    """How a supply of the seller to this account is taxed, with `on` as the tax point. Reads only. Raises Invalid without a rate."""
    return treat_all(session, account=account, seller=seller, profile=profile, points={"": on})[""]


def treat_all(
    session: Session,
    *,
    account: BillingAccount,
    seller: Seller,
    profile: BillingProfile,
    points: Mapping[str, date],
) -> dict[str, Decision]:
    """`treat` for several tax points, each by a name of the caller's; the facts are read once."""
    sold_by, bought_by = seller_facts(session, seller), buyer_facts(session, account, seller, profile)
    return {key: determination.determine(sold_by, bought_by, on=on) for key, on in points.items()}


def keep_evidence(
    session: Session, *, now: datetime, account: BillingAccount, seller: Seller, profile: BillingProfile, actor: str
) -> None:
    """Record the look at a VAT id's form where the seller goes by it; call it before `treat` in any act that writes."""
    vat_consultations.keep_format(
        session,
        now=now,
        account_id=account.id,
        vat_id=profile.vat_id,
        country=profile.country,
        seller=seller,
        actor=actor,
    )


def require_evidence(seller: Seller, decisions: Iterable[Decision], *, now: datetime) -> None:
    """Refuse a reverse charge whose VAT id was not found valid, or too long ago. Raises TaxEvidenceMissing, TaxEvidenceOld."""
    for decision in decisions:
        facts = decision.facts
        if decision.treatment.category != "AE" or facts["provider"] is not None:
            continue
        evidence = facts["evidence"]
        if evidence is None or evidence["outcome"] != "valid":
            raise TaxEvidenceMissing(vat_id=facts["buyer_vat_id"], check=seller.vat_check)
        oldest = now - timedelta(days=seller.tax_evidence_days)
        if datetime.fromisoformat(evidence["at"]) < oldest:
            raise TaxEvidenceOld(vat_id=facts["buyer_vat_id"], at=evidence["at"], limit_days=seller.tax_evidence_days)


def require_one_document(treatments: Sequence[Treatment]) -> None:
    """Refuse treatments that no document may bear together: not subject beside anything else (BR-O-11), one rate of two countries.

    Raises TaxMixed.
    """
    categories = {treatment.category for treatment in treatments}
    if "O" in categories and len(categories) > 1:
        raise TaxMixed(categories=", ".join(sorted(categories)), reason="not_subject")
    by_group: dict[tuple[str, int], str] = {}
    for treatment in treatments:
        key = (treatment.category, treatment.rate_bp)
        if by_group.setdefault(key, treatment.jurisdiction) != treatment.jurisdiction:
            raise TaxMixed(categories=treatment.category, reason="jurisdictions")


def facts_of(decisions: Iterable[Decision]) -> dict[str, Any]:
    """What a document keeps of its decisions, one per tax point, in their order."""
    by_day = {decision.facts["on"]: decision.facts for decision in decisions}
    return {"decisions": [by_day[on] for on in sorted(by_day)]}


def seller_facts(session: Session, seller: Seller) -> SellerFacts:
    """What determination needs of a seller."""
    rates = session.scalars(
        select(ManualRate).where(ManualRate.seller_id == seller.id).order_by(ManualRate.recorded_at, ManualRate.id)
    ).all()
    return SellerFacts(
        country=seller.country,
        vat_id=seller.vat_id,
        registrations=[_registration(row) for row in registrations.list_of(session, seller.id)],
        manual_rates=[
            determination.ManualRate(
                country=row.country,
                tax_name=row.tax_name,
                rate_bp=row.rate_bp,
                registration=row.registration,
                valid_from=row.valid_from,
            )
            for row in rates
        ],
    )


def buyer_facts(session: Session, account: BillingAccount, seller: Seller, profile: BillingProfile) -> BuyerFacts:
    """What determination needs of a buyer."""
    said = tax_profiles.find(session, account.id)
    return BuyerFacts(
        country=profile.country,
        kind=tax_profiles.kind_of(said, profile.vat_id),
        vat_id=profile.vat_id,
        evidence=_evidence(session, account.id, profile.vat_id, seller),
        override=_override(said),
    )


def _evidence(session: Session, account_id: str, vat_id: str | None, seller: Seller) -> Evidence | None:
    if vat_id is None:
        return None
    methods = vat_consultations.methods_of(seller)
    row = vat_consultations.find_evidence(session, account_id, vat_id, methods=methods)
    if row is None or row.answered_at is None:
        return None
    return Evidence(
        id=row.id, method=row.method, outcome=row.outcome, reference=row.reference, at=to_rfc3339(row.answered_at)
    )


def _registration(row: SellerRegistration) -> Registration:
    return Registration(
        scheme=row.scheme,
        country=row.country,
        number=row.number,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
    )


def _override(said: TaxProfile | None) -> Override | None:
    if said is None or said.override_category is None:
        return None
    return Override(
        category=said.override_category,
        reason=said.override_reason or "",
        vatex=said.override_vatex,
        certificate=said.certificate,
        valid_from=said.valid_from,
        valid_until=said.valid_until,
        delivery_country=said.delivery_country,
    )
