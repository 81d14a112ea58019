"""Stripe's own command line drives the peer: a customer, a payment, a refund, its events, and a key used twice."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.confidence.peer.conftest import Fetch
from tests.peers.stripe.server import StripeServer

pytestmark = pytest.mark.merge_medium

NEVER = ("-d", "automatic_payment_methods[enabled]=true", "-d", "automatic_payment_methods[allow_redirects]=never")


class CommandLine:
    """The program with a home of its own, pointed at the peer by its hidden flag."""

    def __init__(self, program: Path, home: Path, peer: StripeServer) -> None:
        self._program, self._peer = program, peer
        self._environment = {
            "HOME": str(home),
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
        }

    def run(self, *arguments: str) -> tuple[int, str]:
        """(exit code, everything it said)."""
        command = [
            str(self._program),
            *arguments,
            "--api-base",
            self._peer.url,
            "--api-key",
            "sk_test_plumbline_peer_1",
        ]
        done = subprocess.run(
            command,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout + done.stderr

    def ask(self, *arguments: str) -> Any:
        """The object that it printed."""
        code, said = self.run(*arguments)
        assert code == 0, said
        return json.loads(said)


@pytest.fixture(scope="module")
def program(fetch: Fetch) -> Path:
    return fetch("@stripe/cli-linux-x64@1.52.0") / "bin" / "stripe"


@pytest.fixture
def peer() -> Iterator[StripeServer]:
    with StripeServer() as server:
        yield server


@pytest.fixture
def stripe(program: Path, peer: StripeServer, tmp_path: Path) -> CommandLine:
    return CommandLine(program, tmp_path, peer)


def test_a_payment_and_its_refund_by_stripes_command_line(stripe: CommandLine) -> None:
    customer = stripe.ask("customers", "create", "--name", "Ada", "-d", "metadata[order]=7")
    assert (customer["name"], customer["metadata"]) == ("Ada", {"order": "7"})
    intent = stripe.ask(
        "payment_intents", "create", "--amount", "2000", "--currency", "usd", "--customer", customer["id"], *NEVER
    )
    assert intent["status"] == "requires_payment_method"
    paid = stripe.ask(
        "payment_intents", "confirm", intent["id"], "--payment-method", "pm_card_visa", "-e", "latest_charge"
    )
    assert (paid["status"], paid["latest_charge"]["amount_captured"]) == ("succeeded", 2000)
    refund = stripe.ask("refunds", "create", "--payment-intent", intent["id"], "--amount", "500")
    assert (refund["status"], refund["amount"], refund["charge"]) == ("succeeded", 500, paid["latest_charge"]["id"])
    told = [event["type"] for event in stripe.ask("events", "list", "--limit", "10")["data"]]
    assert told == [
        "charge.refunded",
        "refund.created",
        "payment_intent.succeeded",
        "charge.succeeded",
        "payment_intent.created",
        "customer.created",
    ]


def test_a_key_used_twice_by_stripes_command_line(stripe: CommandLine, peer: StripeServer) -> None:
    create = ("customers", "create", "--idempotency", "key-1", "--name")
    first, again = stripe.ask(*create, "Ada"), stripe.ask(*create, "Ada")
    assert first == again
    code, said = stripe.run(*create, "Bob")
    assert "idempotency_error" in said, (code, said)
    assert len(stripe.ask("customers", "list")["data"]) == 1
    assert [key for method, _path, key in peer.calls if method == "POST"] == ["key-1"] * 3


def test_a_declined_card_is_told_by_stripes_command_line(stripe: CommandLine) -> None:
    intent = stripe.ask("payment_intents", "create", "--amount", "2000", "--currency", "usd", *NEVER)
    _code, said = stripe.run("payment_intents", "confirm", intent["id"], "--payment-method", "pm_card_chargeDeclined")
    assert '"code": "card_declined"' in said
    listed = stripe.ask("charges", "list", "--payment-intent", intent["id"])["data"]
    assert [charge["status"] for charge in listed] == ["failed"]
