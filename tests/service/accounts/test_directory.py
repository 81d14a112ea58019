"""Opening and finding billing accounts."""

import json
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from billing.accounts import directory, heads, profiles
from billing.accounts.errors import CodeTaken
from billing.accounts.profiles import ProfileFacts
from billing.accounts.tables import AccountHead, BillingAccount, Tenant
from billing.catalog import onboarding
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Database
from billing.storage.tables import AuditRecord

NOW = datetime(2016, 12, 1, tzinfo=UTC)


def test_an_account_opens_whole_with_the_facts_of_its_code(database: Database) -> None:
    with database.transaction() as session:
        account = onboarding.open_account(session, now=NOW, code="calla")
    with database.reading() as session:
        found = directory.get_account_by_code(session, "calla")
        assert found.id == account.id
        assert (found.name, found.kind, found.currency, found.zone, found.policy) == (
            "calla",
            "tenant",
            "USD",
            "UTC",
            "postpaid",
        )
        profile = profiles.get_profile(session, account.id)
        seller = directory.get_seller(session, account.seller_id)
        assert (profile.legal_name, profile.country, profile.city) == ("calla", "IE", seller.city)
        assert profile.vat_id is None
        head = session.get(AccountHead, account.id)
        assert head is not None
        assert (head.usage_seq, head.line_seq, head.chain_seq, head.chain_hash) == (0, 0, 0, "0" * 64)
        acts = session.scalars(select(AuditRecord.act).where(AuditRecord.billing_account_id == account.id)).all()
        assert sorted(acts) == ["account.open", "subscription.create"]


def test_a_code_opens_once(database: Database) -> None:
    with database.transaction() as session:
        onboarding.open_account(session, now=NOW, code="calla")
    with pytest.raises(CodeTaken), database.transaction() as session:
        onboarding.open_account(session, now=NOW, code="calla", currency="EUR")
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Tenant)) == 1


def test_two_imports_that_meet_a_new_code_open_it_once(database: Database) -> None:
    def open_it(_: int) -> str:
        with database.transaction("jobs") as session:
            return onboarding.find_or_open_account(session, now=NOW, code="calla").id

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(open_it, range(8)))
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code": "house:eu"}, "reserved"),
        ({"code": "a\x00b"}, "control_character"),
        ({"code": "a\ud800b"}, "not_unicode"),
        ({"name": "\u202eevil"}, "direction_control"),
        ({"currency": "usd"}, "unknown_currency"),
        ({"zone": "+01:00"}, "unknown_zone"),
        ({"zone": "Europe/Berlim"}, "unknown_zone"),
        ({"policy": "free"}, "unknown_policy"),
    ],
)
def test_what_an_account_cannot_be_is_refused_and_leaves_nothing(
    database: Database, changes: dict[str, str], reason: str
) -> None:
    with pytest.raises(Invalid) as refusal, database.transaction() as session:
        onboarding.open_account(session, now=NOW, **{"code": "calla", **changes})
    assert refusal.value.fields["reason"] == reason
    with database.reading() as session:
        assert directory.list_accounts(session) == []


def test_every_naughty_string_is_kept_safely_as_code_or_refused(database: Database, data_dir: Path) -> None:
    strings = json.loads((data_dir / "bad-input" / "blns.json").read_text(encoding="utf-8"))
    kept = 0
    with database.transaction() as session:
        for text in [*strings, "nul\x00", "half\ud800", "\udfff"]:
            try:
                account = onboarding.find_or_open_account(session, now=NOW, code=text)
            except Invalid as invalid:
                refused_for = str(invalid.fields["reason"])
                if refused_for in ("empty", "outer_space", "too_long", "reserved"):
                    continue
                if refused_for in ("control_character", "not_unicode", "invisible_character", "direction_control"):
                    continue
                raise
            kept += 1
            assert directory.find_account_by_code(session, text) is account
    assert kept > 350
    with database.reading() as session:
        for account in directory.list_accounts(session):
            assert directory.get_account_by_code(session, account.code).id == account.id


