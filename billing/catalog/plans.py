"""Plans: which price book applies from when on, and on which terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from billing.accounts import names
from billing.accounts.tables import BillingAccount
from billing.catalog import plan_files, terms
from billing.catalog.errors import PlanExists
from billing.catalog.meters import FEE, METERS
from billing.catalog.tables import Plan, PlanVersion, PriceBook, PriceBookActivation, PriceVersion, Sku, Subscription
from billing.catalog.terms import PlanTerms
from billing.catalog.withdrawals import is_standing
from billing.kernel.clock import require_utc, to_rfc3339
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit, locks

ALWAYS = plan_files.ALWAYS
AHEAD_MAX = timedelta(days=3653)
"""How far ahead a plan may begin or change: ten years, with the leap days they can have."""
DEFAULT_CODE = "default"


@dataclass(frozen=True, kw_only=True)
class PlanRow:
    """One version of a plan: its book and terms from `valid_from` on, until the plan's next version."""

    plan_id: str
    code: str
    name: str
    version: int
    book_code: str
    valid_from: datetime
    terms: PlanTerms


def load(session: Session, text: str, *, now: datetime, actor: str) -> PlanVersion:
    """Store the plan that the text (TOML, see `plan_files`) holds, as a new plan or a new version; the same again changes nothing.

    Locks the plan's code. Raises as `create_plan`, and Invalid for the text.
    """
    facts = plan_files.read(text)
    create_plan(
        session,
        now=now,
        code=facts.code,
        name=facts.name,
        book_code=facts.book_code,
        valid_from=facts.valid_from,
        terms=facts.terms,
        actor=actor,
    )
    return change(
        session,
        now=now,
        code=facts.code,
        book_code=facts.book_code,
        valid_from=facts.valid_from,
        terms=facts.terms,
        actor=actor,
    )


def create_plan(
    session: Session,
    *,
    now: datetime,
    code: str,
    name: str,
    book_code: str,
    valid_from: datetime = ALWAYS,
    terms: PlanTerms = terms.NONE,
    actor: str = "system",
) -> Plan:
    """The plan of that code with its first version; an existing one is given back when a version says just this.

    Raises PlanExists, NotFound for the book, Invalid for a fee that the book does not sell.
    """
    code = names.require_code(code, "plan")
    locks.take(session, f"plan:{code}")
    plan = find_plan(session, code)
    if plan is None:
        plan = Plan(id=new_id("pln"), code=code, name=names.require_name(name), created_at=now)
        session.add(plan)
        session.flush()  # its versions refer to it
    change(session, now=now, code=code, book_code=book_code, valid_from=valid_from, terms=terms, actor=actor)
    return plan


def change(
    session: Session,
    *,
    now: datetime,
    code: str,
    book_code: str,
    valid_from: datetime,
    terms: PlanTerms = terms.NONE,
    actor: str = "system",
) -> PlanVersion:
    """A version of the plan with this book and these terms from the instant on; the same again gives the same version.

    What usage was rated already is asked by `rating.price_changes`, which wraps this. Locks the plan's code. Raises PlanExists
    where another version begins at that instant, NotFound for the plan or a book of which nothing is in force, Invalid:
    unknown_fee for a fee that the book has no price for, too_far_ahead, minimum_in_other_currency where an account on the plan then
    is billed in a currency that the minimum does not name.
    """
    plan = get_plan(session, code)
    locks.take(session, f"plan:{plan.code}")
    valid_from = require_start(valid_from, now=now)
    _require_book(session, book_code, terms)
    found = session.scalar(
        select(PlanVersion).where(PlanVersion.plan_id == plan.id, PlanVersion.valid_from == valid_from)
    )
    if found is not None:
        if found.book_code != book_code or found.terms != terms.content:
            raise PlanExists(plan=code, book=found.book_code, valid_from=to_rfc3339(valid_from))
        return found
    _require_currencies(session, plan, valid_from, terms)
    latest = session.scalar(select(func.max(PlanVersion.version)).where(PlanVersion.plan_id == plan.id)) or 0
    version = PlanVersion(
        id=new_id("plv"),
        plan_id=plan.id,
        version=latest + 1,
        book_code=book_code,
        valid_from=valid_from,
        terms=terms.content,
    )
    session.add(version)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="plan.change",
        subject_type="plan",
        subject_id=plan.id,
        facts={
            "version": version.version,
            "book": book_code,
            "valid_from": to_rfc3339(valid_from),
            "terms": terms.content,
        },
    )
    session.flush()  # whoever rates next in this act must find it
    return version


