"""Webhook signatures, against the SDK's own signer and verifier as the second implementation."""

from datetime import UTC, datetime, timedelta

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from billing.payments.errors import WebhookRefused
from billing.payments.providers import signing

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "whsec_test"
BODY = b'{"id": "evt_1"}'


def reason_of(header: str | None, *, body: bytes = BODY, secret: str = SECRET, now: datetime = AT) -> str:
    with pytest.raises(WebhookRefused) as refusal:
        signing.verify(body, header, secret=secret, now=now)
    return str(refusal.value.fields["reason"])


@given(st.text())
def test_our_signature_is_the_one_the_sdk_makes(text: str) -> None:
    body = text.encode("utf-8", "replace").decode()
    theirs = stripe.WebhookSignature.generate_signature_header(body, SECRET, timestamp=int(AT.timestamp()))
    assert signing.sign(body.encode(), secret=SECRET, at=AT) == theirs
    assert stripe.WebhookSignature.verify_header(body, theirs, SECRET) is True
    signing.verify(body.encode(), theirs, secret=SECRET, now=AT)


@pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 300])
def test_signature_at_most_300_seconds_away_is_accepted(seconds: int) -> None:
    header = signing.sign(BODY, secret=SECRET, at=AT)
    signing.verify(BODY, header, secret=SECRET, now=AT + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-301, 301, 10**6, -(10**6)])
def test_signature_from_another_time_is_refused(seconds: int) -> None:
    header = signing.sign(BODY, secret=SECRET, at=AT)
    assert reason_of(header, now=AT + timedelta(seconds=seconds)) == "timestamp_out_of_range"


def test_one_of_several_signatures_is_enough_while_a_secret_is_rolled() -> None:
    timestamp, _, ours = signing.sign(BODY, secret=SECRET, at=AT).partition(",")
    signing.verify(BODY, f"{timestamp},v1={'0' * 64},{ours}", secret=SECRET, now=AT)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "signature_missing"),
        ("", "signature_missing"),
        ("nonsense", "signature_malformed"),
        ("t=1", "signature_malformed"),
        ("v1=abc", "signature_malformed"),
        ("t=,v1=abc", "signature_malformed"),
        ("t=-5,v1=abc", "signature_malformed"),
        ("t=1.5,v1=abc", "signature_malformed"),
        ("t=١,v1=abc", "signature_malformed"),
        (f"t={'9' * 40},v1=abc", "signature_malformed"),
        ("t=1,t=2,v1=abc", "signature_malformed"),
        ("t=1763726400,v1=", "signature_wrong"),
        ("t=1763726400,v1=\ud800", "signature_wrong"),
        ("t=1763726400,v0=abc", "signature_malformed"),
    ],
)
def test_header_that_is_no_signature_is_refused(header: str | None, reason: str) -> None:
    assert reason_of(header) == reason


def test_every_changed_byte_of_the_body_is_noticed() -> None:
    header = signing.sign(BODY, secret=SECRET, at=AT)
    for place in range(len(BODY)):
        changed = BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :]
        assert reason_of(header, body=changed) == "signature_wrong"


def test_moved_timestamp_is_noticed() -> None:
    header = signing.sign(BODY, secret=SECRET, at=AT).replace("t=1", "t=2", 1)
    assert reason_of(header) == "signature_wrong"


def test_without_a_secret_nothing_is_accepted() -> None:
    assert reason_of(signing.sign(BODY, secret="", at=AT), secret="") == "signature_wrong"
