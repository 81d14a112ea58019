"""What tests of the catalog begin with: staff who ask and decide, an account, a small book as TOML, a trial that speaks for it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.accounts import approvals, users
from billing.catalog import activations, books, onboarding, overrides, trials
from billing.catalog.overrides import Wanted
from billing.catalog.tables import PriceBook
from billing.catalog.trials import Limits
from billing.controls import second_person
from billing.storage.database import Database

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EVER = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, kw_only=True)
class Staff:
    """User ids: who asks, who decides."""

    maker: str
    checker: str


def staff(database: Database) -> Staff:
    with database.transaction("jobs") as session:
        made = [
            users.create_user(
                session, now=NOW, login=f"{role}@house.example.com", name=role, password="x" * 12, staff_role=role
            ).id
            for role in ("maker", "approver")
        ]
    return Staff(maker=made[0], checker=made[1])


def book(code: str, *lines: tuple[str, str, str], currency: str = "USD") -> str:
    """A book of per-unit prices: (SKU, unit price, start)."""
    rows = "".join(
        f'[[prices]]\nsku = "{sku}"\nmodel = "per_unit"\nunit_price = {price}\nvalid_from = {valid_from}\n'
        for sku, price, valid_from in lines
    )
    return f'code = "{code}"\nname = "{code}"\ncurrency = "{currency}"\n{rows}'


def load(database: Database, text: str) -> PriceBook:
    """A candidate."""
    with database.transaction("jobs") as session:
        return books.load(session, text, now=NOW, origin="file", actor="cli:test")


def open_account(database: Database, code: str = "calla", **facts: Any) -> str:
    with database.transaction("jobs") as session:
        return onboarding.open_account(session, now=NOW, code=code, **facts).id


def try_out(database: Database, candidate: PriceBook, *, at: datetime = NOW, **facts: Any) -> str:
    """A trial of the candidate as shadow rating writes it, inside its limits unless said otherwise; its id."""
    whole: dict[str, Any] = {"row_count": 10, "is_whole": True, "is_inside": True, "scope": {"account_ids": []}}
    with database.transaction("jobs") as session:
        return trials.record(
            session,
            now=at,
            book_code=candidate.code,
            content_hash=candidate.content_hash,
            price_book_id=candidate.id,
            from_at=at - timedelta(days=30),
            to_at=at,
            row_bound=1_000,
            limits=Limits(total_percent="5", account_percent="20"),
            result={"totals": [], "accounts": [], "movers": [], "distribution": []},
            actor="cli:test",
            **whole | facts,
        ).id


def ask(database: Database, people: Staff, candidate: PriceBook) -> str:
    """A request to let the candidate in; its id."""
    with database.transaction("jobs") as session:
        return approvals.request(
            session,
            now=NOW,
            act=activations.ACT,
            subject_type="price_book",
            subject_id=candidate.id,
            content=activations.content_of(session, candidate.id),
            maker=people.maker,
            reason="A new price list",
            billing_account_id=None,
        ).id


def approve(database: Database, people: Staff, approval_id: str, *, checker: str | None = None) -> None:
    with database.transaction("jobs") as session:
        shown = approvals.lock(session, approval_id).content_hash
        second_person.approve(
            session, now=NOW, approval_id=approval_id, content_hash=shown, checker=checker or people.checker
        )


def want(database: Database, account_id: str, **facts: Any) -> Wanted:
    """An override of CPU time at 0.30 from NOW on, unless said otherwise."""
    whole: dict[str, Any] = {
        "sku_code": "compute/cpu_hour",
        "model": "per_unit",
        "parameters": {"unit_price": "0.30"},
        "from_at": NOW,
    }
    with database.reading("jobs") as session:
        return overrides.read(session, account_id=account_id, **whole | facts)


def override(database: Database, people: Staff, wanted: Wanted) -> None:
    """Ask for it and allow it."""
    with database.transaction("jobs") as session:
        asked = overrides.request(session, now=NOW, wanted=wanted, maker=people.maker, reason="As agreed in contract 7")
    approve(database, people, asked)
