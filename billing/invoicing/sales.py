"""The sale of a commitment: an invoice of its own, with one line naming the contract, drafted, approved and issued as every other."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import directory, heads
from billing.catalog import commitments
from billing.catalog.tables import CommitContract
from billing.invoicing import assembling, events, lines, parties, rows
from billing.invoicing.documents.model import Line
from billing.invoicing.tables import InvoiceHeader
from billing.invoicing.taxes import service as taxes
from billing.kernel.clock import get_zone
from billing.kernel.errors import Conflict
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.ledger.entries import Entry
from billing.rendering import times


def draft(session: Session, *, now: datetime, contract_id: str, actor: str) -> str:
    """Draft the invoice by which a commitment is sold; its id, the same one while it is open or issued. Locks the account's head.

    Taxed at once, as an advance payment is: the day of issue is its tax point. Raises NotFound, ProfileIncomplete, and
    Conflict(reason="commitment_withdrawn").
    """
    contract = commitments.get(session, contract_id)
    heads.lock_one(session, contract.billing_account_id)
    session.refresh(contract)
    if contract.sale_invoice_id is not None:
        return contract.sale_invoice_id
    if contract.lapsed_at is not None:
        raise Conflict(contract_id=contract.id, reason="commitment_withdrawn")
    if directory.get_account(session, contract.billing_account_id).prices_include_tax:
        raise Conflict(contract_id=contract.id, reason="commitment_prices_include_tax")
    account = directory.get_account(session, contract.billing_account_id)
    seller, profile = directory.get_seller(session, account.seller_id), parties.get_profile(session, account)
    taxes.keep_evidence(session, now=now, account=account, seller=seller, profile=profile, actor=actor)
    decision = taxes.treat(
        session,
        account=account,
        seller=seller,
        profile=profile,
        on=now.astimezone(get_zone(seller.zone)).date(),
    )
    treatment = decision.treatment
    line = Line(
        id=new_id("inl"),
        seq=1,
        description=f"Commitment {contract.name}",
        detail=_detail(contract, account.zone),
        quantity_text="1",
        unit="item",
        unit_price_text=lines.plain_money(contract.amount_minor, contract.currency),
        price_base_text="1",
        beside_text="",
        priced_unit="item",
        amount_minor=contract.amount_minor,
        tax_category=treatment.category,
        tax_rate_bp=treatment.rate_bp,
        contract_id=contract.id,
    )
    document = assembling.draft(
        new_id("drf"),
        account,
        seller,
        profile,
        period=None,
        currency=contract.currency,
        made=[line],
        treatments=[treatment],
    )
    document = replace(document, tax_facts=taxes.facts_of([decision]))
    header = rows.store_draft(
        session,
        document,
        now=now,
        account_id=account.id,
        seller_id=seller.id,
        billing_period_id=None,
        charges={},
    )
    contract.sale_invoice_id = header.id
    facts = {"total_minor": header.total_minor, "currency": header.currency, "contract": contract.id}
    events.record(session, header, now=now, type="drafted", actor=actor, facts=facts)
    session.flush()  # approval and issue read the rows
    return header.id


def release(session: Session, header: InvoiceHeader) -> None:
    """A voided draft sells nothing: its commitment may be sold by another. The caller holds the account's lock."""
    contract = find_contract(session, header.id)
    if contract is not None:
        contract.sale_invoice_id = None


def find_contract(session: Session, invoice_id: str) -> CommitContract | None:
    """The commitment that an invoice or draft sells, or None."""
    return session.scalars(select(CommitContract).where(CommitContract.sale_invoice_id == invoice_id)).first()


def entries(
    contract_id: str, *, net_minor: int, taxes: list[tuple[str, int]], currency: str, invoice_id: str
) -> list[Entry]:
    """commit_sale: receivable -> deferred (net) and tax, by (jurisdiction, minor units); each entry names the contract."""
    wanted = [("deferred", net_minor), *((f"tax:{jurisdiction}", minor) for jurisdiction, minor in taxes)]
    return [
        Entry(
            kind="commit_sale",
            debit="receivable",
            credit=name,
            amount=Money(minor=minor, currency=currency),
            detail={"invoice": invoice_id, "contract_id": contract_id},
        )
        for name, minor in wanted
        if minor
    ]


def _detail(contract: CommitContract, zone: str) -> str:
    what = f"charges of {', '.join(contract.families)}" if contract.families else "all charges"
    return f"Paid in advance for {what} · {times.period(contract.starts_at, contract.ends_at, zone=zone)}"
