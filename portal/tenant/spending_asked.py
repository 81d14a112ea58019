"""What the URL of a cost page asks for: days, steps, the dimension it is grouped by, and what narrows it; as chips and as links."""

from dataclasses import dataclass
from typing import Any, cast

from billing.kernel.periods import Grain
from billing.rating import catalogue, dimensions
from billing.rating.choices import Choices
from billing.rating.dimensions import SpendFilter
from billing.rating.spending import MAX_BUCKETS
from billing.storage.database import Session
from portal import filters
from portal.tenant import query
from portal.tenant.query import Query
from portal.tenant.ranges import Range

GRAIN_WORDS: dict[Grain, str] = {"hour": "Hour", "day": "Day", "month": "Month"}
GROUP_WORDS = {
    dimensions.SERVICE: "Service",
    dimensions.ITEM: "Item",
    dimensions.PROJECT: "Project",
    dimensions.RESOURCE: "Resource",
    dimensions.ROUTE: "Route",
    dimensions.SUBMITTER: "Submitter",
}
NONE_WORDS = {
    dimensions.PROJECT: "No project",
    dimensions.RESOURCE: "No resource",
    dimensions.ROUTE: "No route",
    dimensions.SUBMITTER: "Nobody named",
}
_SORTS = ("name", "lines", "amount", "before")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the URL asks for."""

    days: Range
    by: Grain
    group: str
    wanted: SpendFilter
    sort: str

    @property
    def group_word(self) -> str:
        """What the dimension is called."""
        return word_of(self.group)


def word_of(group: str) -> str:
    """What a dimension is called: "Project", or "Tag team"."""
    key = dimensions.tag_key(group)
    return GROUP_WORDS[group] if key is None else f"Tag {key}"


def name_of(group: str, key: str, label: str) -> str:
    """What a row is called; usage without a project or a tag says so."""
    tag = dimensions.tag_key(group)
    return label or (NONE_WORDS.get(group, key) if tag is None else f"Without {tag}")


def read(session: Session, url: Query, days: Range) -> Asked:
    """Read the URL; what cannot be used is left out with a notice."""
    by = cast(Grain, url.choice("by", list(GRAIN_WORDS), "day" if fits("day", days) else "month", word="step"))
    if not fits(by, days):
        url.notices.append(f"These are too many days to show by the {by}.")
        by = "day" if fits("day", days) else "month"
    return Asked(
        days=days, by=by, group=read_group(url), wanted=read_filter(session, url), sort=url.sort(_SORTS, "-amount")
    )


def read_group(url: Query) -> str:
    """The dimension that the URL groups by, the item where it names none."""
    asked = url.text("group") or dimensions.ITEM
    key = dimensions.tag_key(asked)
    if key is not None and dimensions.is_tag_key(key):
        return asked
    return url.choice("group", dimensions.GROUPS, dimensions.ITEM, word="grouping")


def read_filter(session: Session, url: Query) -> SpendFilter:
    """What the URL narrows to."""
    service, item = url.text("service"), url.text("item")
    if service is not None and not catalogue.is_family(session, service):
        url.notices.append("There is no such service: it was left out.")
        service = None
    if item is not None and catalogue.find_item(session, item) is None:
        url.notices.append("There is no such item: it was left out.")
        item = None
    key, value = _tag(url)
    return SpendFilter(
        service=service,
        sku_code=item,
        project_code=_or_none(url, "project"),
        resource=url.text("resource"),
        route=_or_none(url, "route"),
        member_id=url.text("submitter"),
        tag_key=key,
        tag_value=value,
    )


def fits(grain: Grain, days: Range) -> bool:
    """Whether so many days can be shown in such steps."""
    return {"hour": days.day_count * 25, "day": days.day_count, "month": 1}.get(grain, 1) <= MAX_BUCKETS


def parameters(wanted: SpendFilter) -> dict[str, Any]:
    """The filter as parameters of a URL."""
    found = {
        "service": wanted.service,
        "item": wanted.sku_code,
        "project": "none" if wanted.project_code == "" else wanted.project_code,
        "resource": wanted.resource,
        "route": "none" if wanted.route == "" else wanted.route,
        "submitter": wanted.member_id,
        "tag": None if wanted.tag_key is None else f"{wanted.tag_key}={wanted.tag_value or ''}",
    }
    return {name: value for name, value in found.items() if value}


def narrowing(group: str, key: str) -> dict[str, str] | None:
    """The parameter that narrows to one row of a dimension; None where nothing tells it apart."""
    tag = dimensions.tag_key(group)
    if tag is not None:
        return {"tag": f"{tag}={key}"}
    if key == "":
        return {group: "none"} if group in (dimensions.PROJECT, dimensions.ROUTE) else None
    return {group: key}


def chips(wanted: SpendFilter, choices: Choices, days: Range | None) -> list[dict[str, str]]:
    """The filters in force, each with the URL that takes it away."""
    found = []
    if days is not None:
        found.append(query.chip("Dates", filters.days(days.first_on, days.last_on), "period", "from", "to"))
    for group, value in (
        (dimensions.SERVICE, wanted.service),
        (dimensions.ITEM, wanted.sku_code),
        (dimensions.PROJECT, wanted.project_code),
        (dimensions.RESOURCE, wanted.resource),
        (dimensions.ROUTE, wanted.route),
        (dimensions.SUBMITTER, wanted.member_id),
    ):
        if value is not None:
            label = choices.label(group, value) if value else NONE_WORDS[group].lower()
            found.append(query.chip(GROUP_WORDS[group], label, group))
    if wanted.tag_key is not None:
        found.append(query.chip(f"Tag {wanted.tag_key}", wanted.tag_value or "none", "tag"))
    return found


def options(choices: Choices) -> dict[str, list[tuple[str, str]]]:
    """What the filter form offers by dimension, "all" first."""
    words = {"service": "services", "item": "items", "project": "projects", "resource": "resources", "route": "routes"}
    words["submitter"] = "submitters"
    return {
        group: [("", f"All {word}"), *((one.value, one.label) for one in choices.values[group])]
        for group, word in words.items()
    }


def switches(asked_group: str, choices: Choices) -> list[dict[str, Any]]:
    """By what cost can be grouped: routes and submitters where there are some, and each tag."""
    groups = [
        group
        for group in dimensions.GROUPS
        if group not in (dimensions.ROUTE, dimensions.SUBMITTER) or choices.values[group] or group == asked_group
    ]
    groups += [f"{dimensions.TAG}{key}" for key in choices.tag_keys]
    if asked_group not in groups:
        groups.append(asked_group)
    return [query.option(word_of(group), group == asked_group, group=group) for group in groups]


def _or_none(url: Query, name: str) -> str | None:
    value = url.text(name)
    return "" if value == "none" else value


def _tag(url: Query) -> tuple[str | None, str | None]:
    text = url.text("tag")
    if text is None:
        return None, None
    key, sign, value = text.partition("=")
    if not sign or not dimensions.is_tag_key(key):
        url.notices.append("A tag is written as its key, an equals sign and its value: it was left out.")
        return None, None
    return key, value
