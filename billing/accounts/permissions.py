"""The one table of who may do what, with the words for it. Pages, API and command line all ask here.

Making and approving are different permissions; that the approver is another person than the maker is checked where it is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Permission:
    """One thing that somebody may do: its name in code, its words for people, and the roles that have it."""

    name: str
    words: str
    roles: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role as people choose it."""

    name: str
    label: str
    words: str


# Roles in a tenant, which cover all of its billing accounts.
MEMBER_TABLE = (
    Role(name="owner", label="Owner", words="Does everything, and decides who else may."),
    Role(name="billing", label="Billing", words="Reads everything, pays, sets budgets and asks for refunds."),
    Role(name="viewer", label="Viewer", words="Reads everything and changes nothing."),
)
# Roles of the operator's own people. Who asks for a thing and who allows it are two roles; an administrator has both, and is still
# held to the rule that nobody allows what they asked for.
STAFF_TABLE = (
    Role(name="viewer", label="Viewer", words="Reads every account's books."),
    Role(name="maker", label="Maker", words="Asks for what needs a second person."),
    Role(name="approver", label="Approver", words="Allows or refuses what makers asked for."),
    Role(name="admin", label="Administrator", words="Does everything, and decides who else may."),
)

MEMBER_PERMISSIONS = (
    Permission(
        name="billing.read",
        words="See usage, costs, balance, invoices and the team",
        roles=("owner", "billing", "viewer"),
    ),
    Permission(name="billing.write", words="Add funds, pay invoices and set budgets", roles=("owner", "billing")),
    Permission(name="refund.request", words="Ask for refunds", roles=("owner", "billing")),
    Permission(name="usage.write", words="Report usage", roles=("owner",)),
    Permission(name="team.manage", words="Invite people, change their roles and remove them", roles=("owner",)),
    Permission(name="keys.manage", words="Make and revoke API keys", roles=("owner",)),
)
STAFF_PERMISSIONS = (
    Permission(
        name="finance.read",
        words="See every account's usage, money and documents",
        roles=("viewer", "maker", "approver", "admin"),
    ),
    Permission(name="refund.request", words="Ask for refunds of any account", roles=("maker", "admin")),
    Permission(name="ledger.correct", words="Ask for corrections of the ledger", roles=("maker", "admin")),
    Permission(
        name="prices.change",
        words="Load prices, change plans and subscriptions, ask for prices to come into force",
        roles=("maker", "admin"),
    ),
    Permission(name="prices.approve", words="Allow or refuse prices", roles=("approver", "admin")),
    Permission(
        name="tax.manage",
        words="Record registrations, exemptions and VAT ids, ask for rates of other countries",
        roles=("maker", "admin"),
    ),
    Permission(name="tax.approve", words="Allow or refuse rates of other countries", roles=("approver", "admin")),
    Permission(
        name="dunning.manage",
        words="Change when saved methods are charged and people are reminded",
        roles=("maker", "admin"),
    ),
    Permission(name="jobs.run", words="Start jobs by hand", roles=("maker", "admin")),
    Permission(
        name="payments.manage",
        words="Book bank transfers, ask providers again, try their events again, close what needs nothing",
        roles=("maker", "admin"),
    ),
    Permission(
        name="disputes.manage",
        words="Prepare evidence, answer disputes and accept them, for good",
        roles=("maker", "approver", "admin"),
    ),
    Permission(name="refund.approve", words="Allow or refuse refunds", roles=("approver", "admin")),
    Permission(name="ledger.approve", words="Allow or refuse corrections of the ledger", roles=("approver", "admin")),
    Permission(name="invoice.issue", words="Approve, issue and void invoices", roles=("approver", "admin")),
    Permission(
        name="seller.manage",
        words="Change what documents say about a seller: its bank account, logo and numbers",
        roles=("admin",),
    ),
    Permission(name="audit.read", words="Read the audit log", roles=("approver", "admin")),
    Permission(name="admin", words="Manage staff and service keys", roles=("admin",)),
)

MEMBER_ROLES = tuple(role.name for role in MEMBER_TABLE)
STAFF_ROLES = tuple(role.name for role in STAFF_TABLE)

# What an API key may be given, in words. Nothing that moves money of finance: those acts need a person.
SCOPE_WORDS: Mapping[str, str] = {
    "billing.read": "Read usage, costs, balance, invoices and refunds",
    "billing.write": "Start payments",
    "refund.request": "Ask for refunds",
    "usage.write": "Report usage and allocations",
    "finance.read": "Read every account's trials of prices and reconciliations",
    "finance.run": (
        "Start shadow ratings and reconciliations; draft months, close and void drafts, credit invoices; book bank transfers, ask for"
        " refunds, answer disputes, fetch payments again and repair customers at the provider"
    ),
    "prices.change": "Store plans and put accounts on them",
}
# Of the operator's own machines: such a key names no tenants and sees every account's rows.
STAFF_SCOPES = frozenset({"finance.read", "finance.run", "prices.change"})
SCOPES = frozenset(SCOPE_WORDS) - STAFF_SCOPES
# What a key without a tenant may be given: it speaks for several of them.
SERVICE_SCOPES = frozenset({"billing.read", "usage.write"})

_MEMBERS = {
    role: frozenset(permission.name for permission in MEMBER_PERMISSIONS if role in permission.roles)
    for role in MEMBER_ROLES
}
_STAFF = {
    role: frozenset(permission.name for permission in STAFF_PERMISSIONS if role in permission.roles)
    for role in STAFF_ROLES
}
_MEMBER_LABELS = {role.name: role.label for role in MEMBER_TABLE}
_STAFF_LABELS = {role.name: role.label for role in STAFF_TABLE}


def of_member(role: str) -> frozenset[str]:
    """What a member of a tenant may do there. Raises KeyError for a role that is none (the database knows only these)."""
    return _MEMBERS[role]


def of_staff(role: str) -> frozenset[str]:
    """What an operator may do. Raises KeyError for a role that is none."""
    return _STAFF[role]


def member_label(role: str) -> str:
    """A tenant's role as people read it."""
    return _MEMBER_LABELS[role]


def staff_label(role: str) -> str:
    """An operator's role as people read it."""
    return _STAFF_LABELS[role]
