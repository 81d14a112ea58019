"""`plumbline balance` and `plumbline ledger`: the books from the command line."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from billing.accounts import directory
from billing.accounts.tables import BillingAccount
from billing.assurance import month_end, verification
from billing.exports import gl as gl_export
from billing.invoicing import availability
from billing.kernel import clock
from billing.ledger import balances, explanation, periods, reversal, trial_balance
from billing.ledger.balances import Balance
from billing.storage.database import Session
from portal.cli import approvals, assurance, bundles, context, files
from portal.cli.approvals import as_person
from portal.cli.output import emit, with_format

_FIGURES = ("balance", "wallet", "promo", "unbilled", "receivable", "disputed", "deferred", "available")


@click.command()
@click.option("--account", help="Only this billing account (its code).")
@click.option("--as-of", "as_of", help="As it was recorded at that instant (RFC 3339) instead of now.")
@with_format
def balance(account: str | None, as_of: str | None, form: str) -> None:
    """What each billing account has and owes, per currency, in minor units; owed is negative."""
    at = _instant(as_of, "as_of")
    with context.database().reading() as session:
        found = [
            (
                item.code,
                availability.of_account(session, now=context.now(), account_id=item.id)
                if at is None
                else availability.as_of(session, now=context.now(), at=at, account_id=item.id),
            )
            for item in _accounts(session, account)
        ]
    data = [{"account": code, "balances": [_figures(each) for each in own]} for code, own in found]
    rows = [{"account": code, **_figures(each)} for code, own in found for each in own]
    emit(rows, form, columns=("account", "currency", *(f"{name}_minor" for name in _FIGURES)), data=data)


@click.group()
def ledger() -> None:
    """The books: verify, read, explain and correct them."""


@ledger.command()
@click.option("--account", help="Only this billing account's chain (its code).")
@with_format
def verify(account: str | None, form: str) -> None:
    """Hash every transaction again with all it covers; names the first broken row, exit 1 when there is one."""
    with context.database().reading("jobs") as session:
        account_id = directory.get_account_by_code(session, account).id if account else None
        report = verification.verify_chain(session, account_id) if account_id else None
    assurance.show(report or verification.verify_database(context.database()), form)


ledger.add_command(bundles.export)


@ledger.command("trial-balance")
@click.option("--period", help="Through this accounting month, such as 2026-10; without it, as it stands.")
@click.option("--seller", help="Only this seller (its code).")
@with_format
def show_trial_balance(period: str | None, seller: str | None, form: str) -> None:
    """Every book account's figure; debits and credits are the same sum in each currency."""
    with context.database().reading("jobs") as session:
        if period is None:
            found = trial_balance.now(session, _seller_id(session, seller) if seller else None)
        else:
            found = trial_balance.through_month(session, seller_id=_seller_id(session, seller), month_label=period)
    rows = [
        {"owner": row.owner, "name": row.name, "currency": row.currency, **_sides(row.debit_minor, row.credit_minor)}
        for row in found.rows
    ]
    totals = [
        {"owner": "total", "name": "", "currency": t.currency, **_sides(t.debit_minor, t.credit_minor)}
        for t in found.totals
    ]
    differences = [
        {"currency": total.currency, "difference_minor": total.difference_minor}
        for total in found.totals
        if total.difference_minor
    ]
    data = {"rows": rows, "totals": totals, "differences": differences}
    emit([*rows, *totals], form, columns=("owner", "name", "currency", "debit_minor", "credit_minor"), data=data)
    if differences:
        raise SystemExit(1)


@ledger.command()
@click.option("--account", required=True, help="The billing account (its code).")
@click.option("--currency", help="Only this currency.")
@click.option("--from", "from_text", help="From this instant on (RFC 3339).")
@click.option("--to", "to_text", help="Up to this instant, which is not included.")
@with_format
def explain(account: str, currency: str | None, from_text: str | None, to_text: str | None, form: str) -> None:
    """Opening balance, every movement with its cause, closing balance."""
    with context.database().reading() as session:
        account_id = directory.get_account_by_code(session, account).id
        found = explanation.explain(
            session,
            account_id=account_id,
            from_at=_instant(from_text, "from"),
            to_at=_instant(to_text, "to"),
            currency=currency,
        )
    rows = [row for each in found for row in _explained(each)]
    data = [
        {
            "account": account,
            "currency": each.currency,
            "opening_minor": each.opening_minor,
            "by_kind": each.by_kind,
            "movements": [_movement(row) for row in each.movements],
            "closing_minor": each.closing_minor,
        }
        for each in found
    ]
    emit(
        rows,
        form,
        columns=("recorded_at", "transaction_id", "what", "cause", "currency", "amount_minor", "balance_minor"),
        data=data,
    )


@ledger.command()
@click.argument("transaction_id")
@click.option("--reason", required=True, help="Why; it stands beside the reversal.")
@as_person
@with_format
def reverse(transaction_id: str, reason: str, login: str, form: str) -> None:
    """Ask for the mirror of TRANSACTION_ID, which names it; the original stays. A second person approves it."""
    with context.database().transaction("jobs") as session:
        maker = approvals.person(session, login)
        item = reversal.request(session, now=context.now(), transaction_id=transaction_id, maker=maker, reason=reason)
    approvals.asked(item.id, form)


