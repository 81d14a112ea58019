"""Links and their acts as operators see them: small frozen rows."""

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.kernel.errors import NotFound
from billing.payments.customers.links import ActRow, LinkRow
from billing.payments.customers.tables import CustomerAct
from billing.payments.tables import ProviderCustomer

STATES = ("linked", "gone", "legacy")


def get_link(session: Session, *, account_id: str, provider: str) -> LinkRow:
    """The account with its customer at that provider, also before there is one. Raises NotFound for no account, or a house."""
    row = session.execute(_links(provider).where(BillingAccount.id == account_id)).one_or_none()
    if row is None:
        raise NotFound(account_id=account_id)
    return _link_row(provider, *row)


def list_links(
    session: Session,
    *,
    provider: str,
    state: str | None = None,
    text: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[LinkRow]:
    """Accounts that have a customer or an older system's id, by code. `text` is part of code or name, or a whole customer id."""
    query = _links(provider).where(*_conditions(state, text)).order_by(BillingAccount.code)
    return [_link_row(provider, *row) for row in session.execute(query.limit(limit).offset(offset)).all()]


def count_links(session: Session, *, provider: str, state: str | None = None, text: str | None = None) -> int:
    """How many `list_links` would give in all."""
    inner = _links(provider).where(*_conditions(state, text)).subquery()
    return session.execute(select(func.count()).select_from(inner)).scalar_one()


def list_acts(session: Session, *, account_id: str, provider: str, limit: int = 50) -> list[ActRow]:
    """What was done to the account's link, newest first."""
    query = (
        select(CustomerAct)
        .where(CustomerAct.billing_account_id == account_id, CustomerAct.provider == provider)
        .order_by(CustomerAct.id.desc())
        .limit(limit)
    )
    return [
        ActRow(
            id=item.id,
            account_id=item.billing_account_id,
            provider=item.provider,
            act=item.act,
            state=item.state,
            customer_id=item.customer_id,
            previous_id=item.previous_id,
            reason=item.reason,
            failure=item.failure,
            actor=item.actor,
            created_at=item.created_at,
        )
        for item in session.execute(query).scalars()
    ]


def _links(provider: str) -> Select[BillingAccount, ProviderCustomer]:
    joined = (ProviderCustomer.billing_account_id == BillingAccount.id) & (ProviderCustomer.provider == provider)
    return (
        select(BillingAccount, ProviderCustomer)
        .outerjoin(ProviderCustomer, joined)
        .where(BillingAccount.kind != "house")
    )


def _conditions(state: str | None, text: str | None) -> list[ColumnElement[bool]]:
    is_linked = ProviderCustomer.customer_id.is_not(None)
    conditions = {
        None: or_(is_linked, BillingAccount.legacy_customer_id.is_not(None)),
        "linked": is_linked & ProviderCustomer.gone_at.is_(None),
        "gone": ProviderCustomer.gone_at.is_not(None),
        "legacy": BillingAccount.legacy_customer_id.is_not(None) & ProviderCustomer.customer_id.is_(None),
    }
    found: list[ColumnElement[bool]] = [conditions[state]]
    if text:
        found.append(
            or_(
                BillingAccount.code.icontains(text, autoescape=True),
                BillingAccount.name.icontains(text, autoescape=True),
                ProviderCustomer.customer_id == text,
                BillingAccount.legacy_customer_id == text,
            )
        )
    return found


def _link_row(provider: str, account: BillingAccount, linked: ProviderCustomer | None) -> LinkRow:
    return LinkRow(
        account_id=account.id,
        account_code=account.code,
        account_name=account.name,
        provider=provider,
        customer_id=None if linked is None else linked.customer_id,
        legacy_id=account.legacy_customer_id,
        linked_at=None if linked is None else linked.created_at,
        gone_at=None if linked is None else linked.gone_at,
        copied_at=None if linked is None else linked.copied_at,
    )
