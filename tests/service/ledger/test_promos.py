"""Promo grants: what is left is read from the entries, the earliest expiry goes first, an expired rest leaves (money.md)."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.accounts import heads
from billing.kernel.errors import Invalid
from billing.kernel.money import Money
from billing.ledger import adjustments, balances, promos, reversal
from billing.ledger.errors import GrantSpent, LedgerConflict, NotReversible
from billing.ledger.promos import Use
from billing.storage.database import Database, Session
from tests import staff
from tests.service.ledger.books import NOW, entry, open_account, post, reverse

unbacked = pytest.mark.tampers  # gifts are used here without the documents that use them
SOON, LATER = datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)


def _grant(session: Session, account_id: str, minor: int, key: str, **more: Any) -> promos.Granted:
    facts: dict[str, Any] = {"kind": "promo_grant", "reason": "Welcome", "actor": "test", "source_type": "campaign"}
    return promos.grant(
        session,
        now=NOW,
        head=heads.lock_one(session, account_id),
        amount=Money(minor=minor, currency="USD"),
        source_id=key,
        **(facts | more),
    )


def _use(session: Session, account_id: str, minor: int, key: str, *, now: datetime = NOW) -> None:
    head = heads.lock_one(session, account_id)
    uses = promos.split(promos.list_usable(session, account_id, "USD", at=now), minor)
    entries = promos.apply_entries(session, now=now, head=head, currency="USD", uses=uses)
    post(session, account_id, key, *entries, type="issue")


def _left(session: Session, account_id: str) -> list[tuple[str, int]]:
    return [(row.reason, row.remaining_minor) for row in promos.list_grants(session, account_id)]


@unbacked
def test_the_earliest_expiry_is_used_first_and_the_rest_is_read_from_the_entries(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        _grant(session, account_id, 500, "a", reason="never ends")
        _grant(session, account_id, 300, "b", reason="ends later", expires_at=LATER)
        _grant(session, account_id, 200, "c", reason="ends soon", expires_at=SOON)
        _use(session, account_id, 350, "i1")
    with database.reading() as session:
        assert _left(session, account_id) == [("ends soon", 0), ("ends later", 150), ("never ends", 500)]
        [balance] = balances.of_account(session, account_id)
        assert (balance.promo_minor, balance.unbilled_minor) == (650, 350)


@unbacked
def test_a_use_that_was_decided_before_somebody_else_used_the_grant_is_refused(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        granted = _grant(session, account_id, 100, "a")
    stale = [Use(grant_id=granted.grant_id, amount_minor=80)]
    with database.transaction() as session:
        _use(session, account_id, 50, "i1")
    with pytest.raises(GrantSpent) as refused, database.transaction() as session:
        promos.apply_entries(session, now=NOW, head=heads.lock_one(session, account_id), currency="USD", uses=stale)
    assert refused.value.fields["limit_minor"] == 50


@unbacked
def test_of_two_documents_at_once_one_gets_what_the_other_left(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        _grant(session, account_id, 100, "a")
    barrier, failures = threading.Barrier(4), []

    def issue(key: str) -> None:
        try:
            barrier.wait()
            with database.transaction() as session:
                heads.lock_one(session, account_id)
                if promos.list_usable(session, account_id, "USD", at=NOW):
                    _use(session, account_id, 60, key)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=issue, args=(f"i{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with database.reading() as session:
        assert _left(session, account_id) == [("Welcome", 0)]
        [balance] = balances.of_account(session, account_id)
        assert (balance.promo_minor, balance.unbilled_minor) == (0, 100)


def test_a_repeat_gives_the_first_grant_and_other_content_is_refused(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        first = _grant(session, account_id, 100, "a", expires_at=SOON)
        again = _grant(session, account_id, 100, "a", expires_at=SOON)
    assert (first.is_new, again.is_new) == (True, False)
    assert first.grant_id == again.grant_id
    with pytest.raises(LedgerConflict), database.transaction() as session:
        _grant(session, account_id, 101, "a", expires_at=SOON)
    with database.reading() as session:
        assert _left(session, account_id) == [("Welcome", 100)]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"minor": 0}, "not_positive"),
        ({"minor": -5}, "not_positive"),
        ({"expires_at": NOW}, "in_the_past"),
        ({"kind": "stripe_credit"}, "unknown_kind"),
        ({"reason": "   "}, None),
    ],
)
def test_a_gift_that_is_none_is_refused(database: Database, more: dict[str, Any], reason: str | None) -> None:
    account_id = open_account(database)
    with pytest.raises(Invalid) as refused, database.transaction() as session:
        _grant(session, account_id, **({"minor": 100, "key": "a"} | more))
    assert reason in (None, refused.value.fields["reason"])


@unbacked
def test_what_is_left_at_its_end_expires_once_and_what_comes_back_later_expires_again(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        granted = _grant(session, account_id, 200, "a", expires_at=SOON)
        _use(session, account_id, 50, "i1")
    before, after = SOON - timedelta(seconds=1), SOON + timedelta(hours=1)
    with database.reading() as session:
        assert promos.accounts_with_expired(session, now=before) == []
        assert promos.accounts_with_expired(session, now=after) == [account_id]
        assert promos.list_usable(session, account_id, "USD", at=SOON) == []
    with database.transaction() as session:
        assert promos.expire(session, now=before, account_id=account_id) == 0
        assert promos.expire(session, now=after, account_id=account_id) == 1
        assert promos.expire(session, now=after, account_id=account_id) == 0
    with database.reading() as session:
        [row] = promos.list_grants(session, account_id)
        assert (row.remaining_minor, row.used_minor, row.expired_minor) == (0, 50, 150)
        assert promos.accounts_with_expired(session, now=after) == []
    with database.transaction() as session:
        back = promos.return_entries(
            revenue="revenue:compute", currency="USD", uses=[Use(grant_id=granted.grant_id, amount_minor=20)]
        )
        post(session, account_id, "c1", *back, type="credit_note")
        assert promos.expire(session, now=after, account_id=account_id) == 1
    with database.reading() as session:
        [row] = promos.list_grants(session, account_id)
        assert (row.remaining_minor, row.used_minor, row.expired_minor) == (0, 30, 170)
        [balance] = balances.of_account(session, account_id)
        assert balance.promo_minor == 0


def _decided(session: Session, account_id: str, pair: str, minor: int, *, expires_at: datetime | None = None) -> str:
    staff.hire_two(session)
    asked = adjustments.request(
        session,
        now=NOW,
        account_id=account_id,
        pair_code=pair,
        amount=Money(minor=minor, currency="USD"),
        maker=staff.MAKER,
        reason="an outage",
        expires_at=expires_at,
    )
    staff.approve(session, asked, now=NOW)
    return str(adjustments.find_posted(session, asked.id))


def test_a_gift_by_two_people_is_a_grant_with_its_end(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        transaction_id = _decided(session, account_id, "gift", 500, expires_at=SOON)
    with database.reading() as session:
        [row] = promos.list_grants(session, account_id)
    assert (row.kind, row.amount_minor, row.remaining_minor) == ("admin_credit", 500, 500)
    assert (row.expires_at, row.reason, row.transaction_id) == (SOON, "an outage", transaction_id)


def test_only_a_gift_has_an_end_and_it_lies_ahead(database: Database) -> None:
    account_id = open_account(database)
    for pair, expires_at, reason in (("wallet_credit", SOON, "only_gifts_expire"), ("gift", NOW, "in_the_past")):
        with pytest.raises(Invalid) as refused, database.transaction() as session:
            _decided(session, account_id, pair, 500, expires_at=expires_at)
        assert refused.value.fields["reason"] == reason


def test_gifts_are_taken_back_from_the_grant_that_would_have_lasted_longest(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        _grant(session, account_id, 100, "a", reason="soon", expires_at=SOON)
        _grant(session, account_id, 100, "b", reason="never")
        _decided(session, account_id, "gift_back", 150)
    with database.reading() as session:
        assert _left(session, account_id) == [("soon", 50), ("never", 0)]
        assert [row.taken_back_minor for row in promos.list_grants(session, account_id)] == [50, 100]


@unbacked
def test_a_gift_that_was_used_in_part_cannot_be_reversed_and_an_unused_one_can(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        used = _grant(session, account_id, 100, "a", expires_at=SOON)
        unused = _grant(session, account_id, 40, "b")
        _use(session, account_id, 10, "i1")
    with database.transaction() as session:
        staff.hire_two(session)
        with pytest.raises(NotReversible) as refused:
            reversal.content_of(session, used.transaction_id)
        asked = reversal.request(
            session, now=NOW, transaction_id=unused.transaction_id, maker=staff.MAKER, reason="twice"
        )
        staff.approve(session, asked, now=NOW)
    assert refused.value.fields["reason"] == "gift_used"
    with database.reading() as session:
        assert [row.remaining_minor for row in promos.list_grants(session, account_id)] == [90, 0]


def test_a_gift_from_before_there_were_grants_is_not_used_until_it_is_reversed_and_given_anew(
    database: Database,
) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        old = post(session, account_id, "old", entry("admin_credit", "promo_expense", "promo", 300), type="adjustment")
        assert promos.list_usable(session, account_id, "USD", at=NOW) == []
    with database.transaction() as session:
        reverse(session, old.transaction_id, reason="given anew as a grant")
        _grant(session, account_id, 300, "anew")
        assert [row.remaining_minor for row in promos.list_usable(session, account_id, "USD", at=NOW)] == [300]
        [balance] = balances.of_account(session, account_id)
        assert balance.promo_minor == 300
