"""Search by any id that a person may hold in their hand: ours, a document's number, a provider's, a caller's (AS4). Exact first.

Each way to find something is one look into one index; nothing is scanned but the names of billing accounts and people.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, func, literal, or_, select
from sqlalchemy.orm import Session

from billing.accounts import names
from billing.assurance import schema

MAX_LENGTH = 200
_SOURCES_MAX = 500  # distinct sources of usage that are looked into


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One thing found. `by` says which of its names matched: "id", "number", "provider id", "name", ..."""

    kind: str
    id: str
    title: str
    by: str
    account_id: str | None
    account_name: str | None


@dataclass(frozen=True, kw_only=True)
class _Own:
    """What our ids of one prefix name: the table, and the column that says more than the id."""

    kind: str
    table: str
    title: str | None = None


_BY_PREFIX = {
    "alc": _Own(kind="allocation", table="allocations", title="name"),
    "apr": _Own(kind="approval", table="approvals", title="act"),
    "aud": _Own(kind="audit_record", table="audit_log", title="act"),
    "bac": _Own(kind="billing_account", table="billing_accounts", title="name"),
    "bpd": _Own(kind="billing_period", table="billing_periods", title="label"),
    "bud": _Own(kind="budget", table="budget_policies", title="name"),
    "bkt": _Own(kind="bank_transfer", table="bank_transfers", title="bank_reference"),
    "chg": _Own(kind="charge", table="charges", title="sku_code"),
    "dsp": _Own(kind="payment_dispute", table="payment_disputes", title="reason"),
    "drf": _Own(kind="invoice", table="invoice_headers", title="number"),
    "frf": _Own(kind="foreign_refund", table="foreign_refunds", title="provider_refund_id"),
    "ibt": _Own(kind="invoice_batch", table="invoice_batches", title="act"),
    "imp": _Own(kind="usage_import", table="usage_imports"),
    "inl": _Own(kind="invoice_line", table="invoice_lines"),
    "job": _Own(kind="job_run", table="job_runs", title="job"),
    "key": _Own(kind="api_key", table="api_keys", title="label"),
    "lnk": _Own(kind="access_link", table="access_links", title="purpose"),
    "met": _Own(kind="payment_method", table="payment_methods", title="last4"),
    "mem": _Own(kind="member", table="members", title="handle"),
    "ntc": _Own(kind="notice", table="outbox_messages", title="topic"),
    "ntd": _Own(kind="delivery", table="notice_deliveries", title="channel"),
    "pay": _Own(kind="payment_session", table="payment_sessions", title="purpose"),
    "pbt": _Own(kind="balance_transaction", table="provider_balance_transactions", title="type"),
    "pev": _Own(kind="provider_event", table="stripe_events", title="type"),
    "pmt": _Own(kind="payment", table="payments", title="method_label"),
    "ppo": _Own(kind="payout", table="provider_payouts", title="state"),
    "prc": _Own(kind="price_version", table="price_versions", title="sku_code"),
    "prj": _Own(kind="project", table="projects", title="code"),
    "pst": _Own(kind="posting", table="postings"),
    "rcp": _Own(kind="document_recipient", table="document_recipients", title="email"),
    "rfd": _Own(kind="refund", table="refund_requests", title="state"),
    "rtl": _Own(kind="rated_line", table="rated_usage_lines"),
    "ten": _Own(kind="tenant", table="tenants", title="code"),
    "txn": _Own(kind="ledger_transaction", table="ledger_transactions", title="type"),
    "ump": _Own(kind="unmatched_payment", table="unmatched_payments", title="provider_payment_id"),
    "usg": _Own(kind="usage_record", table="usage_records", title="meter_code"),
    "usr": _Own(kind="person", table="users", title="name"),
    "wrk": _Own(kind="work", table="works", title="kind"),
}


@dataclass(frozen=True, kw_only=True)
class _Named:
    """A name that others know a row by; unique only together with who gave it where there is a `giver`."""

    kind: str
    table: str
    column: str
    called: str
    title: str
    giver: str | None = None


_BY_NAME = (
    _Named(kind="invoice", table="invoice_headers", column="number", called="number", title="number"),
    _Named(kind="billing_account", table="billing_accounts", column="code", called="code", title="name"),
    _Named(kind="person", table="users", column="login", called="e-mail address", title="name"),
    _Named(kind="api_key", table="api_keys", column="prefix", called="prefix", title="label"),
    _Named(
        kind="payment",
        table="payments",
        column="provider_payment_id",
        called="provider's id",
        title="method_label",
        giver="provider",
    ),
    _Named(
        kind="payment_session",
        table="payment_sessions",
        column="provider_session_id",
        called="provider's id",
        title="purpose",
        giver="provider",
    ),
    _Named(kind="refund", table="refund_requests", column="provider_refund_id", called="provider's id", title="state"),
    _Named(
        kind="payment_session",
        table="payment_sessions",
        column="provider_intent_id",
        called="provider's id",
        title="purpose",
        giver="provider",
    ),
    _Named(
        kind="payment_dispute",
        table="payment_disputes",
        column="provider_dispute_id",
        called="provider's id",
        title="reason",
        giver="provider",
    ),
    _Named(
        kind="foreign_refund",
        table="foreign_refunds",
        column="provider_refund_id",
        called="provider's id",
        title="state",
        giver="provider",
    ),
    _Named(
        kind="balance_transaction",
        table="provider_balance_transactions",
        column="provider_id",
        called="provider's id",
        title="type",
        giver="provider",
    ),
    _Named(
        kind="payout",
        table="provider_payouts",
        column="provider_id",
        called="provider's id",
        title="state",
        giver="provider",
    ),
    _Named(
        kind="payment_method",
        table="payment_methods",
        column="provider_method_id",
        called="provider's id",
        title="last4",
        giver="provider",
    ),
    _Named(
        kind="provider_event",
        table="stripe_events",
        column="event_id",
        called="provider's id",
        title="type",
        giver="provider",
    ),
    _Named(
        kind="billing_account",
        table="billing_provider_customers",
        column="customer_id",
        called="provider's customer id",
        title="provider",
    ),
    _Named(
        kind="allocation", table="allocations", column="source_id", called="source's id", title="name", giver="source"
    ),
    _Named(
        kind="usage_record",
        table="usage_records",
        column="source_id",
        called="source's id",
        title="meter_code",
        giver="source",
    ),
)
_CORRELATED = ("audit_log", "ledger_transactions", "payment_sessions", "refund_requests", "outbox_messages", "works")


