"""Statement bundles: what a stranger proves with them, and that nothing in them can be altered unseen."""

import hashlib
import importlib.util
import io
import json
import random
import warnings
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from billing.ledger import balances
from billing.storage.database import Database
from billing.storage.signing import Signer
from tests.service.assurance import bundles
from tests.service.assurance.walk import SIGNER, walk

ROW_MEMBERS = (
    *("transactions.jsonl", "postings.jsonl", "lines.jsonl", "prices.jsonl"),
    *("counters.jsonl", "charges.jsonl", "invoices.jsonl"),
)
# What no hash of the chain covers: only the signature of the manifest holds it. (A row's own hash names it all the same.)
SIGNED_ONLY = {
    "postings.jsonl": {"id"},
    "prices.jsonl": {"unit", "base_unit"},
    "counters.jsonl": {"segment_start_at_micros"},
    "invoices.jsonl": {"transaction_id"},
}


def _verifier() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plumbline_verify", bundles.VERIFIER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VERIFY = _verifier()


def _said(data: bytes, folder: Path, fingerprint: str | None = SIGNER.fingerprint) -> str | None:
    """The sentence about what is wrong; None where nothing is."""
    path = folder / "tried.zip"
    path.write_bytes(data)
    try:
        sentences, _ = VERIFY.verify(path, fingerprint)
        list(sentences)
    except VERIFY.Wrong as wrong:
        return str(wrong)
    return None


def test_a_stranger_proves_a_whole_statement_and_sees_its_balances(database: Database, tmp_path: Path) -> None:
    found = walk(database)
    for account_id, lines in ((found.account_id, 6), (found.other_id, 2), (found.bent_id, 3)):
        data = bundles.make(database, account_id)
        assert data == bundles.make(database, account_id)  # the same books, the same bytes
        status, said = bundles.run(tmp_path / account_id, data, "--fingerprint", SIGNER.fingerprint)
        assert status == 0, said
        assert said.rstrip().endswith("PROVEN.")
        assert f"{lines} rated lines" in said
        told = json.loads(bundles.members(data, tmp_path)["account.json"])
        with database.reading("jobs") as session:
            held = balances.of_account(session, account_id)[0]
        for name in ("wallet", "unbilled", "receivable", "refund_pending"):
            assert told["closing"].get(f"{account_id}/{name}/USD", 0) == getattr(held, f"{name}_minor")
    for spelling in (SIGNER.fingerprint.upper(), ":".join(SIGNER.fingerprint[i : i + 2] for i in range(0, 64, 2))):
        assert bundles.run(tmp_path / "a", data, "--fingerprint", spelling)[0] == 0


def test_without_a_fingerprint_the_signer_is_unknown_and_with_another_it_is_refused(
    database: Database, tmp_path: Path
) -> None:
    data = bundles.make(database, walk(database).account_id)
    status, said = bundles.run(tmp_path, data)
    assert status == 2
    assert "Consistent, signer unknown" in said
    status, said = bundles.run(tmp_path, data, "--fingerprint", "ab" * 32)
    assert status == 1
    assert SIGNER.fingerprint in said
    assert bundles.run(tmp_path, data, "--fingerprint", "short")[0] == 64


def test_a_range_shows_its_own_lines_and_proves_both_balances(database: Database, tmp_path: Path) -> None:
    found = walk(database)
    whole = bundles.members(bundles.make(database, found.account_id), tmp_path)
    recorded = sorted({row["recorded_at_micros"] for row in bundles.rows(whole["transactions.jsonl"])})
    assert len(recorded) >= 3
    for cut in recorded[1:]:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=cut)
        later, before = (
            bundles.make(database, found.account_id, from_at=at),
            bundles.make(database, found.account_id, to_at=at),
        )
        for data in (later, before):
            assert _said(data, tmp_path) is None
        one, other = bundles.members(later, tmp_path), bundles.members(before, tmp_path)
        assert json.loads(one["account.json"])["opening"] == json.loads(other["account.json"])["closing"]
        lines = [len(bundles.rows(each["lines.jsonl"])) for each in (one, other, whole)]
        assert lines[0] + lines[1] == lines[2]


