"""Who gets the mail of a notice."""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from billing.accounts import approvals, permissions
from billing.accounts.access_tables import AccessLink, Approval
from billing.accounts.tables import BillingAccount, DocumentRecipient, Membership, User
from billing.notices.topics import Topic

_BILLING_ROLES = [role for role in permissions.MEMBER_ROLES if "billing.write" in permissions.of_member(role)]


def addresses_of(session: Session, topic: Topic, payload: dict[str, Any], account_id: str | None) -> list[str]:
    """The addresses of those whom a notice concerns, sorted, each once; nobody who is disabled, unless it is about themselves.

    Raises KeyError when the payload does not name what its topic must.
    """
    query: Select[str]
    match topic.audience:
        case "billing":
            query = _billing(account_id)
        case "documents":
            confirmed = select(DocumentRecipient.email).where(
                DocumentRecipient.billing_account_id == account_id,
                DocumentRecipient.verified_at.is_not(None),
                DocumentRecipient.removed_at.is_(None),
            )
            return sorted({*session.scalars(_billing(account_id)), *session.scalars(confirmed)})
        case "recipient":
            asked = DocumentRecipient.id == payload["recipient_id"]
            query = select(DocumentRecipient.email).where(asked, DocumentRecipient.removed_at.is_(None))
        case "address":
            query = select(AccessLink.login).where(AccessLink.id == payload["link_id"])
        case "person":
            query = select(User.login).where(User.id == payload["user_id"])
        case "staff":
            permission = approvals.ACTS[payload["act"]].checker
            roles = [role for role in permissions.STAFF_ROLES if permission in permissions.of_staff(role)]
            maker = select(Approval.maker).where(Approval.id == payload["approval_id"]).scalar_subquery()
            query = select(User.login).where(
                User.staff_role.in_(roles), ~User.is_disabled, User.id.is_distinct_from(maker)
            )
        case "disputes":
            roles = [role for role in permissions.STAFF_ROLES if "disputes.manage" in permissions.of_staff(role)]
            query = select(User.login).where(User.staff_role.in_(roles), ~User.is_disabled)
        case _:
            if payload["state"] == "withdrawn":
                return []
            # A tenant who asked learns the outcome from the act itself, such as a refund.
            query = (
                select(User.login)
                .join(Approval, Approval.maker == User.id)
                .where(Approval.id == payload["approval_id"], User.staff_role.is_not(None), ~User.is_disabled)
            )
    return sorted(set(session.scalars(query)))


def _billing(account_id: str | None) -> Select[str]:
    """Those who look after billing in the account's tenant."""
    return (
        select(User.login)
        .join(Membership, Membership.user_id == User.id)
        .join(BillingAccount, BillingAccount.tenant_id == Membership.tenant_id)
        .where(BillingAccount.id == account_id, Membership.role.in_(_BILLING_ROLES), ~User.is_disabled)
    )
