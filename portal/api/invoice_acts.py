"""Finance's machines over invoices: drafting a month, closing and voiding drafts, credit notes. Approving is a person's."""

from typing import Annotated, Any, Literal

from flask import Response
from pydantic import Field, model_validator

from billing.accounts import directory, names
from billing.invoicing import credit_notes, drafts, invoices, issue, sending_back, waiting
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import DraftDearer
from billing.invoicing.invoices import InvoiceRow
from billing.kernel import periods
from billing.kernel.errors import Invalid, NotFound, Refusal
from billing.rating import up_to_date
from billing.storage.database import Session
from portal import sentences, services
from portal.api import answers, bodies, keys
from portal.api.values import In, Money, Out

MAX_ACCOUNTS = 200


class GenerateRequest(In):
    """Which month to draft, for all accounts that wait for it or for those named (up to 200)."""

    period: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")]
    accounts: Annotated[list[str], Field(max_length=MAX_ACCOUNTS)] = []


class Drafted(Out):
    """What became of one account: `draft` names the open draft, `refused` says why there is none; neither: nothing to bill."""

    account: str
    draft: str | None
    refused: str | None
    code: str | None


class GenerateAnswer(Out):
    """Up to 200 accounts are drafted in a call; `waiting` accounts are left: call again with a new key, or leave them to the job."""

    period: str
    data: list[Drafted]
    waiting: int


class InvoiceAct(Out):
    """A document after the act; `state` is draft, in_review, approved, issued or void, `total` net, tax and rounding."""

    id: str
    kind: Literal["invoice", "credit_note"]
    number: str | None
    account: str
    period: str | None
    state: str
    net: Money
    tax: Money
    rounding: Money
    total: Money


class CreditedLine(In):
    """A line by its number on the invoice, and how much of it, before tax; without an amount its rest."""

    line: Annotated[int, Field(ge=1)]
    amount_minor: int | None = None


class CreditNoteRequest(In):
    """One of three ways: an amount with tax, lines, or `full` for all that is left. The reason is printed."""

    reason: Annotated[str, Field(min_length=1, max_length=credit_notes.REASON_MAX)]
    amount: Money | None = None
    lines: Annotated[list[CreditedLine], Field(min_length=1, max_length=5_000)] | None = None
    full: bool = False

    @model_validator(mode="after")
    def _names_one_way(self) -> "CreditNoteRequest":
        if sum((self.amount is not None, self.lines is not None, self.full)) != 1:
            raise ValueError("Give one of amount, lines and full.")
        return self


class CreditNoteAnswer(Out):
    """An issued credit note: what was given back, and where it went."""

    id: str
    number: str
    corrects: str
    credited: Money
    to_receivable: Money
    to_wallet: Money
    ledger_transaction: str


@keys.needs_staff("finance.run")
def generate_invoices() -> Response:
    """Bring each account up to date and draft its month, one transaction per account; asked for again it changes nothing."""
    asked = bodies.read(GenerateRequest)
    periods.month(asked.period, "UTC")
    with answers.claimed() as claim:
        if isinstance(claim, Response):
            return claim
        account_ids = _account_ids(asked)
        done = [_drafted(code, account_id, asked.period) for code, account_id in account_ids[:MAX_ACCOUNTS]]
        answer = GenerateAnswer(period=asked.period, data=done, waiting=max(0, len(account_ids) - MAX_ACCOUNTS))
        with services.database().transaction() as session:
            return answers.keep(session, claim, answers.of(answer))


@keys.needs_staff("finance.run")
def close_invoice(invoice_id: str) -> Response:
    """Issue a draft that a person approved: number, entries and notice, or nothing at all. One that became dearer is a draft again."""

    def act(session: Session) -> Response:
        found = invoices.find_id(session, _id(invoice_id)) or _id(invoice_id)
        header = issue.issue(session, now=services.now(), draft_id=found, actor=keys.actor())
        return answers.of(_act(session, header.id))

    try:
        return answers.once(act)
    except DraftDearer:  # an act of its own: the refusal took nothing
        with services.database().transaction() as session:
            sending_back.send_back(session, now=services.now(), draft_id=_id(invoice_id), actor=keys.actor())
        raise


