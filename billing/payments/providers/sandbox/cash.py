"""The balance in the sandbox: its transactions, their fees, and payouts to a bank that does not exist."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel import clock
from billing.kernel.errors import Conflict
from billing.kernel.ids import new_id
from billing.payments.errors import ProviderRefused
from billing.payments.providers import cash_facts
from billing.payments.providers.ports.cash import BalanceFacts, BalancePage, PayoutFacts
from billing.payments.providers.sandbox.memory import SignedEvent, get
from billing.payments.providers.sandbox.movements import KIND, Movements
from billing.payments.tables import SandboxObject
from billing.storage import locks

_ARRIVES_AFTER = timedelta(days=2)
_BANK = {"object": "bank_account", "id": "ba_sandbox", "bank_name": "Sandbox Bank", "last4": "6789"}


class Cash(Movements):
    """ports.cash, answered by ourselves."""

    def fetch_balance(self) -> list[BalanceFacts]:
        """All movements summed: what may be paid out, and what is not available yet."""
        now_s = clock.to_millis(self.read_clock()) // 1000
        sums: dict[str, dict[str, int]] = {"available": {}, "pending": {}}
        with self.database.reading() as session:
            for body in _movements(session):
                own = sums["available" if body["available_on"] <= now_s else "pending"]
                own[body["currency"]] = own.get(body["currency"], 0) + body["net"]
        return cash_facts.balance_facts(
            {
                name: [{"amount": amount, "currency": currency} for currency, amount in own.items()]
                for name, own in sums.items()
            }
        )

    def list_balance_transactions(
        self, *, since: datetime | None, until: datetime | None, after: str | None = None, limit: int = 100
    ) -> BalancePage:
        """Newest first, by whole seconds as at Stripe."""
        first = 0 if since is None else clock.to_millis(since) // 1000
        last = None if until is None else clock.to_millis(until) // 1000
        with self.database.reading() as session:
            found = [
                body
                for body in _movements(session)
                if first <= body["created"] and (last is None or body["created"] <= last)
            ]
            return self._page(session, found, after, limit)

    def list_payout_contents(self, payout_id: str, *, after: str | None = None, limit: int = 100) -> BalancePage:
        """What the payout took along, and its own movement. Raises ProviderRefused for one that was made by hand."""
        with self.database.reading() as session:
            if not get(session, payout_id, "payout").body["automatic"]:
                raise ProviderRefused("not_automatic", payout_id)
            found = [body for body in _movements(session) if body["payout"] == payout_id]
            return self._page(session, found, after, limit)

    def fetch_payout(self, payout_id: str) -> PayoutFacts:
        """The payout as it is now: it has arrived by the time that it was to."""
        with self.database.transaction() as session:
            body = self._arrived(get(session, payout_id, "payout", lock=True))
            own = {
                name: get(session, body[name], KIND).body
                for name in ("balance_transaction", "failure_balance_transaction")
                if body[name] is not None
            }
            return cash_facts.payout_facts(body | own)

    def pay_out(
        self, currency: str, *, now: datetime, automatic: bool = True, available_by: datetime | None = None
    ) -> SignedEvent:
        """Send everything that is available in that currency to the bank. Raises Conflict(nothing_to_pay_out).

        An automatic payout remembers what it took along; by hand it is an amount and nothing more, as at Stripe.
        """
        by_s = clock.to_millis(available_by or now) // 1000
        with self.database.transaction() as session:
            locks.take(session, "sandbox-payout")
            held = [row for row in _rows(session) if row.body["currency"] == currency.lower()]
            available = [row for row in held if row.body["available_on"] <= by_s]
            amount = sum(row.body["net"] for row in available)
            if amount <= 0:
                raise Conflict(currency=currency, reason="nothing_to_pay_out")
            body = {
                "id": new_id("po"),
                "object": "payout",
                "amount": amount,
                "currency": currency.lower(),
                "automatic": automatic,
                "livemode": False,
                "created": clock.to_millis(now) // 1000,
                "arrival_date": _midnight(now + _ARRIVES_AFTER),
                "destination": _BANK,
                "method": "standard",
                "statement_descriptor": "SANDBOX",
                "status": "in_transit",
                "reconciliation_status": "completed" if automatic else "not_applicable",
                "failure_balance_transaction": None,
            }
            none = timedelta(0)
            moved = self.move(session, type="payout", source=body, amount=-amount, now=now, available_after=none)
            body["balance_transaction"] = moved["id"]
            self.add(session, "payout", "po", None, body, None)
            if automatic:
                for row in [*available, get(session, moved["id"], KIND)]:
                    if row.body["payout"] is None:
                        row.body = row.body | {"payout": body["id"]}
            session.flush()
            return self.event("payout.created", body, now)

    def fail_payout(self, payout_id: str, *, now: datetime) -> SignedEvent:
        """The bank sends the money back. Raises Conflict for one that has failed."""
        with self.database.transaction() as session:
            row = get(session, payout_id, "payout", lock=True)
            if row.body["status"] == "failed":
                raise Conflict(payout_id=payout_id, reason="payout_failed")
            back = self.move(
                session,
                type="payout_failure",
                source=row.body,
                amount=row.body["amount"],
                now=now,
                available_after=timedelta(0),
            )
            row.body = row.body | {
                "status": "failed",
                "failure_balance_transaction": back["id"],
                "failure_code": "account_closed",
                "failure_message": "The bank account has been closed.",
            }
            session.flush()
            return self.event("payout.failed", row.body, now)

    def list_payouts(self) -> list[PayoutFacts]:
        """Every payout, newest first."""
        with self.database.transaction() as session:
            query = select(SandboxObject).where(SandboxObject.kind == "payout").order_by(SandboxObject.id.desc())
            return [cash_facts.payout_facts(self._arrived(row)) for row in session.execute(query).scalars()]

    def _arrived(self, row: SandboxObject) -> dict[str, Any]:
        if row.body["status"] == "in_transit" and row.body["arrival_date"] * 1000 <= clock.to_millis(self.read_clock()):
            row.body = row.body | {"status": "paid"}
        return row.body

    def _page(self, session: Session, found: list[dict[str, Any]], after: str | None, limit: int) -> BalancePage:
        """One page, newest first, each movement with its source as Stripe expands it."""
        found.sort(key=lambda body: (body["created"], body["id"]), reverse=True)
        places = [place for place, body in enumerate(found) if body["id"] == after]
        start = places[0] + 1 if places else 0
        shown = found[start : start + limit]
        items = [body | {"source": _source(session, body)} for body in shown]
        return cash_facts.page(items, has_more=len(found) > start + limit)


def _rows(session: Session) -> list[SandboxObject]:
    return list(session.execute(select(SandboxObject).where(SandboxObject.kind == KIND)).scalars())


def _movements(session: Session) -> list[dict[str, Any]]:
    return [row.body for row in _rows(session)]


def _source(session: Session, body: dict[str, Any]) -> Any:
    """What it comes from. A charge has no row of its own: it stands in its payment intent."""
    if body["source_kind"] == "charge":
        charge = {"object": "charge", "id": body["source"], "payment_intent": body["payment_intent"]}
        return charge | {"amount": body["amount"], "currency": body["currency"]}
    row = session.get(SandboxObject, body["source"])
    return body["source"] if row is None else row.body


def _midnight(at: datetime) -> int:
    return int(datetime(at.year, at.month, at.day, tzinfo=UTC).timestamp())
