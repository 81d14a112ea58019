"""The cardholder's bank, at either provider: what it does to a payment, and the deliveries that follow."""

from typing import Any

from sqlalchemy import select

from billing.invoicing import invoices
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.payments.disputes.tables import Dispute, DisputeEvent
from billing.payments.sessions import PaymentRow
from tests.service.payments.world import Delivery, SandboxCustomer, StripeCustomer, World


class Bank:
    """Disputes payments of a world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def dispute(self, payment: PaymentRow, **more: Any) -> list[Delivery]:
        """Open one: `amount`, `reason`, `is_inquiry`."""
        customer, paid = self.world.customer, payment.provider_payment_id
        if isinstance(customer, SandboxCustomer):
            return _of_sandbox(customer.provider.open_dispute(paid, now=self.world.now, **more))
        assert isinstance(customer, StripeCustomer)
        return customer._told(lambda objects: objects.dispute(paid, **more))

    def decide(self, outcome: str, dispute_id: str | None = None) -> list[Delivery]:
        """won, lost, closed, disputed, reinstated or withdrawn; of the newest dispute unless named."""
        customer, dispute_id = self.world.customer, dispute_id or self.newest()
        if isinstance(customer, SandboxCustomer):
            return _of_sandbox(customer.provider.decide(dispute_id, outcome, now=self.world.now))
        assert isinstance(customer, StripeCustomer)
        amount = self.item(dispute_id)["amount"]
        match outcome:
            case "closed":
                return customer._told(lambda objects: objects.decide_dispute(dispute_id, "warning_closed"))
            case "disputed":
                return customer._told(lambda objects: objects.decide_dispute(dispute_id, "needs_response"))
            case "reinstated":
                return customer._told(lambda objects: objects.move_dispute(dispute_id, amount, status="won"))
            case "withdrawn":
                return customer._told(lambda objects: objects.move_dispute(dispute_id, -amount, status="lost"))
        return customer._told(lambda objects: objects.decide_dispute(dispute_id, outcome))

    def newest(self) -> str:
        """The provider's id of the newest dispute."""
        customer = self.world.customer
        if isinstance(customer, SandboxCustomer):
            return max(self.world.provider.list_disputes(since=self.world.now.replace(year=2020)), key=_opened).id
        assert isinstance(customer, StripeCustomer)
        return str(customer.peer.account.all("dispute")[0]["id"])

    def item(self, dispute_id: str) -> dict[str, Any]:
        """The peer's live object."""
        assert isinstance(self.world.customer, StripeCustomer)
        return self.world.customer.peer.account.get("dispute", dispute_id)


def _of_sandbox(events: list[Any]) -> list[Delivery]:
    return [(event.body, event.headers) for event in events]


def _opened(facts: Any) -> Any:
    return (facts.opened_at, facts.id)


def the_dispute(world: World) -> Dispute:
    """The only one there is."""
    with world.database.reading("jobs") as session:
        [item] = session.scalars(select(Dispute))
        session.expunge(item)
        return item


def happened(world: World) -> list[str]:
    """Types of what happened to disputes, in order."""
    with world.database.reading("jobs") as session:
        return list(session.scalars(select(DisputeEvent.type).order_by(DisputeEvent.dispute_id, DisputeEvent.seq)))


def booked(world: World) -> list[tuple[str, str, str, int]]:
    """(kind, debit, credit, cents) of every entry that disputes made, the house's among them, in order of booking."""
    kinds = ("chargeback_debit", "chargeback_reversal", "chargeback_final", "dispute_fee")
    with world.database.reading("jobs") as session:
        rows = session.execute(
            select(
                LedgerEntry.kind, LedgerEntry.debit_account_id, LedgerEntry.credit_account_id, LedgerEntry.amount_minor
            )
            .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
            .where(LedgerEntry.kind.in_(kinds))
            .order_by(LedgerTransaction.id, LedgerEntry.seq)
        )
        return [(kind, _name(debit), _name(credit), int(minor)) for kind, debit, credit, minor in rows]


def _name(ledger_account_id: str) -> str:
    return ledger_account_id.split("/")[-2]


def invoice_state(world: World, invoice_id: str) -> tuple[str, int]:
    """(state, what is left to pay) of an invoice."""
    with world.database.reading() as session:
        row = invoices.get_invoice(session, now=world.now, key=invoice_id).row
        return row.state, row.due_minor
