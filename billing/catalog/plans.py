"""Plans: which price book applies from when on."""

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import names
from billing.catalog.errors import PlanExists
from billing.catalog.tables import Plan, PlanVersion, PriceBook
from billing.kernel.clock import require_utc, to_rfc3339
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit, locks

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_CODE = "default"


def create_plan(
    session: Session,
    *,
    now: datetime,
    code: str,
    name: str,
    book_code: str,
    valid_from: datetime = ALWAYS,
    actor: str = "system",
) -> Plan:
    """The plan of that code with its first version; an existing one is given back when it began with the same book.

    Raises PlanExists, NotFound for the book.
    """
    code = names.require_code(code, "plan")
    locks.take(session, f"plan:{code}")
    plan = find_plan(session, code)
    if plan is None:
        plan = Plan(id=new_id("pln"), code=code, name=names.require_name(name), created_at=now)
        session.add(plan)
        session.flush()  # its versions refer to it
    change_book(session, now=now, code=code, book_code=book_code, valid_from=valid_from, actor=actor)
    return plan


def change_book(
    session: Session, *, now: datetime, code: str, book_code: str, valid_from: datetime, actor: str = "system"
) -> PlanVersion:
    """A version of the plan that uses this book from the instant on; the same again gives the same version.

    Raises PlanExists where a version with another book begins at that instant, NotFound for plan or book.
    """
    plan = get_plan(session, code)
    locks.take(session, f"plan:{plan.code}")
    valid_from = require_utc(valid_from, "valid_from")
    if session.scalar(select(PriceBook.id).where(PriceBook.code == book_code).limit(1)) is None:
        raise NotFound(book=names.shown(book_code))
    found = session.scalar(
        select(PlanVersion).where(PlanVersion.plan_id == plan.id, PlanVersion.valid_from == valid_from)
    )
    if found is not None:
        if found.book_code != book_code:
            raise PlanExists(plan=code, book=found.book_code, valid_from=to_rfc3339(valid_from))
        return found
    latest = session.scalar(select(func.max(PlanVersion.version)).where(PlanVersion.plan_id == plan.id)) or 0
    version = PlanVersion(
        id=new_id("plv"), plan_id=plan.id, version=latest + 1, book_code=book_code, valid_from=valid_from
    )
    session.add(version)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="plan.change",
        subject_type="plan",
        subject_id=plan.id,
        facts={"version": version.version, "book": book_code, "valid_from": to_rfc3339(valid_from)},
    )
    session.flush()  # whoever rates next in this act must find it
    return version


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
