"""What operators' pages and the API look at in tests: an account with a month that was used, a payment, and people by role."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from billing.controls import second_person
from billing.kernel.money import Money
from billing.payments import acts, apply, refunds, sessions, webhooks
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.refunds import RefundRow
from billing.payments.sessions import PaymentRow
from billing.storage.database import Database
from portal.services import Services
from tests import staff
from tests.service.invoicing import world
from tests.service.rating.world import Use
from tests.web.pages import Page

NOW = world.NOW
ASKER = "usr_tenant"


def standing_at(at: datetime = NOW) -> Iterator[None]:
    """The clock that views read, for fixtures of modules whose figures belong to one day."""
    with time_machine.travel(at, tick=True):
        yield


@dataclass(frozen=True)
class House:
    """The application and its database, with the acts that tests need again and again."""

    app: Flask
    database: Database

    @property
    def services(self) -> Services:
        found: Services = self.app.extensions["plumbline"]
        return found

    @property
    def sandbox(self) -> SandboxProvider:
        provider = self.services.providers["sandbox"]
        assert isinstance(provider, SandboxProvider)
        return provider

    def account(self, code: str = "calla", *uses: Use) -> str:
        """A billing account in Germany (19 %) whose October has been used, rated and posted."""
        account_id = world.open_account(self.database, code)
        if uses:
            world.used(self.database, account_id, *uses)
        return account_id

    def top_up(self, account_id: str, minor: int, key: str = "top-up") -> PaymentRow:
        """Money that has arrived through the sandbox's signed webhook."""
        row = acts.start_checkout(
            self.services.database,
            self.sandbox,
            now=NOW,
            account_id=account_id,
            purpose="top_up",
            amount=Money(minor=minor, currency="USD"),
            form_key=key,
            actor=ASKER,
            return_url_of=lambda session_id: f"http://localhost/add-funds/{session_id}",
        )
        event = self.sandbox.pay(str(row.provider_session_id), now=datetime.now(NOW.tzinfo))
        with self.database.transaction() as session:
            stored = webhooks.receive(
                session,
                now=datetime.now(NOW.tzinfo),
                provider=self.sandbox,
                raw_body=event.body,
                headers=event.headers,
            )
        apply.apply_event(self.services.database, self.services.providers, stored.id, now=NOW)
        with self.database.reading() as session:
            found = sessions.list_payments(session, account_id=account_id)
        return next(payment for payment in found if payment.session_id == row.id)

    def ask_refund(
        self,
        account_id: str,
        payment: PaymentRow,
        minor: int,
        *,
        actor: str = ASKER,
        key: str = "ask",
        reason: str = "Paid twice",
    ) -> RefundRow:
        """A request that waits for a decision."""
        with self.database.transaction() as session:
            return refunds.request(
                session,
                now=NOW,
                account_id=account_id,
                mode="card",
                amount=Money(minor=minor, currency="USD"),
                reason=reason,
                form_key=key,
                actor=actor,
                payment_id=payment.id,
            )

    def approve_refund(self, row: RefundRow) -> None:
        """A second person says yes."""
        with self.database.transaction() as session:
            staff.hire_two(session)
            second_person.approve(
                session,
                now=NOW,
                approval_id=str(row.approval_id),
                content_hash=str(row.content_hash),
                checker=staff.CHECKER,
            )

    def reject_refund(self, row: RefundRow, note: str) -> None:
        """A second person says no."""
        with self.database.transaction() as session:
            staff.hire_two(session)
            second_person.reject(session, now=NOW, approval_id=str(row.approval_id), checker=staff.CHECKER, note=note)

    def refund(self, refund_id: str) -> RefundRow:
        with self.database.reading() as session:
            return refunds.get_request(session, refund_id=refund_id)


def figures(page: Page) -> dict[str, str]:
    """{label: value} of the figures at the head of a page."""
    found = {}
    for element in page.root.iter("div"):
        if element.get("class") == "figure":
            label, value = list(element)[:2]
            found[words(label)] = words(value)
    return found


def act(client: FlaskClient, url: str, **values: str) -> TestResponse:
    """Load a page with a form and send it with these values changed, as a person would."""
    page = Page(client.get(url))
    return client.post(url, data={**page.form_values(), **values})


def words(element: object) -> str:
    """The text of an element with white space folded."""
    text = "".join(element.itertext())  # type: ignore[attr-defined]
    return re.sub(r"\s+", " ", text.replace("\u00a0", " ")).strip()