@ledger.command()
@click.option("--period", required=True, help="The accounting month, such as 2026-10.")
@click.option("--seller", help="The seller (its code); the only one there is by default.")
@click.option("-o", "--output", "path", required=True, type=click.Path(dir_okay=False, writable=True, allow_dash=True))
@with_format
def gl(period: str, seller: str | None, path: str, form: str) -> None:
    """Write a month's journal for a general ledger as CSV, with counts, sums and SHA-256 in FILE.manifest.json."""
    with context.database().reading("jobs") as session:
        journal = gl_export.journal(session, seller_id=_seller_id(session, seller), period=period)
        files.write(path, journal.export, journal.to_manifest)
    if path != "-":
        manifest = journal.to_manifest()
        rows = [
            {"period": period, "seller": journal.seller_code, "lines": manifest["count"], "currency": currency, **sums}
            for currency, sums in manifest["sums"].items()
        ]
        emit(
            rows, form, columns=("period", "seller", "currency", "lines", "debit_minor", "credit_minor"), data=manifest
        )


@ledger.command()
@click.option("--seller", help="Only this seller (its code).")
@with_format
def months(seller: str | None, form: str) -> None:
    """The accounting months with their state, newest first."""
    with context.database().reading("jobs") as session:
        rows = periods.list_periods(session, _seller_id(session, seller) if seller else None)
        codes = {row.seller_id: directory.get_seller(session, row.seller_id).code for row in rows}
    emit(
        [
            {
                "month": row.month,
                "seller": codes[row.seller_id],
                "state": row.state,
                "closed_at": clock.to_rfc3339(row.closed_at) if row.closed_at else None,
            }
            for row in rows
        ],
        form,
        columns=("month", "seller", "state", "closed_at"),
    )


@ledger.command("close-period")
@click.argument("month")
@click.option("--seller", help="The seller (its code); the only one there is by default.")
def close_period(month: str, seller: str | None) -> None:
    """Close the books through MONTH (2026-10): later facts count in the first open month."""
    with context.database().transaction("jobs") as session:
        seller_id = _seller_id(session, seller)
        month_end.require_closable(session, seller_id=seller_id, month_label=month)
        changed = periods.close(
            session, now=context.now(), seller_id=seller_id, month_label=month, actor=context.actor()
        )
    click.echo(f"closed through {month}" if changed else f"{month} was closed before")


@ledger.command("reopen-period")
@click.argument("month")
@click.option("--seller", help="The seller (its code); the only one there is by default.")
@click.option("--reason", required=True, help="Why; whoever approves it reads it.")
@as_person
@with_format
def reopen_period(month: str, seller: str | None, reason: str, login: str, form: str) -> None:
    """Ask for the last closed MONTH to be opened again. A second person approves it."""
    with context.database().transaction("jobs") as session:
        item = periods.request_reopening(
            session,
            now=context.now(),
            seller_id=_seller_id(session, seller),
            month_label=month,
            maker=approvals.person(session, login),
            reason=reason,
        )
    approvals.asked(item.id, form)


@ledger.group()
def checkpoints() -> None:
    """The sums that balances start from."""


@checkpoints.command()
@click.option("--account", help="Only this billing account's chain (its code).")
@with_format
def rebuild(account: str | None, form: str) -> None:
    """Work every checkpoint out again from the entries; a wrong one gets a successor."""
    database, rows = context.database(), []
    with database.reading("jobs") as session:
        wanted = [(item.code, item.id) for item in _accounts(session, account, kind=None)]
    for code, account_id in wanted:
        with database.transaction("jobs") as session:
            rebuilt = balances.rebuild_checkpoints(
                session, now=context.now(), account_id=account_id, actor=context.actor()
            )
        rows.append({"account": code, "rebuilt": rebuilt})
    emit([row for row in rows if row["rebuilt"] or form != "table"], form, columns=("account", "rebuilt"))


def _accounts(session: Session, code: str | None, kind: str | None = "tenant") -> Sequence[BillingAccount]:
    if code is not None:
        return [directory.get_account_by_code(session, code)]
    return directory.list_accounts(session, kind=kind)


def _seller_id(session: Session, code: str | None) -> str:
    """The seller of that code, or the first there is. Raises NotFound."""
    if code is None:
        houses = directory.list_accounts(session, kind="house")
        return houses[0].seller_id if houses else directory.get_seller(session, "").id
    found = directory.find_seller_by_code(session, code)
    return found.id if found is not None else directory.get_seller(session, code).id


def _figures(found: Balance) -> dict[str, Any]:
    return {"currency": found.currency, **{f"{name}_minor": getattr(found, f"{name}_minor") for name in _FIGURES}}


def _sides(debit_minor: int, credit_minor: int) -> dict[str, int]:
    return {"debit_minor": debit_minor, "credit_minor": credit_minor}


def _instant(text: str | None, field: str) -> datetime | None:
    return clock.parse_instant(text, field=field) if text else None


def _movement(row: Any) -> dict[str, Any]:
    return {
        "transaction_id": row.transaction_id,
        "chain_seq": row.chain_seq,
        "type": row.type,
        "source_type": row.source_type,
        "source_id": row.source_id,
        "recorded_at": clock.to_rfc3339(row.recorded_at),
        "effective_at": clock.to_rfc3339(row.effective_at),
        "memo": row.memo,
        "by_kind": row.by_kind,
        "references": {key: list(values) for key, values in row.references.items()},
        "amount_minor": row.amount_minor,
        "balance_minor": row.balance_minor,
    }


def _explained(found: explanation.Explanation) -> list[dict[str, Any]]:
    def line(what: str, balance_minor: int, **more: Any) -> dict[str, Any]:
        return {"what": what, "currency": found.currency, "balance_minor": balance_minor, **more}

    movements = [
        line(
            ", ".join(row.kinds),
            row.balance_minor,
            recorded_at=clock.to_rfc3339(row.recorded_at),
            transaction_id=row.transaction_id,
            cause=f"{row.source_type} {row.source_id}",
            amount_minor=row.amount_minor,
        )
        for row in found.movements
    ]
    return [line("opening balance", found.opening_minor), *movements, line("closing balance", found.closing_minor)]