def find(session: Session, text: str, *, limit: int = 50) -> list[Hit]:
    """Everything that `text` names, exact matches before those that only contain it; at most `limit`, each thing once."""
    text = " ".join(text.split())[:MAX_LENGTH]
    if not text or not names.is_safe(text):
        return []
    found: dict[tuple[str, str], Hit] = {}
    for hit in (*_exact(session, text), *_containing(session, text, limit)):
        found.setdefault((hit.kind, hit.id), hit)
        if len(found) >= limit:
            break
    return _with_accounts(session, found.values())


def _exact(session: Session, text: str) -> Iterator[Hit]:
    own = _BY_PREFIX.get(text.partition("_")[0])
    if own is not None:
        yield from _rows(session, own.kind, own.table, own.title, "id", _table(own.table).c.id == text)
    wanted = _name_in(text)
    for name in _BY_NAME:
        columns = _table(name.table).c
        condition: Any = columns[name.column] == wanted.get(name.column, text)
        if name.giver:
            condition = columns[name.giver].in_(_distinct(session, name.table, name.giver)) & condition
        yield from _rows(session, name.kind, name.table, name.title, name.called, condition)
    if any(_is_correlated(session, table, text) for table in _CORRELATED):
        yield Hit(kind="request", id=text, title="", by="correlation id", account_id=None, account_name=None)


def _containing(session: Session, text: str, limit: int) -> Iterator[Hit]:
    """Billing accounts and people whose name contains the text, in any case."""
    pattern = f"%{_escaped(text.lower())}%"
    accounts, users = _table("billing_accounts"), _table("users")
    by_name = func.lower(accounts.c.name).like(pattern, escape="\\") | func.lower(accounts.c.code).like(
        pattern, escape="\\"
    )
    yield from _rows(session, "billing_account", "billing_accounts", "name", "name", by_name, limit=limit)
    by_person = or_(*(func.lower(users.c[name]).like(pattern, escape="\\") for name in ("name", "login")))
    yield from _rows(session, "person", "users", "name", "name", by_person, limit=limit)


def _rows(
    session: Session, kind: str, table_name: str, title: str | None, by: str, condition: Any, *, limit: int = 20
) -> Iterator[Hit]:
    table = _table(table_name)
    account: Any = literal(None)
    if "billing_account_id" in table.c:
        account = table.c.billing_account_id
    elif table_name == "billing_accounts":
        account = table.c.id
    identity = table.c.id if "id" in table.c else account
    query = select(identity, table.c[title] if title else literal(""), account).where(condition)
    query = query.order_by(identity).limit(limit)
    if table_name == "billing_accounts":
        query = query.where(table.c.kind != "house")
    for row_id, words, account_id in session.execute(query).all():
        yield Hit(kind=kind, id=row_id, title=str(words or ""), by=by, account_id=account_id, account_name=None)


def _name_in(text: str) -> dict[str, str]:
    """The text as the columns hold it: addresses in lower case, of a whole API key its public part only."""
    parts = text.split("_", 2)
    is_key = parts[0] == "plk" and len(parts) > 1
    return {"login": text.lower(), "prefix": parts[1] if is_key else text}


def _distinct(session: Session, table_name: str, column: str) -> list[str]:
    """The different values of an indexed column, found by jumping from one to the next."""
    column_of = _table(table_name).c[column]
    found: list[str] = []
    value = session.scalar(select(func.min(column_of)))
    while value is not None and len(found) < _SOURCES_MAX:
        found.append(value)
        value = session.scalar(select(func.min(column_of)).where(column_of > value))
    return found


def _is_correlated(session: Session, table_name: str, text: str) -> bool:
    table = _table(table_name)
    return session.execute(select(table.c.id).where(table.c.correlation_id == text).limit(1)).first() is not None


def _with_accounts(session: Session, hits: Iterable[Hit]) -> list[Hit]:
    hits = list(hits)
    accounts = _table("billing_accounts")
    wanted = {hit.account_id for hit in hits if hit.account_id}
    named: dict[str, str] = dict(
        session.execute(select(accounts.c.id, accounts.c.name).where(accounts.c.id.in_(wanted))).all()
    )
    return [
        Hit(
            kind=hit.kind,
            id=hit.id,
            title=hit.title,
            by=hit.by,
            account_id=hit.account_id,
            account_name=named.get(hit.account_id or ""),
        )
        for hit in hits
    ]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _table(name: str) -> Table:
    return schema.metadata.tables[name]
