"""The one table of who may do what. Pages, API and command line all ask here.

Making and approving are different permissions; that the approver is another person than the maker is checked where it is done.
"""

_MEMBERS: dict[str, frozenset[str]] = {
    "owner": frozenset({"billing.read", "billing.write", "usage.write", "refund.request"}),
    "billing": frozenset({"billing.read", "billing.write", "refund.request"}),
    "viewer": frozenset({"billing.read"}),
}

_STAFF: dict[str, frozenset[str]] = {
    "viewer": frozenset({"finance.read"}),
    "maker": frozenset({"finance.read", "refund.request", "jobs.run"}),
    "approver": frozenset({"finance.read", "refund.approve", "invoice.issue"}),
    "admin": frozenset({"finance.read", "refund.request", "refund.approve", "invoice.issue", "jobs.run", "admin"}),
}

MEMBER_ROLES = tuple(_MEMBERS)
STAFF_ROLES = tuple(_STAFF)

# What an API key may be given. Nothing of finance: those acts need a person.
SCOPES = frozenset({"billing.read", "billing.write", "usage.write", "refund.request"})


def of_member(role: str) -> frozenset[str]:
    """What a member of a tenant may do there. Raises KeyError for a role that is none (the database knows only these)."""
    return _MEMBERS[role]


def of_staff(role: str) -> frozenset[str]:
    """What an operator may do. Raises KeyError for a role that is none."""
    return _STAFF[role]
