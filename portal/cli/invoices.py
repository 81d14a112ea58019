"""`plumbline invoices`: draft, approve, issue, correct and print."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from billing.accounts import directory, permissions, users
from billing.invoicing import credit_notes, drafts, invoices, issue, reviews, sending_back
from billing.invoicing.documents import render, worker
from billing.invoicing.errors import DraftDearer
from billing.invoicing.invoices import InvoiceDetail, InvoiceRow
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.kernel import money, periods
from billing.kernel.errors import Invalid, NotFound, Refusal
from portal import sentences
from portal.cli import Failed, bundles, context
from portal.cli.invoice_runs import correct, run
from portal.cli.output import emit, with_format

_COLUMNS = (
    *("id", "number", "account", "period", "state", "currency"),
    *("net_minor", "tax_minor", "total_minor", "due_minor"),
)


@click.group(name="invoices")
def invoices_group() -> None:
    """Invoices and credit notes."""


invoices_group.add_command(run)
invoices_group.add_command(correct)
invoices_group.add_command(bundles.invoice_bundle)


@invoices_group.command()
@click.option("--period", required=True, help="The month to bill, such as 2026-10.")
@click.option("--account", help="Only this billing account.")
@with_format
def generate(period: str, account: str | None, form: str) -> None:
    """Draft the invoices of an ended month; what is not rated or posted yet is brought up to date first."""
    periods.month(period, "UTC")
    job = JobContext(database=context.database(), providers={}, now=context.now())

    def draft(account_id: str) -> None:
        with context.database().transaction("jobs") as session:
            steps.generate_draft(session, job, account_id, period)

    failures = _each(_account_ids(account), draft)
    below_zero = _rows(account=account, period=period, kind="credit_note", states=("draft", "in_review", "approved"))
    _print(_rows(account=account, period=period) + below_zero, form)
    _fail(failures)


@invoices_group.command("list")
@click.option("--account", help="Only this billing account.")
@click.option("--period", help="Only this month, such as 2026-10.")
@click.option("--state", "states", multiple=True, type=click.Choice(invoices.STATES), help="Only these states.")
@click.option("--kind", type=click.Choice(["invoice", "credit_note", "all"]), default="invoice", show_default=True)
@with_format
def list_invoices(account: str | None, period: str | None, states: tuple[str, ...], kind: str, form: str) -> None:
    """Invoices, newest first; drafts have no number yet."""
    _print(_rows(account=account, period=period, states=states, kind=None if kind == "all" else kind), form)


@invoices_group.command()
@click.argument("key", metavar="ID|NUMBER")
@with_format
def show(key: str, form: str) -> None:
    """One document: its lines, its VAT, what settled it, and what happened to it."""
    with context.database().reading("jobs") as session:
        detail = invoices.get_invoice(session, now=context.now(), key=key)
    if form == "json":
        emit([], form, data=_full(detail))
        return
    if form == "table":
        for name, value in _plain(detail.row).items():
            click.echo(f"{name:<12}{'' if value is None else value}")
        click.echo()
    columns = ("seq", "description", "detail", "quantity", "unit", "unit_price", "per", "amount_minor")
    emit(_lines(detail), form, columns=columns)


@invoices_group.command("issue")
@click.argument("key", metavar="[ID]", required=False)
@click.option("--period", help="Issue all approved drafts of this month.")
@click.option("--approve-as", help="Approve first, as the person with this sign-in address.")
@click.option(
    "--outlier-reason",
    default="Approved on the command line",
    show_default=True,
    help="Why documents far from the month before are right; kept with who approves.",
)
@with_format
def issue_invoices(key: str | None, period: str | None, approve_as: str | None, outlier_reason: str, form: str) -> None:
    """Issue an approved draft, or all of a month, each in its own transaction."""
    if (key is None) == (period is None):
        raise click.UsageError("give either an id or --period")
    approver = _approver(approve_as) if approve_as else None
    if key is not None:
        ids = [_id_of(key)]
    else:
        periods.month(str(period), "UTC")
        wanted = ("draft", "in_review", "approved") if approver else ("approved",)
        ids = [row.id for row in _rows(period=period, states=wanted, kind=None, sort="account")]

    def act(draft_id: str) -> None:
        with context.database().transaction("jobs") as session:
            if approver and _state(draft_id) in ("draft", "in_review"):
                reviews.approve(
                    session, now=context.now(), draft_id=draft_id, actor=approver, outlier_reason=outlier_reason
                )
            issue.issue(session, now=context.now(), draft_id=draft_id, actor=approver or context.actor())

    def act_or_send_back(draft_id: str) -> None:
        try:
            act(draft_id)
        except DraftDearer:
            with context.database().transaction("jobs") as session:
                sending_back.send_back(session, now=context.now(), draft_id=draft_id, actor=approver or context.actor())
            raise

    failures = _each(ids, act_or_send_back)
    with context.database().reading("jobs") as session:
        rows = [invoices.get_invoice(session, now=context.now(), key=draft_id).row for draft_id in ids]
    _print(rows, form)
    _fail(failures)


@invoices_group.command()
@click.argument("key", metavar="ID")
@with_format
def void(key: str, form: str) -> None:
    """Void a draft: its charges can be drafted again."""
    with context.database().transaction("jobs") as session:
        header = drafts.void(session, now=context.now(), draft_id=_id_of(key), actor=context.actor())
    with context.database().reading("jobs") as session:
        _print([invoices.get_invoice(session, now=context.now(), key=header.id).row], form)


@invoices_group.command("credit-note")
@click.argument("key", metavar="ID|NUMBER")
@click.option("--amount", help="This gross amount, such as 50.00.")
@click.option("--line", "chosen", multiple=True, help="This line, by its number: 3, or 3=12.50 for a part of it (net).")
@click.option("--full", is_flag=True, help="All that is left.")
@click.option("--reason", required=True, help="Printed on the credit note.")
@with_format
def credit_note(key: str, amount: str | None, chosen: tuple[str, ...], full: bool, reason: str, form: str) -> None:
    """Correct an issued invoice by a credit note: what is open first, the rest to the wallet."""
    with context.database().reading("jobs") as session:
        detail = invoices.get_invoice(session, now=context.now(), key=key)
    lines = dict(_line_choice(detail, text) for text in chosen) if chosen else None
    with context.database().transaction("jobs") as session:
        made = credit_notes.credit(
            session,
            now=context.now(),
            invoice_id=detail.row.id,
            reason=reason,
            actor=context.actor(),
            amount_minor=money.parse(amount, detail.row.currency).minor if amount is not None else None,
            lines=lines,
            full=full,
        )
    row = {
        "id": made.credit_note_id,
        "number": made.number,
        "corrects": detail.row.number,
        "currency": made.currency,
        "credited_minor": made.payable_minor,
        "to_receivable_minor": made.to_receivable_minor,
        "to_wallet_minor": made.to_wallet_minor,
    }
    emit([row], form)


@invoices_group.command()
@click.argument("key", metavar="ID|NUMBER")
@click.option("-o", "output", required=True, type=click.Path(dir_okay=False, writable=True), help="Write it here.")
def pdf(key: str, output: str) -> None:
    """Write the PDF of an issued document, rendering it first if no job has done so yet."""
    invoice_id = _id_of(key)
    try:
        render.render_one(context.database(), now=context.now(), invoice_id=invoice_id)
    except worker.PrinterDied as died:
        raise Failed(f"The document could not be printed: {died}") from None
    with context.database().reading("jobs") as session:
        found = invoices.find_pdf(session, invoice_id=invoice_id)
    if found is None:
        raise NotFound(invoice=key[:60])
    try:
        Path(output).write_bytes(found.content)
    except OSError as error:
        raise Failed(f"{output} cannot be written: {error.strerror}.") from None
    click.echo(f"{found.file_name} {len(found.content)} bytes sha256 {found.sha256}")


def _rows(
    *,
    account: str | None = None,
    period: str | None = None,
    states: tuple[str, ...] = (),
    kind: str | None = "invoice",
    sort: str = "-issued",
) -> list[InvoiceRow]:
    with context.database().reading("jobs") as session:
        account_id = directory.get_account_by_code(session, account).id if account else None
        return invoices.list_invoices(
            session,
            now=context.now(),
            account_id=account_id,
            states=states,
            kind=kind,
            period_label=period,
            sort=sort,
            limit=1_000_000,
        )


def _account_ids(code: str | None) -> list[str]:
    with context.database().reading("jobs") as session:
        if code is not None:
            return [directory.get_account_by_code(session, code).id]
        return [account.id for account in directory.list_accounts(session)]


def _id_of(key: str) -> str:
    with context.database().reading("jobs") as session:
        found = invoices.find_id(session, key)
    if found is None:
        raise NotFound(invoice=key[:60])
    return found


def _state(invoice_id: str) -> str:
    with context.database().reading("jobs") as session:
        return invoices.get_invoice(session, now=context.now(), key=invoice_id).row.state


def _approver(login: str) -> str:
    """The id of a person of finance who may issue."""
    with context.database().reading("jobs") as session:
        user = users.find_user_by_login(session, login)
    if user is None or user.is_disabled:
        raise Failed(f"Nobody signs in as {login}.")
    if user.staff_role is None or "invoice.issue" not in permissions.of_staff(user.staff_role):
        raise Failed(f"{login} may not approve invoices.")
    return user.id


def _line_choice(detail: InvoiceDetail, text: str) -> tuple[str, int | None]:
    """`3` or `3=12.50` as (line id, net minor or None for its rest)."""
    number, has_amount, amount = text.partition("=")
    for line in detail.document.lines:
        if str(line.seq) == number.strip():
            return line.id, money.parse(amount, detail.row.currency).minor if has_amount else None
    raise Invalid(field="line", value=text[:40], reason="unknown_line")


def _each(ids: Iterable[str], act: Callable[[str], None]) -> list[str]:
    """Do it for each; one that is refused does not hold up the others. The sentences of those that were, each once."""
    failures: dict[str, None] = {}
    for one in ids:
        try:
            act(one)
        except Refusal as refusal:
            failures[sentences.of(refusal)] = None
    return list(failures)


def _fail(failures: list[str]) -> None:
    if failures:
        raise Failed("\n".join(failures))


def _plain(row: InvoiceRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _COLUMNS}


def _print(rows: list[InvoiceRow], form: str) -> None:
    emit([_plain(row) for row in rows], form, columns=_COLUMNS)


def _lines(detail: InvoiceDetail) -> list[dict[str, Any]]:
    return [
        {
            "seq": line.seq,
            "description": line.description,
            "detail": line.detail,
            "quantity": line.quantity_text,
            "unit": line.unit,
            "unit_price": line.unit_price_text,
            "per": line.price_base_text,
            "amount_minor": line.amount_minor,
            "charge": line.charge_id,
        }
        for line in detail.document.lines
    ]


def _full(detail: InvoiceDetail) -> dict[str, Any]:
    document = detail.document
    return {
        **_plain(detail.row),
        "kind": detail.row.kind,
        "corrects": detail.row.corrects_number,
        "issued_on": detail.row.issued_on,
        "due_on": detail.row.due_on,
        "prepaid_minor": document.prepaid_minor,
        "rounding_minor": document.rounding_minor,
        "seller": vars(document.seller),
        "buyer": vars(document.buyer),
        "lines": _lines(detail),
        "taxes": [vars(group) for group in document.taxes],
        "settlements": [vars(one) for one in detail.settlements],
        "credit_notes": [note.number for note in detail.credit_notes],
        "events": [vars(event) for event in detail.events],
        "transaction": detail.transaction_id,
        "snapshot_hash": detail.snapshot_hash,
        "pdf_sha256": detail.pdf_sha256,
    }
