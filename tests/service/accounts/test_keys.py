"""Keys of machines: what they may, for whom, for how long."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.accounts import keys
from billing.accounts.errors import KeyAboveMaker, KeyRefused
from billing.accounts.tables import ApiKey
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Database
from tests.service.accounts.world import acts, person, tenant

NOW = datetime(2026, 1, 1, 12, 34, 56, tzinfo=UTC)


@pytest.fixture
def calla(database: Database) -> str:
    return tenant(database)


def make(database: Database, tenant_id: str | None, *scopes: str, **more: object) -> tuple[ApiKey, str]:
    facts = {"label": "importer", "scopes": scopes or ("usage.write",), **more}
    with database.transaction() as session:
        return keys.create_key(session, now=NOW, tenant_id=tenant_id, **facts)  # type: ignore[arg-type]


def test_a_key_is_known_by_its_text_which_is_not_kept(database: Database, calla: str) -> None:
    key, plaintext = make(database, calla, "usage.write", "billing.read", "usage.write")
    with database.reading() as session:
        found = keys.verify(session, plaintext, now=NOW)
        assert (found.id, found.tenant_id) == (key.id, calla)
        assert keys.scopes_of(found) == {"usage.write", "billing.read"}
        stored = session.get_one(ApiKey, key.id)
        secret = plaintext.rpartition("_")[2]
        assert secret not in " ".join(str(value) for value in vars(stored).values())


def test_any_other_text_is_refused(database: Database) -> None:
    for text in ("", "plk_", "Bearer x", "plk_000000000000_" + "a" * 43, "plk_\x00", "\ud800"):
        with database.reading() as session, pytest.raises(KeyRefused):
            keys.verify(session, text, now=NOW)


def test_a_known_prefix_with_another_secret_is_refused(database: Database, calla: str) -> None:
    _, plaintext = make(database, calla)
    changed = plaintext[:-1] + ("A" if plaintext[-1] != "A" else "B")
    with database.reading() as session, pytest.raises(KeyRefused):
        keys.verify(session, changed, now=NOW)


def test_a_revoked_key_is_refused_and_stays_so(database: Database, calla: str) -> None:
    key, plaintext = make(database, calla)
    with database.transaction() as session:
        keys.revoke(session, now=NOW, key_id=key.id)
        ended = keys.revoke(session, now=NOW + timedelta(days=365), key_id=key.id)
        assert ended.revoked_at == NOW
        with pytest.raises(KeyRefused):
            keys.verify(session, plaintext, now=NOW)
        with pytest.raises(NotFound):
            keys.revoke(session, now=NOW, key_id="key_none")
    assert acts(database).count("key.revoke") == 1


def test_a_key_is_good_until_its_expiry(database: Database, calla: str) -> None:
    for days in (30, 90, 365):
        _, plaintext = make(database, calla, days=days)
        last = NOW + timedelta(days=days)
        with database.reading() as session:
            assert keys.verify(session, plaintext, now=last - timedelta(seconds=1))
            with pytest.raises(KeyRefused):
                keys.verify(session, plaintext, now=last)
    _, plaintext = make(database, calla, days=None)
    with database.reading() as session:
        assert keys.verify(session, plaintext, now=NOW + timedelta(days=10_000))


def test_a_key_may_not_do_more_than_its_maker(database: Database, calla: str) -> None:
    with pytest.raises(KeyAboveMaker) as refusal:
        make(database, calla, "billing.read", "usage.write", within={"billing.read", "refund.request"})
    assert refusal.value.fields["scopes"] == "usage.write"
    assert make(database, calla, "billing.read", within={"billing.read"})


def test_a_service_key_names_the_tenants_it_lists_and_no_others(database: Database, calla: str) -> None:
    dahlia, taifl = tenant(database, "dahlia"), tenant(database, "taifl")
    service, _ = make(database, None, tenant_ids=[calla, dahlia, calla])
    own, _ = make(database, calla)
    with database.reading() as session:
        assert [keys.may_name(session, service, one) for one in (calla, dahlia, taifl, "x")] == [True, True] + [
            False
        ] * 2
        assert [keys.may_name(session, own, one) for one in (calla, dahlia)] == [True, False]
        assert keys.tenant_ids_of(session, service) == {calla, dahlia}
        assert keys.tenant_ids_of(session, own) == {calla}
        (row,) = keys.list_keys(session, now=NOW, tenant_id=None)
        assert [name for _, name in row.tenants] == ["calla", "dahlia"]


def test_a_key_that_cannot_be_is_refused(database: Database, calla: str) -> None:
    cases: list[tuple[dict[str, object], str]] = [
        ({"tenant_id": None}, "tenants_needed"),
        ({"tenant_ids": ["ten_x"]}, "tenants_not_wanted"),
        ({"tenant_id": None, "tenant_ids": ["ten_x"], "scopes": ["billing.write"]}, "unknown_scope"),
        ({"scopes": []}, "empty"),
        ({"scopes": ["admin"]}, "unknown_scope"),
        ({"scopes": ["invoice.issue"]}, "unknown_scope"),
        ({"days": 0}, "unknown_expiry"),
        ({"days": -1}, "unknown_expiry"),
        ({"days": 10**9}, "unknown_expiry"),
        ({"label": ""}, "empty"),
        ({"label": "x" * 81}, "too_long"),
    ]
    for changes, reason in cases:
        facts = {"tenant_id": calla, "label": "importer", "scopes": ["usage.write"], **changes}
        with pytest.raises(Invalid) as refusal, database.transaction() as session:
            keys.create_key(session, now=NOW, **facts)  # type: ignore[arg-type]
        assert refusal.value.fields["reason"] == reason, changes


def test_a_service_key_for_a_tenant_that_is_none_is_not_made(database: Database) -> None:
    for tenant_id in ("ten_none", "\x00"):
        with pytest.raises(NotFound):
            make(database, None, tenant_ids=[tenant_id])


def test_use_is_noted_once_an_hour(database: Database, calla: str) -> None:
    key, plaintext = make(database, calla)
    hour = NOW.replace(minute=0, second=0)
    assert keys.is_use_due(key, now=NOW)
    with database.transaction() as session:
        keys.note_use(session, key.id, now=NOW)
    with database.transaction() as session:
        found = keys.verify(session, plaintext, now=NOW)
        assert found.last_used_at == hour
        assert not keys.is_use_due(found, now=hour + timedelta(minutes=59))
        assert keys.is_use_due(found, now=hour + timedelta(minutes=60))
        keys.note_use(session, key.id, now=hour - timedelta(hours=5))
        session.refresh(found)
        assert found.last_used_at == hour


def test_the_list_names_the_maker_and_the_state_and_nobody_elses_keys(database: Database, calla: str) -> None:
    ann = person(database, "ann", tenant_id=calla)
    revoked, _ = make(database, calla, label="old", actor=ann)
    short, _ = make(database, calla, label="short", actor="cli:root", days=30)
    make(database, tenant(database, "dahlia"), label="other")
    with database.transaction() as session:
        keys.revoke_own(session, now=NOW, key_id=revoked.id, tenant_id=calla, actor=ann)
    with database.reading() as session:
        rows = keys.list_keys(session, now=NOW, tenant_id=calla)
        assert [(row.label, row.state, row.created_by) for row in rows] == [
            ("short", "active", "cli:root"),
            ("old", "revoked", "Ann"),
        ]
        assert keys.get_key(session, now=NOW + timedelta(days=30), key_id=short.id, tenant_id=calla).state == "expired"


def test_another_tenants_key_is_neither_shown_nor_revoked(database: Database, calla: str) -> None:
    key, plaintext = make(database, tenant(database, "dahlia"))
    for tenant_id in (calla, None):
        with database.transaction() as session:
            with pytest.raises(NotFound):
                keys.get_key(session, now=NOW, key_id=key.id, tenant_id=tenant_id)
            with pytest.raises(NotFound):
                keys.revoke_own(session, now=NOW, key_id=key.id, tenant_id=tenant_id, actor="usr_x")
    with database.reading() as session:
        assert keys.verify(session, plaintext, now=NOW)


def test_a_form_makes_one_key_and_counts_per_maker(database: Database, calla: str) -> None:
    key, _ = make(database, calla, actor="usr_a", form_key="f")
    with database.transaction() as session:
        assert keys.find_made(session, actor="usr_a", tenant_id=calla, form_key="f") == session.get_one(ApiKey, key.id)
        assert keys.find_made(session, actor="usr_b", tenant_id=calla, form_key="f") is None
        assert keys.find_made(session, actor="usr_a", tenant_id="ten_x", form_key="f") is None
        assert keys.find_made(session, actor="usr_a", tenant_id=calla, form_key="") is None
