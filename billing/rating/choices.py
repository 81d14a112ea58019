"""The values that filters can take: what an account really used in a range, by their names."""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.tables import Member, Project
from billing.catalog.tables import Sku
from billing.rating import cells, dimensions

_MAX_USES = 5_000
_MAX_VALUES = 200
_MAX_TAG_KEYS = 12


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One value that a filter can take."""

    value: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Choices:
    """By dimension the values there are, at most 200 of each; and the keys of tags, the most frequent first."""

    values: dict[str, list[Choice]]
    tag_keys: list[str]

    def label(self, group: str, value: str) -> str:
        """What a value is called; itself where the range does not hold it."""
        return next((one.label for one in self.values.get(group, ()) if one.value == value), value)


def used(session: Session, account_id: str, start_at: datetime, end_at: datetime) -> Choices:
    """What the account used in [start_at, end_at), as far as it is rated."""
    rows = cells.values_used(session, account_id, start_at, end_at, limit=_MAX_USES)
    skus, projects, resources, routes, members, tags = (
        (set(column) for column in zip(*rows, strict=True)) if rows else [set()] * 6
    )
    named = session.execute(select(Sku.code, Sku.name, Sku.family).where(Sku.code.in_(skus)).order_by(Sku.name)).all()
    families = sorted({family for _, _, family in named})
    owners = select(Project.code, Project.name).where(Project.id.in_(projects - {None})).order_by(Project.code)
    people = select(Member.id, Member.handle).where(Member.id.in_(members - {None})).order_by(Member.handle)
    values = {
        dimensions.SERVICE: [Choice(value=family, label=dimensions.family_name(family)) for family in families],
        dimensions.ITEM: [Choice(value=code, label=name) for code, name, _ in named],
        dimensions.PROJECT: [Choice(value=code, label=name) for code, name in session.execute(owners)],
        dimensions.RESOURCE: [Choice(value=one, label=one) for one in sorted(resources) if one],
        dimensions.ROUTE: [Choice(value=one, label=one) for one in sorted(routes - {None})],
        dimensions.SUBMITTER: [Choice(value=member_id, label=handle) for member_id, handle in session.execute(people)],
    }
    return Choices(values={group: found[:_MAX_VALUES] for group, found in values.items()}, tag_keys=_tag_keys(tags))


def _tag_keys(tags: set[str]) -> list[str]:
    counts: dict[str, int] = {}
    for text in tags:
        for key in json.loads(text):
            if dimensions.is_tag_key(key):
                counts[key] = counts.get(key, 0) + 1
    return sorted(counts, key=lambda key: (-counts[key], key))[:_MAX_TAG_KEYS]