def test_a_bundle_shows_nothing_of_others(database: Database, tmp_path: Path) -> None:
    found = walk(database)
    told = b"".join(bundles.members(bundles.make(database, found.account_id), tmp_path).values())
    assert found.account_id.encode() in told
    for secret in (found.other_id, "taifl"):
        assert secret.encode() not in told


def test_a_key_that_was_changed_is_known_by_the_one_before(database: Database, tmp_path: Path) -> None:
    account_id = walk(database).account_id
    told: dict[str, Any] = dict(bundles.members(bundles.make(database, account_id), tmp_path))
    root = json.loads(told["root.json"])
    new = Signer(bytes(32))
    message = b"plumbline signing key\n" + bytes.fromhex(new.public_key)
    key = {
        "id": "sky_new", "public_key": new.public_key, "fingerprint": new.fingerprint,
        "previous_id": root["keys"][0]["id"], "signature": SIGNER.sign(message),
    }  # fmt: skip
    root["keys"].append(key)
    root["root"] |= {"key_id": "sky_new", "fingerprint": new.fingerprint}
    root["root"]["hash"] = VERIFY.digest("signed-root/1", *[root["root"][name] for name in VERIFY.ROOT])
    root["root"]["signature"] = new.sign(b"plumbline signed root\n" + bytes.fromhex(root["root"]["hash"]))
    told["root.json"] = (VERIFY.dumps(root) + "\n").encode()
    data = bundles.packed(told, signer=new)
    for fingerprint in (SIGNER.fingerprint, new.fingerprint):
        assert _said(data, tmp_path, fingerprint) is None
    status, said = bundles.run(tmp_path, data, "--fingerprint", SIGNER.fingerprint)
    assert status == 0
    assert "1 rotations later, each key signed by the one before" in said
    key["signature"] = new.sign(message)  # it cannot vouch for itself
    told["root.json"] = (VERIFY.dumps(root) + "\n").encode()
    assert "is not signed by the one before" in str(_said(bundles.packed(told, signer=new), tmp_path))


def _flips(data: bytes, count: int, seed: int) -> Iterator[tuple[int, bytes]]:
    chance = random.Random(seed)
    for place in chance.sample(range(len(data)), min(count, len(data))):
        altered = bytearray(data)
        altered[place] ^= 1 << chance.randrange(8)
        yield place, bytes(altered)


@pytest.mark.parametrize(
    "count",
    [60, pytest.param(300, marks=pytest.mark.merge_medium), pytest.param(1_000, marks=pytest.mark.release_heavy)],
)
def test_a_flipped_byte_anywhere_is_noticed_and_located(database: Database, tmp_path: Path, count: int) -> None:
    data = bundles.make(database, walk(database).account_id)
    seed = random.randrange(2**32)
    unseen, unplaced = [], []
    for place, altered in _flips(data, count, seed):
        said = _said(altered, tmp_path)
        if said is None:
            unseen.append(place)
        elif not any(name in said.split(":")[0] for name in (*VERIFY.ROWS, *VERIFY.WHOLE, "the zip file", "the file")):
            unplaced.append((place, said))
    assert not unseen, f"seed {seed}: {unseen}"
    assert not unplaced, f"seed {seed}: {unplaced}"
    assert _said(data, tmp_path) is None


def _altered(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return "altered"
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1:] != "0" else "1") if value else "altered"
    if isinstance(value, list):
        return value[:-1] if value else ["altered"]
    return {**value, "altered": 1}


