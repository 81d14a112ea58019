"""By what cost is looked at: the dimensions of usage, what narrows them, and how they stand in the days' and the lines' columns."""

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.tables import Project
from billing.catalog.tables import PriceVersion, Sku
from billing.kernel.errors import Invalid
from billing.metering import usage
from billing.metering.tables import UsageRecord
from billing.rating.tables import RatedDay

SERVICE, ITEM, PROJECT, RESOURCE, ROUTE, SUBMITTER = "service", "item", "project", "resource", "route", "submitter"
TAG = "tag:"
GROUPS = (SERVICE, ITEM, PROJECT, RESOURCE, ROUTE, SUBMITTER)  # and "tag:" with a key

_MAX_TAG_KEY = 60
_ACRONYMS = {"gpu": "GPU", "cpu": "CPU", "api": "API"}


@dataclass(frozen=True, kw_only=True)
class SpendFilter:
    """What is looked at; None does not narrow. `service` is a family of SKUs; `project_code` and `route` may be "", for none.

    A tag narrows by its key and value, or by its key alone to usage that lacks it (value "").
    """

    service: str | None = None
    sku_code: str | None = None
    project_code: str | None = None
    resource: str | None = None
    route: str | None = None
    member_id: str | None = None
    tag_key: str | None = None
    tag_value: str | None = None

    @property
    def keeps_charges_whole(self) -> bool:
        """Whether it lets each charge through whole or not at all, so that what the ledger holds can be told of the rest."""
        narrowing = {field.name for field in fields(self) if getattr(self, field.name) is not None}
        return narrowing <= {"service", "sku_code", "project_code"}


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where what usage is told apart by stands: in the days, or in the lines and their usage records."""

    sku_code: Any
    project_id: Any
    resource: Any
    route: Any
    member_id: Any
    tags: Any


OF_DAYS = Columns(
    sku_code=RatedDay.sku_code,
    project_id=RatedDay.project_id,
    resource=RatedDay.resource,
    route=RatedDay.route,
    member_id=RatedDay.member_id,
    tags=RatedDay.tags,
)
OF_LINES = Columns(
    sku_code=PriceVersion.sku_code,
    project_id=UsageRecord.project_id,
    resource=UsageRecord.resource,
    route=UsageRecord.route,
    member_id=UsageRecord.member_id,
    tags=UsageRecord.tags,
)


def require_group(group: str) -> str:
    """The name of a dimension itself. Raises Invalid(field="group", reason="unknown_group")."""
    key = tag_key(group)
    if group not in GROUPS and (key is None or not is_tag_key(key)):
        raise Invalid(field="group", value=group[:60], reason="unknown_group")
    return group


def family_name(family: str) -> str:
    """What a family of SKUs is called."""
    return _ACRONYMS.get(family) or family.replace("_", " ").capitalize()


def tag_key(group: str) -> str | None:
    """The key of the tag that a dimension is, None for the others."""
    return group.removeprefix(TAG) if group.startswith(TAG) else None


def is_tag_key(key: str) -> bool:
    """Whether it can be asked for: both engines read it as one label."""
    return 0 < len(key) <= _MAX_TAG_KEY and key.isprintable() and not set(key) & {'"', "\\", "'"}


def grouped_by(session: Session, group: str, columns: Columns) -> Any:
    """The column of a dimension that is not the SKU's own; None for service and item, which follow from it."""
    key = tag_key(group)
    if key is not None:
        return usage.tag_of(session, columns.tags, key)
    return {
        PROJECT: columns.project_id,
        RESOURCE: columns.resource,
        ROUTE: columns.route,
        SUBMITTER: columns.member_id,
    }.get(group)


def narrowed(session: Session, query: Any, wanted: SpendFilter, columns: Columns, account_id: str) -> Any:
    """The query over what the filter lets through."""
    if wanted.service is not None:
        query = query.where(columns.sku_code.in_(select(Sku.code).where(Sku.family == wanted.service)))
    if wanted.project_code is not None:
        is_project = (Project.code == wanted.project_code) & (Project.billing_account_id == account_id)
        found = columns.project_id.in_(select(Project.id).where(is_project))
        query = query.where(columns.project_id.is_(None) if wanted.project_code == "" else found)
    for column, value in (
        (columns.sku_code, wanted.sku_code),
        (columns.resource, wanted.resource),
        (columns.member_id, wanted.member_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.route is not None:
        query = query.where(columns.route.is_(None) if wanted.route == "" else columns.route == wanted.route)
    if wanted.tag_key is not None:
        held = usage.tag_of(session, columns.tags, wanted.tag_key)
        query = query.where(held == wanted.tag_value if wanted.tag_value else held.is_(None))
    return query
