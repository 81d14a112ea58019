"""Who is acting, and for which billing accounts they may: read anew for each request, so that a right taken away is gone at once."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import currencies, permissions
from billing.accounts.access_tables import TotpDevice
from billing.accounts.tables import BillingAccount, Membership, User


@dataclass(frozen=True, kw_only=True)
class AccountAccess:
    """One billing account that a person may open, with what they may do there."""

    id: str
    code: str
    name: str
    currency: str
    invoice_currency: str
    zone: str
    policy: str
    tenant_id: str
    permissions: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A person who acts. Staff have `staff_permissions`; `accounts` come from memberships, ordered by name."""

    id: str
    login: str
    name: str
    locale: str | None  # how numbers and dates are written for them; None: as their browser asks
    has_second_factor: bool
    is_staff: bool
    staff_permissions: frozenset[str]
    accounts: tuple[AccountAccess, ...]


def find_principal(session: Session, user_id: str) -> Principal | None:
    """The person of that user id with all their rights, or None when there is none or they are disabled."""
    found = session.execute(
        select(User, TotpDevice.confirmed_at)
        .outerjoin(TotpDevice, TotpDevice.user_id == User.id)
        .where(User.id == user_id)
    ).one_or_none()
    if found is None or found[0].is_disabled:
        return None
    user, factor_since = found
    rows = session.execute(
        select(BillingAccount, Membership.role)
        .join(Membership, Membership.tenant_id == BillingAccount.tenant_id)
        .where(Membership.user_id == user_id)
        .order_by(BillingAccount.name, BillingAccount.id)
    ).all()
    return Principal(
        id=user.id,
        login=user.login,
        name=user.name,
        locale=user.locale,
        has_second_factor=factor_since is not None,
        is_staff=user.staff_role is not None,
        staff_permissions=permissions.of_staff(user.staff_role) if user.staff_role else frozenset(),
        accounts=tuple(
            AccountAccess(
                id=account.id,
                code=account.code,
                name=account.name,
                currency=account.currency,
                invoice_currency=currencies.invoice_currency_of(account),
                zone=account.zone,
                policy=account.policy,
                tenant_id=account.tenant_id or "",
                permissions=permissions.of_member(role),
            )
            for account, role in rows
        ),
    )
