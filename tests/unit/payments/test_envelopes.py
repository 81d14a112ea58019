"""Events are read defensively: a signature proves the sender, not sense."""

import json
from pathlib import Path
from typing import Any

import pytest

from billing.payments.errors import WebhookRefused
from billing.payments.providers import envelopes


def event(**changes: Any) -> bytes:
    body = {
        "id": "evt_1",
        "object": "event",
        "type": "checkout.session.completed",
        "livemode": False,
        "data": {"object": {"id": "cs_1", "object": "checkout.session", "client_reference_id": "pay_1"}},
    }
    return json.dumps(body | changes).encode()


def test_event_is_reduced_to_where_to_look() -> None:
    notice = envelopes.read(event())
    assert (notice.id, notice.type, notice.object_id, notice.reference) == (
        "evt_1",
        "checkout.session.completed",
        "cs_1",
        "pay_1",
    )
    assert (notice.is_live, notice.account, notice.payment_id) == (False, None, None)


def test_payment_is_found_whether_it_is_an_id_or_expanded() -> None:
    for intent in ("pi_1", {"id": "pi_1", "object": "payment_intent"}):
        item = {"id": "re_1", "object": "refund", "payment_intent": intent, "metadata": {"plumbline_id": "rfd_1"}}
        notice = envelopes.read(event(data={"object": item}))
        assert (notice.payment_id, notice.reference) == ("pi_1", "rfd_1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"7",
        b'"event"',
        b"\xff\xfe{}",
        b"{",
        b"[" * 100_000,
        b'{"id": "evt_1"}',
        event(id=None),
        event(id=7),
        event(id="evt_\u0000"),
        event(id="x" * 256),
        event(type=""),
        event(type=["a"]),
        event(object="charge"),
        event(data=None),
        event(data=[]),
        event(data={"object": "cs_1"}),
        b'{"id": "evt_1", "type": "a", "data": {"object": {}}, "n": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        envelopes.read(body)


@pytest.mark.parametrize("wrong", [None, 7, [], {}, "", "\u0000", "a b", "x" * 300, True])
def test_fields_that_are_no_ids_are_left_out(wrong: Any) -> None:
    item = {"id": wrong, "object": wrong, "client_reference_id": wrong, "payment_intent": wrong, "metadata": wrong}
    notice = envelopes.read(event(data={"object": item}, account=wrong, livemode=wrong))
    assert (notice.object_id, notice.reference, notice.payment_id, notice.account) == ("", None, None, None)
    assert notice.is_live is (wrong is True)


def test_hostile_strings_never_reach_the_notice(data_dir: Path) -> None:
    strings = json.loads((data_dir / "bad-input" / "blns.json").read_text())
    assert len(strings) > 400
    for text in strings:
        item = {
            "id": "cs_1",
            "object": "checkout.session",
            "client_reference_id": text,
            "metadata": {"plumbline_id": text},
        }
        notice = envelopes.read(event(data={"object": item}))
        assert notice.reference is None or notice.reference.isascii()


def test_real_events_are_read(data_dir: Path) -> None:
    files = sorted((data_dir / "stripe" / "events").glob("*.json"))
    assert len(files) == 25
    for file in files:
        assert envelopes.read(file.read_bytes()).type == file.stem
