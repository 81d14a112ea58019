"""Prices of one account's own, in place of its plan's: decided by two people, from an instant on, until another or for ever."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import approvals, directory, heads, names
from billing.catalog import activations, books, models, prices
from billing.catalog.book_files import BookFacts, PriceFacts
from billing.catalog.errors import OverrideExists
from billing.catalog.meters import FEE, get_meter
from billing.catalog.prices import Price
from billing.catalog.tables import PriceOverride, PriceVersion, Sku
from billing.kernel.clock import parse_instant, require_utc, to_rfc3339
from billing.kernel.errors import Invalid
from billing.kernel.ids import new_id
from billing.storage import audit

ACT = "prices.override"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One override as asked for. Without a model the plan's price is back from `from_at` on."""

    account_id: str
    sku_code: str
    model: str | None
    parameters: dict[str, Any]
    from_at: datetime
    until_at: datetime | None

    @property
    def content(self) -> dict[str, Any]:
        """What a second person is asked to allow."""
        return {
            "account_id": self.account_id,
            "sku": self.sku_code,
            "model": self.model,
            "parameters": self.parameters,
            "from": to_rfc3339(self.from_at),
            "until": None if self.until_at is None else to_rfc3339(self.until_at),
        }


@dataclass(frozen=True, kw_only=True)
class OverrideRow:
    """One override as it stands. Without a price the plan's is back from `from_at` on."""

    id: str
    billing_account_id: str
    sku_code: str
    sku_name: str
    from_at: datetime
    price: Price | None
    reason: str
    actor: str
    created_at: datetime


def read(
    session: Session,
    *,
    account_id: str,
    sku_code: str,
    model: str | None,
    parameters: Mapping[str, Any],
    from_at: datetime,
    until_at: datetime | None = None,
) -> Wanted:
    """An override that can be asked for: the price is one of the account's currency, and the SKU is sold.

    Raises NotFound for the account, OverrideExists where another price of its own begins at that instant, Invalid: unknown_sku, not_an_amount, fee_not_flat, ends_before_it_begins, not_whole_seconds, overlapping,
    and the reasons of `models.read`.
    """
    account = directory.get_account(session, account_id)
    sku = session.get(Sku, sku_code) if names.is_safe(sku_code) else None
    if sku is None:
        raise Invalid(field="sku", value=names.shown(sku_code), reason="unknown_sku")
    from_at, until_at = require_utc(from_at, "from"), require_utc(until_at, "until") if until_at else None
    for name, at in (("from", from_at), ("until", until_at)):
        if at is not None and at.microsecond:
            raise Invalid(field=name, value=at.isoformat(), reason="not_whole_seconds")
    if until_at is not None and until_at <= from_at:
        raise Invalid(field="until", value=to_rfc3339(until_at), reason="ends_before_it_begins")
    checked: dict[str, Any] = {}
    if model is not None:
        meter = get_meter(sku.meter_code)
        if model == models.PERCENTAGE and not meter.is_amount:
            raise Invalid(field="model", value=model, meter=meter.code, reason="not_an_amount")
        if model != models.FLAT and meter.kind == FEE:
            raise Invalid(field="model", value=names.shown(model), meter=meter.code, reason="fee_not_flat")
        checked = models.read(model, parameters, currency=account.currency, base_per_unit=meter.base_per_unit)
    wanted = Wanted(
        account_id=account_id,
        sku_code=sku_code,
        model=model,
        parameters=models.normal(checked),
        from_at=from_at,
        until_at=until_at if model is not None else None,
    )
    _refuse_overlap(session, wanted)
    _refuse_other(session, wanted)
    return wanted


def of_content(session: Session, content: Mapping[str, Any]) -> Wanted:
    """What a request asked for, read again as things stand now. Raises as `read`."""
    until = content["until"]
    return read(
        session,
        account_id=content["account_id"],
        sku_code=content["sku"],
        model=content["model"],
        parameters=content["parameters"],
        from_at=parse_instant(content["from"], field="from"),
        until_at=parse_instant(until, field="until") if until else None,
    )


def request(
    session: Session, *, now: datetime, wanted: Wanted, maker: str, reason: str, form_key: str | None = None
) -> str:
    """Ask a second person for an override; the id of the request. Raises as `approvals.request`."""
    heads.lock_one(session, wanted.account_id)  # before the request, as whoever decides takes them
    item = approvals.request(
        session,
        now=now,
        act=ACT,
        subject_type="billing_account",
        subject_id=wanted.account_id,
        content=wanted.content,
        maker=maker,
        reason=reason,
        billing_account_id=wanted.account_id,
        form_key=form_key,
    )
    return item.id