def test_every_naughty_string_is_kept_safely_as_name_or_refused(database: Database, data_dir: Path) -> None:
    strings = json.loads((data_dir / "bad-input" / "blns.json").read_text(encoding="utf-8"))
    kept: dict[str, str] = {}
    reasons: set[str] = set()
    with database.transaction() as session:
        for number, text in enumerate([*strings, "nul\x00", "half\ud800", "\udfff"]):
            try:
                account = onboarding.open_account(session, now=NOW, code=f"n{number}", name=text)
            except Invalid as invalid:
                reasons.add(str(invalid.fields["reason"]))
            else:
                kept[account.code] = unicodedata.normalize("NFC", text.strip())
    assert len(kept) > 450
    assert reasons <= {"empty", "too_long", "control_character", "not_unicode", "direction_control"}
    with database.reading() as session:
        assert {account.code: account.name for account in directory.list_accounts(session)} == kept


@pytest.mark.parametrize("code", ["", "nobody", "a\x00b", "\ud800", "x" * 500])
def test_an_unknown_code_is_not_found_whatever_it_holds(database: Database, code: str) -> None:
    with database.reading() as session:
        assert directory.find_account_by_code(session, code) is None
        with pytest.raises(NotFound):
            directory.get_account_by_code(session, code)
        with pytest.raises(NotFound):
            directory.get_account(session, code)


def test_the_house_has_an_account_and_a_head_of_its_own(database: Database) -> None:
    with database.transaction() as session:
        account = onboarding.open_account(session, now=NOW, code="calla")
        house = directory.house_account(session, account.seller_id)
        assert (house.kind, house.code, house.tenant_id) == ("house", "house:house", None)
        assert heads.lock_one(session, house.id).chain_seq == 0
        assert [found.code for found in directory.list_accounts(session)] == ["calla"]
        assert [found.code for found in directory.list_accounts(session, None)] == ["calla", "house:house"]


def test_a_profile_is_replaced_whole(database: Database) -> None:
    facts = ProfileFacts(
        legal_name=" Calla GmbH ",
        street="Unter den Linden 1",
        city="Berlin",
        postcode="10117",
        country="DE",
        vat_id="DE 129390950",
        email="Billing@Calla.example",
        purchase_order="",
    )
    with database.transaction() as session:
        account = onboarding.open_account(session, now=NOW, code="calla")
        profiles.update_profile(session, now=NOW, account_id=account.id, facts=facts)
    with database.reading() as session:
        profile = profiles.get_profile(session, account.id)
        assert (profile.legal_name, profile.vat_id, profile.email) == (
            "Calla GmbH",
            "DE129390950",
            "billing@calla.example",
        )
        assert profile.purchase_order is None


@pytest.mark.tampers  # it counts usage that is not there
def test_heads_are_read_anew_under_the_lock_and_keep_their_numbers(database: Database) -> None:
    with database.transaction() as session:
        ids = [onboarding.open_account(session, now=NOW, code=code).id for code in ("a", "b", "c")]

    def count_up(_: int) -> None:
        with database.transaction("jobs") as session:
            read_before = session.get(AccountHead, ids[0])  # must not be what is counted from
            locked = heads.lock(session, reversed(ids))
            assert locked[ids[0]] is read_before
            for head in locked.values():
                head.usage_seq += 1
            session.flush()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count_up, range(20)))
    with database.reading() as session:
        assert (
            session.scalars(select(AccountHead.usage_seq).where(AccountHead.billing_account_id.in_(ids))).all()
            == [20] * 3
        )


def test_locking_an_unknown_account_is_refused(database: Database) -> None:
    with pytest.raises(NotFound), database.transaction() as session:
        heads.lock(session, ["bac_none"])


def test_a_thousand_and_one_accounts_lock_at_once(database: Database) -> None:
    with database.transaction() as session:
        opened = onboarding.open_account(session, now=NOW, code="first")
        rows = [
            {
                "id": f"bac_{number:04d}",
                "code": f"t{number}",
                "name": "t",
                "kind": "tenant",
                "tenant_id": opened.tenant_id,
                "seller_id": opened.seller_id,
                "currency": "USD",
                "zone": "UTC",
                "policy": "postpaid",
                "created_at": NOW,
            }
            for number in range(1001)
        ]
        session.execute(BillingAccount.__table__.insert(), rows)
        session.execute(AccountHead.__table__.insert(), [{"billing_account_id": row["id"]} for row in rows])
        locked = heads.lock(session, (str(row["id"]) for row in rows))
        assert list(locked) == sorted(str(row["id"]) for row in rows)
