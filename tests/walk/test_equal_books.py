"""Equal books (money.md): whatever the split, order, repetition and pace, and wherever a process dies, the ledger is the same."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.accounts import heads
from billing.assurance import equality, selfcheck
from billing.assurance.equality import Books
from billing.catalog import activations, onboarding, plans
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry
from billing.rating import postings, rater
from billing.storage.database import Database
from tests import databases
from tests.session import run_dir
from tests.walk import raw_log, steps

# Prices whose curves bend, one of them downwards, so that the order of arrival has something to get wrong.
BENT = """
code = "bent"
name = "Bent"
currency = "USD"
valid_from = 1970-01-01T00:00:00Z

[[prices]]
sku = "compute/cpu_hour"
model = "graduated"
tiers = [{ up_to = "100", unit_price = "0.50" }, { unit_price = "0.31" }]

[[prices]]
sku = "compute/memory_gb_hour"
model = "volume"
tiers = [{ up_to = "500", unit_price = "0.10" }, { unit_price = "0.07" }]
"""
BENT_ACCOUNT = "calla"


@pytest.fixture(scope="module")
def sample(data_dir: Path) -> list[str]:
    """150 jobs of all seven tenants: the long ones, those over the year's end, and some that lasted 0 s."""
    found = raw_log.sample(data_dir, 150)
    jobs = [raw_log.parse(line) for line in found]
    assert {job.account for job in jobs} == set(raw_log.ACCOUNTS)
    assert any(job.seconds == 0 for job in jobs)
    assert any(job.start.year != job.end.year for job in jobs)
    return found


@contextmanager
def fresh(engine: str) -> Iterator[Database]:
    """A database in which one tenant has bent prices."""
    with databases.fresh(engine, run_dir()) as urls, databases.opened(urls) as database:
        with database.transaction("jobs") as session:
            loaded = activations.install(session, BENT, now=steps.NOW, actor="test")
            plans.create_plan(
                session, now=steps.NOW, code="bent", name="Bent", book_code=loaded.code, valid_from=plans.ALWAYS
            )
            onboarding.open_account(session, now=steps.NOW, code=BENT_ACCOUNT, plan_code="bent")
        yield database


def take(database: Database, lines: list[str]) -> None:
    steps.take_in(database, "".join(f"{line}\n" for line in lines).encode())


def rate(database: Database, limit: int) -> None:
    """One batch of every account that has something to rate."""
    with database.reading("jobs") as session:
        waiting = rater.accounts_with_unrated(session)
    for account_id in waiting:
        with database.transaction("jobs") as session:
            rater.rate_account(session, now=steps.NOW, account_id=account_id, limit=limit)


def post(database: Database, lines_per_run: int) -> None:
    """One posting of every account that has something to post."""
    with database.reading("jobs") as session:
        waiting = postings.accounts_to_post(session)
    for account_id in waiting:
        with database.transaction("jobs") as session:
            postings.post_account(session, now=steps.NOW, account_id=account_id, lines_per_run=lines_per_run)


def books(database: Database) -> Books:
    """Everything rated and posted; and the books that makes, which contradict themselves nowhere."""
    steps.rate_and_post(database)
    with database.reading("jobs") as session:
        found = selfcheck.run(session, now=steps.NOW)
        assert not found.differences
        return equality.read(session)


@pytest.fixture(scope="module")
def expected(sample: list[str]) -> Books:
    """The books of the sample taken in at once, in its order, rated in one run and posted in one."""
    with fresh("sqlite") as database:
        take(database, sample)
        found = books(database)
    assert len({row[0] for row in found.charges}) == len(raw_log.ACCOUNTS)
    assert found.movements
    return found


# What happens after each part of the log: nothing, some rating, some posting, or both.
PACES = st.tuples(st.one_of(st.none(), st.integers(1, 60)), st.one_of(st.none(), st.integers(1, 60)))


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), paces=st.lists(PACES, min_size=1, max_size=5), repeats=st.integers(0, 60))
def test_any_split_order_repetition_and_pace_gives_equal_books(
    engine: str,
    sample: list[str],
    expected: Books,
    seed: int,
    paces: list[tuple[int | None, int | None]],
    repeats: int,
) -> None:
    shuffler = random.Random(seed)
    lines = sample + shuffler.choices(sample, k=repeats)
    shuffler.shuffle(lines)
    borders = sorted(shuffler.choices(range(len(lines) + 1), k=len(paces) - 1))
    with fresh(engine) as database:
        for first, last, (rate_limit, lines_per_run) in zip([0, *borders], [*borders, len(lines)], paces, strict=True):
            take(database, lines[first:last])
            if rate_limit is not None:
                rate(database, rate_limit)
            if lines_per_run is not None:
                post(database, lines_per_run)
        found = books(database)
    assert found == expected
    assert found.digest() == expected.digest()


def test_one_second_of_one_job_makes_other_books(engine: str, sample: list[str], expected: Books) -> None:
    number, job = next((n, raw_log.parse(line)) for n, line in enumerate(sample) if raw_log.parse(line).seconds > 60)
    fields = sample[number].split("|")
    fields[13] = job.end.replace(second=(job.end.second + 1) % 60, tzinfo=None).isoformat()
    with fresh(engine) as database:
        take(database, [*sample[:number], "|".join(fields), *sample[number + 1 :]])
        found = books(database)
    assert found.digest() != expected.digest()
    assert [row[:6] for row in found.charges] == [row[:6] for row in expected.charges]


def test_one_job_of_another_account_makes_other_books(engine: str, sample: list[str], expected: Books) -> None:
    number, job = next((n, raw_log.parse(line)) for n, line in enumerate(sample) if raw_log.parse(line).seconds > 60)
    fields = sample[number].split("|")
    fields[5] = next(code for code in raw_log.ACCOUNTS if code != job.account)
    with fresh(engine) as database:
        take(database, [*sample[:number], "|".join(fields), *sample[number + 1 :]])
        assert books(database).digest() != expected.digest()


@pytest.mark.parametrize("amount_minor", [1, 100])
def test_one_more_movement_makes_other_books(
    engine: str, sample: list[str], expected: Books, amount_minor: int
) -> None:
    with fresh(engine) as database:
        take(database, sample)
        assert books(database).digest() == expected.digest()
        account_id = steps.account_ids(database)["savwa"]
        with database.transaction("jobs") as session:
            book.post(
                session,
                now=steps.NOW,
                head=heads.lock_one(session, account_id),
                type="adjustment",
                source_type="test",
                source_id="seeded",
                entries=[
                    Entry(
                        kind="admin_credit",
                        debit="promo_expense",
                        credit="promo",
                        amount=Money(minor=amount_minor, currency="USD"),
                    )
                ],
                occurred_at=steps.NOW,
                actor="test",
            )
        found = books(database)
    assert found.digest() != expected.digest()
    assert found.charges == expected.charges
    assert len(set(found.movements) - set(expected.movements)) == 1