def put(session: Session, *, now: datetime, wanted: Wanted, reason: str, allowed: approvals.Allowed) -> PriceOverride:
    """Bring an allowed override into force, and the plan's price back when it ends; the same again changes nothing.

    What usage was rated already is asked by `rating.price_changes`, which wraps this. Locks the account's head. Raises
    approvals.NotAllowed, OverrideExists where another price of the account's own begins at that instant.
    """
    head = heads.lock_one(session, wanted.account_id)
    approvals.spend(session, allowed, act=ACT, subject_id=wanted.account_id, content=wanted.content)
    _refuse_other(session, wanted)
    price_version_id = None
    if wanted.model is not None:
        price_version_id = _price(session, head.billing_account_id, wanted, now, allowed.maker)
    placed = _place(session, wanted, wanted.from_at, price_version_id, now=now, reason=reason, actor=allowed.maker)
    if wanted.until_at is not None:
        _place(session, wanted, wanted.until_at, None, now=now, reason=reason, actor=allowed.maker)
    audit.record(
        session,
        now=now,
        actor=allowed.checker,
        act="prices.override",
        subject_type="price_override",
        subject_id=placed.id,
        billing_account_id=wanted.account_id,
        facts=wanted.content | {"approval_id": allowed.approval_id, "price_version_id": price_version_id},
    )
    session.flush()  # whoever rates next in this act must find it
    return placed


def list_overrides(session: Session, account_id: str | None = None) -> Sequence[OverrideRow]:
    """An account's own prices, or everybody's: by account, SKU and start."""
    query = (
        select(PriceOverride, Sku)
        .join(Sku, Sku.code == PriceOverride.sku_code)
        .order_by(PriceOverride.billing_account_id, PriceOverride.sku_code, PriceOverride.valid_from)
    )
    if account_id is not None:
        query = query.where(PriceOverride.billing_account_id == account_id)
    found = [(row, sku) for row, sku in session.execute(query)]
    ids = {row.price_version_id for row, _ in found if row.price_version_id is not None}
    stated = session.execute(prices.query().where(PriceVersion.id.in_(ids)))
    by_id = {version.id: prices.price_of(version, sku, divisor) for version, sku, divisor in stated}
    return [
        OverrideRow(
            id=row.id,
            billing_account_id=row.billing_account_id,
            sku_code=row.sku_code,
            sku_name=sku.name,
            from_at=row.valid_from,
            price=by_id[row.price_version_id] if row.price_version_id is not None else None,
            reason=row.reason,
            actor=row.actor,
            created_at=row.created_at,
        )
        for row, sku in found
    ]


def _refuse_overlap(session: Session, wanted: Wanted) -> None:
    """Another one that begins inside this one's time would be ended by this one's end."""
    if wanted.until_at is None:
        return
    inside = session.scalar(
        select(PriceOverride.valid_from)
        .where(
            PriceOverride.billing_account_id == wanted.account_id,
            PriceOverride.sku_code == wanted.sku_code,
            PriceOverride.valid_from > wanted.from_at,
            PriceOverride.valid_from < wanted.until_at,
        )
        .limit(1)
    )
    if inside is not None:
        raise Invalid(field="until", value=to_rfc3339(inside), sku=wanted.sku_code, reason="overlapping")


def _refuse_other(session: Session, wanted: Wanted) -> None:
    found = _find(session, wanted, wanted.from_at)
    if found is None:
        return
    price = session.get(PriceVersion, found.price_version_id) if found.price_version_id is not None else None
    says = None if price is None else [price.model, models.normal(price.parameters)]
    if says != (None if wanted.model is None else [wanted.model, wanted.parameters]):
        raise OverrideExists(account_id=wanted.account_id, sku=wanted.sku_code, valid_from=to_rfc3339(wanted.from_at))


def _price(session: Session, account_id: str, wanted: Wanted, now: datetime, actor: str) -> str:
    """The id of the price version in the account's own book."""
    account = directory.get_account(session, account_id)
    facts = BookFacts(
        code=f"own {account_id}",
        name=f"Own prices of {account.code}",
        prices=(
            PriceFacts(
                sku_code=wanted.sku_code,
                currency=account.currency,
                model=str(wanted.model),
                parameters=wanted.parameters,
                valid_from=wanted.from_at,
            ),
        ),
    )
    book = books.find_same(session, facts)
    if book is None:
        book = books.store(session, facts, now=now, origin="override", billing_account_id=account_id)
        activations.enter(session, book, now=now, gate=activations.OVERRIDE, actor=actor)
    [version_id] = session.scalars(select(PriceVersion.id).where(PriceVersion.price_book_id == book.id))
    return version_id


def _place(
    session: Session,
    wanted: Wanted,
    at: datetime,
    price_version_id: str | None,
    *,
    now: datetime,
    reason: str,
    actor: str,
) -> PriceOverride:
    """The row of that instant. Where one begins already it stays: the same price, or another whose start ends this one."""
    found = _find(session, wanted, at)
    if found is not None:
        return found
    row = PriceOverride(
        id=new_id("pov"),
        billing_account_id=wanted.account_id,
        sku_code=wanted.sku_code,
        valid_from=at,
        price_version_id=price_version_id,
        reason=reason,
        actor=actor,
        created_at=now,
    )
    session.add(row)
    session.flush()  # its key must speak here
    return row


def _find(session: Session, wanted: Wanted, at: datetime) -> PriceOverride | None:
    return session.scalar(
        select(PriceOverride).where(
            PriceOverride.billing_account_id == wanted.account_id,
            PriceOverride.sku_code == wanted.sku_code,
            PriceOverride.valid_from == at,
        )
    )