@keys.needs_staff("finance.run")
def void_invoice(invoice_id: str) -> Response:
    """Void a draft: what it billed waits for the next one. An issued document is 409: it is corrected by a credit note."""

    def act(session: Session) -> Response:
        found = invoices.find_id(session, _id(invoice_id)) or _id(invoice_id)
        header = drafts.void(session, now=services.now(), draft_id=found, actor=keys.actor())
        return answers.of(_act(session, header.id))

    return answers.once(act)


@keys.needs_staff("finance.run")
def create_credit_note(invoice_id: str) -> Response:
    """201 with the credit note: against what is open first, the rest to the wallet."""
    asked = bodies.read(CreditNoteRequest)

    def act(session: Session) -> Response:
        found = invoices.get_invoice(session, now=services.now(), key=_id(invoice_id))
        made = credit_notes.credit(
            session,
            now=services.now(),
            invoice_id=found.row.id,
            reason=asked.reason,
            actor=keys.actor(),
            **_way(asked, found.document),
        )
        return answers.of(
            CreditNoteAnswer(
                id=made.credit_note_id,
                number=made.number,
                corrects=str(found.row.number),
                credited=Money(amount_minor=made.payable_minor, currency=made.currency),
                to_receivable=Money(amount_minor=made.to_receivable_minor, currency=made.currency),
                to_wallet=Money(amount_minor=made.to_wallet_minor, currency=made.currency),
                ledger_transaction=made.transaction_id,
            ),
            201,
        )

    return answers.once(act)


def _way(asked: CreditNoteRequest, document: InvoiceDocument) -> dict[str, Any]:
    if asked.amount is not None:
        if asked.amount.currency != document.currency:
            raise Invalid(field="amount", value=asked.amount.currency, expected=document.currency, reason="currency")
        return {"amount_minor": asked.amount.amount_minor}
    if asked.full:
        return {"full": True}
    by_seq = {line.seq: line.id for line in document.lines}
    chosen: dict[str, int | None] = {}
    for one in asked.lines or ():
        if one.line not in by_seq:
            raise Invalid(field="lines", value=one.line, reason="unknown_line")
        chosen[by_seq[one.line]] = one.amount_minor
    return {"lines": chosen}


def _account_ids(asked: GenerateRequest) -> list[tuple[str, str]]:
    """(code, id) of the accounts named, else of those that wait for the month's draft, late usage or not. Raises NotFound."""
    with services.database().reading() as session:
        if asked.accounts:
            found = []
            for code in asked.accounts:
                account = directory.find_account_by_code(session, code) if names.is_safe(code) else None
                if account is None:
                    raise NotFound(account=names.shown(code))
                found.append((account.code, account.id))
            return found
        return waiting.list_accounts(session, period_label=asked.period)


def _drafted(code: str, account_id: str, period: str) -> Drafted:
    now = services.now()
    try:
        with services.database().transaction() as session:
            up_to_date.bring(session, now=now, account_id=account_id)
            draft_id = drafts.generate(session, now=now, period_label=period, account_id=account_id, actor=keys.actor())
    except Refusal as refusal:
        return Drafted(account=code, draft=None, refused=sentences.of(refusal), code=refusal.code)
    return Drafted(account=code, draft=draft_id, refused=None, code=None)


def _id(text: str) -> str:
    if len(text) > 100 or not names.is_safe(text):
        raise NotFound(invoice=names.shown(text))
    return text


def _act(session: Session, invoice_id: str) -> InvoiceAct:
    row: InvoiceRow = invoices.get_invoice(session, now=services.now(), key=invoice_id).row
    return InvoiceAct(
        id=row.id,
        kind="credit_note" if row.kind == "credit_note" else "invoice",
        number=row.number,
        account=row.account,
        period=row.period,
        state=row.state,
        net=Money(amount_minor=row.net_minor, currency=row.currency),
        tax=Money(amount_minor=row.tax_minor, currency=row.currency),
        rounding=Money(amount_minor=row.rounding_minor, currency=row.currency),
        total=Money(amount_minor=row.total_minor, currency=row.currency),
    )