def _fields(row: dict[str, Any], path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a row, those inside of lists and objects too."""
    for name, value in row.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from _fields(value, (*path, name))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from _fields(value[0], (*path, name, 0))


def _changed(rows: list[dict[str, Any]], number: int, path: tuple[Any, ...]) -> list[dict[str, Any]]:
    copied = json.loads(json.dumps(rows))
    target = copied[number]
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = _altered(target[path[-1]])
    return list(copied)


def test_every_field_of_every_kind_of_row_is_held_by_a_hash_or_the_signature(
    database: Database, tmp_path: Path
) -> None:
    """Altered by somebody who makes all hashes of the file anew: without the key nothing passes, with the key nothing that is hashed."""
    found = walk(database)
    for account_id in (found.account_id, found.bent_id):
        told: dict[str, Any] = dict(bundles.members(bundles.make(database, account_id), tmp_path))
        parsed = {name: bundles.rows(told[name]) for name in ROW_MEMBERS}
        base = told | parsed
        assert _said(bundles.packed(base, signer=SIGNER), tmp_path) is None
        for name, rows in parsed.items():
            for path in _fields(rows[-1]) if rows else ():
                altered = base | {name: _changed(rows, -1, path)}
                assert _said(bundles.packed(altered), tmp_path) is not None, (name, path)
                if path[0] not in SIGNED_ONLY.get(name, set()):
                    said = _said(bundles.packed(altered, signer=SIGNER), tmp_path)
                    assert said is not None, (name, path)


def test_rows_that_are_dropped_doubled_or_moved_are_noticed_even_if_signed(database: Database, tmp_path: Path) -> None:
    told: dict[str, Any] = dict(bundles.members(bundles.make(database, walk(database).account_id), tmp_path))
    parsed = {name: bundles.rows(told[name]) for name in ROW_MEMBERS}
    base = told | parsed
    for name, rows in parsed.items():
        changes = [rows[:-1], rows[1:], [*rows, rows[-1]]]
        if name in ("transactions.jsonl", "lines.jsonl") and len(rows) > 1:
            changes.append([rows[1], rows[0], *rows[2:]])
        for changed in changes:
            assert _said(bundles.packed(base | {name: changed}, signer=SIGNER), tmp_path) is not None, name


def test_the_bundle_and_its_verifier_are_what_is_signed(database: Database, tmp_path: Path) -> None:
    told: dict[str, Any] = dict(bundles.members(bundles.make(database, walk(database).account_id), tmp_path))
    assert told["plumbline_verify.py"] == bundles.VERIFIER.read_bytes()
    altered = told | {"plumbline_verify.py": told["plumbline_verify.py"] + b"#", "README.txt": told["README.txt"]}
    said = _said(bundles.packed(altered), tmp_path)
    assert said is not None
    manifest = json.loads(told["manifest.json"])
    for name in ROW_MEMBERS:
        assert manifest["files"][name]["rows"] == len(bundles.rows(told[name]))
        assert manifest["files"][name]["sha256"] == hashlib.sha256(told[name]).hexdigest()


def _zip(*members: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content in members:
            file.writestr(name, content)
    return made.getvalue()


def test_hostile_files_get_one_sentence(database: Database, tmp_path: Path) -> None:
    whole = bundles.make(database, walk(database).other_id)
    told = bundles.members(whole, tmp_path)
    every = list(told.items())
    lines = {
        "a number of a million digits": b'["0000000000000000",{"id":' + b"9" * 1_000_000 + b"}]\n",
        "a fraction": b'["0000000000000000",{"id":1.5}]\n',
        "deep nesting": b'["0000000000000000",' + b"[" * 200_000 + b"]" * 200_000 + b"]\n",
        "no JSON": b"\xff\xfe\n",
        "no row": b"[]\n",
        "a bomb": b" " * 80_000_000,
        "no line end": b"{}",
    }
    hostile = {
        name: _zip(*(pair for pair in every if pair[0] != "prices.jsonl"), ("prices.jsonl", line))
        for name, line in lines.items()
    }
    hostile |= {
        "nothing": b"",
        "no zip": b"hello",
        "cut": whole[: len(whole) // 2],
        "a tail": whole + b"x",
        "an empty zip": _zip(),
        "a path": _zip(*every, ("../../etc/passwd", b"x")),
        "a member twice": _zip(*every, every[-1]),
        "a member missing": _zip(*every[1:]),
        "another packing": _zip(*every),
    }
    for name, data in hostile.items():
        status, said = bundles.run(tmp_path / "hostile", data, "--fingerprint", SIGNER.fingerprint)
        assert status == 1, name
        assert said.startswith("NOT PROVEN. "), (name, said)
        assert said.count("\n") == 1, (name, said)
        assert len(said) < 400, (name, said)
    assert not (tmp_path / "etc").exists()
