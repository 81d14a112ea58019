"""Keys of machines."""

from datetime import UTC, datetime

import pytest

from billing.accounts import keys
from billing.accounts.errors import KeyRefused
from billing.accounts.tables import ApiKey
from billing.catalog import onboarding
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_key_is_known_by_its_text_which_is_not_kept(database: Database) -> None:
    with database.transaction() as session:
        tenant_id = onboarding.open_account(session, now=NOW, code="calla").tenant_id
        key, plaintext = keys.create_key(
            session,
            now=NOW,
            tenant_id=tenant_id,
            label="importer",
            scopes=["usage.write", "billing.read", "usage.write"],
        )
    with database.reading() as session:
        found = keys.verify(session, plaintext)
        assert (found.id, found.tenant_id) == (key.id, tenant_id)
        assert keys.scopes_of(found) == {"usage.write", "billing.read"}
        stored = session.get_one(ApiKey, key.id)
        secret = plaintext.rpartition("_")[2]
        assert secret not in " ".join(str(value) for value in vars(stored).values())


@pytest.mark.parametrize("text", ["", "plk_", "Bearer x", "plk_000000000000_" + "a" * 43, "plk_\x00", "\ud800"])
def test_any_other_text_is_refused(database: Database, text: str) -> None:
    with database.reading() as session, pytest.raises(KeyRefused):
        keys.verify(session, text)


def test_a_known_prefix_with_another_secret_is_refused(database: Database) -> None:
    with database.transaction() as session:
        _, plaintext = keys.create_key(session, now=NOW, tenant_id=None, label="service", scopes=["usage.write"])
        changed = plaintext[:-1] + ("A" if plaintext[-1] != "A" else "B")
        with pytest.raises(KeyRefused):
            keys.verify(session, changed)


def test_a_revoked_key_is_refused_and_stays_so(database: Database) -> None:
    with database.transaction() as session:
        key, plaintext = keys.create_key(session, now=NOW, tenant_id=None, label="service", scopes=["usage.write"])
        keys.revoke(session, now=NOW, key_id=key.id)
        keys.revoke(session, now=datetime(2027, 1, 1, tzinfo=UTC), key_id=key.id)
        assert key.revoked_at == NOW
        with pytest.raises(KeyRefused):
            keys.verify(session, plaintext)
        with pytest.raises(NotFound):
            keys.revoke(session, now=NOW, key_id="key_none")


@pytest.mark.parametrize(
    ("scopes", "reason"), [([], "empty"), (["admin"], "unknown_scope"), (["invoice.issue"], "unknown_scope")]
)
def test_a_key_gets_known_scopes_only(database: Database, scopes: list[str], reason: str) -> None:
    with pytest.raises(Invalid) as refusal, database.transaction() as session:
        keys.create_key(session, now=NOW, tenant_id=None, label="service", scopes=scopes)
    assert refusal.value.fields["reason"] == reason