def require_start(valid_from: datetime, *, now: datetime) -> datetime:
    """The instant in UTC. Raises Invalid(field="valid_from"): naive_time, too_far_ahead."""
    valid_from = require_utc(valid_from, "valid_from")
    if valid_from > now + AHEAD_MAX:
        raise Invalid(field="valid_from", value=to_rfc3339(valid_from), years=10, reason="too_far_ahead")
    return valid_from


def find_plan(session: Session, code: str) -> Plan | None:
    """The plan of that code, or None; also for a text that could never be a code."""
    try:
        code = names.require_code(code, "plan")
    except Invalid:
        return None
    return session.scalar(select(Plan).where(Plan.code == code))


def get_plan(session: Session, code: str) -> Plan:
    """The plan of that code. Raises NotFound."""
    plan = find_plan(session, code)
    if plan is None:
        raise NotFound(plan=names.shown(code))
    return plan


def get_plan_by_id(session: Session, plan_id: str) -> Plan:
    """The plan of that id. Raises NotFound."""
    plan = session.get(Plan, plan_id) if names.is_safe(plan_id) else None
    if plan is None:
        raise NotFound(plan_id=names.shown(plan_id))
    return plan


def list_versions(session: Session, code: str | None = None) -> Sequence[PlanRow]:
    """All versions of all plans, or of one: by plan and start."""
    query = select(Plan, PlanVersion).join(PlanVersion, PlanVersion.plan_id == Plan.id)
    query = query.order_by(Plan.code, PlanVersion.valid_from)
    if code is not None:
        query = query.where(Plan.code == code)
    return [row_of(plan, version) for plan, version in session.execute(query)]


def row_of(plan: Plan, version: PlanVersion) -> PlanRow:
    """A stored version as a frozen row."""
    return PlanRow(
        plan_id=plan.id,
        code=plan.code,
        name=plan.name,
        version=version.version,
        book_code=version.book_code,
        valid_from=version.valid_from,
        terms=terms.read(version.terms),
    )


def _require_currencies(session: Session, plan: Plan, valid_from: datetime, wanted: PlanTerms) -> None:
    """A minimum names the currency of every account that is on the plan at the instant or comes to it later."""
    if not wanted.minimums:
        return
    left = aliased(Subscription)
    is_left = exists().where(
        left.billing_account_id == Subscription.billing_account_id,
        left.valid_from > Subscription.valid_from,
        left.valid_from <= valid_from,
        is_standing(left),
    )
    other = session.execute(
        select(BillingAccount.code, BillingAccount.currency)
        .join(Subscription, Subscription.billing_account_id == BillingAccount.id)
        .where(
            Subscription.plan_id == plan.id,
            BillingAccount.currency.not_in([amount.currency for amount in wanted.minimums]),
            ~is_left,
            is_standing(),
        )
        .order_by(BillingAccount.code)
        .limit(1)
    ).first()
    if other is not None:
        refuse_minimum(plan.code, *other)


def refuse_minimum(plan_code: str, account: str, currency: str) -> NoReturn:
    """Raise Invalid (minimum_in_other_currency): the plan's minimum says nothing in the account's currency."""
    raise Invalid(field="plan", plan=plan_code, account=account, currency=currency, reason="minimum_in_other_currency")


def _require_book(session: Session, book_code: str, wanted: PlanTerms) -> None:
    """Something of the book is in force, and it has a price for each fee."""
    in_force = select(PriceBook.id).join(PriceBookActivation, PriceBookActivation.price_book_id == PriceBook.id)
    named = in_force.where(PriceBook.code == book_code, PriceBook.billing_account_id.is_(None)).limit(1)
    if not names.is_safe(book_code) or session.scalar(named) is None:
        raise NotFound(book=names.shown(book_code))
    if not wanted.fees:
        return
    fee_meters = [code for code, meter in METERS.items() if meter.kind == FEE]
    sold = set(
        session.scalars(
            select(Sku.variant)
            .join(PriceVersion, PriceVersion.sku_code == Sku.code)
            .join(PriceBookActivation, PriceBookActivation.price_book_id == PriceVersion.price_book_id)
            .where(Sku.meter_code.in_(fee_meters), PriceVersion.book_code == book_code)
        )
    )
    for fee in wanted.fees:
        if fee not in sold:
            raise Invalid(field="fees", value=names.shown(fee), book=book_code, reason="unknown_fee")
