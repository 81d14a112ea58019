"""Instants: aware, UTC, whole microseconds. Only views, jobs and the command line call `utc_now`."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from billing.kernel.errors import Invalid


def utc_now() -> datetime:
    """The present instant, aware and in UTC."""
    return datetime.now(UTC)


def require_utc(value: datetime, field: str = "time") -> datetime:
    """The same instant in UTC. Raises Invalid for a naive time (without a zone it has no place on the line), or one beyond the calendar."""
    if value.tzinfo is None:
        raise Invalid(field=field, value=value.isoformat(), reason="naive_time")
    try:
        return value.astimezone(UTC)
    except OverflowError:  # the first or last hours of the calendar, in another zone
        raise Invalid(field=field, value=value.isoformat(), reason="not_an_instant") from None


def parse_instant(text: str, *, field: str = "time", zone: str | None = None) -> datetime:
    """Read ISO 8601 / RFC 3339 text as a UTC instant, cut to whole milliseconds.

    A text without offset is read in `zone` when one is declared, else refused (Invalid, reason naive_time). Quantities
    count milliseconds, so finer digits would make sums depend on how windows are cut.
    """
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Invalid(field=field, value=text[:60], reason="not_an_instant") from None
    if value.tzinfo is None and zone is not None:
        value = value.replace(tzinfo=get_zone(zone))
    value = require_utc(value, field)
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def to_rfc3339(value: datetime) -> str:
    """`2016-12-22T07:03:30Z`; milliseconds or microseconds only where there are some."""
    value = require_utc(value)
    timespec = (
        "seconds" if not value.microsecond else "milliseconds" if value.microsecond % 1000 == 0 else "microseconds"
    )
    return value.isoformat(timespec=timespec).replace("+00:00", "Z")


def get_zone(name: str) -> ZoneInfo:
    """The zone of that IANA name. Raises Invalid(field="zone") for an offset or an unknown name."""
    if name not in _zone_names():
        raise Invalid(field="zone", value=name[:60], reason="unknown_zone")
    return ZoneInfo(name)


_names: frozenset[str] = frozenset()


def _zone_names() -> frozenset[str]:
    global _names  # noqa: PLW0603  read once: listing the zone database walks the disk
    if not _names:
        _names = frozenset(available_timezones())
    return _names


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_millis(value: datetime) -> int:
    """Whole milliseconds since 1970, exact (timestamp() is a float)."""
    delta = value - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def millis_between(start_at: datetime, end_at: datetime) -> int:
    """Whole milliseconds of [start_at, end_at)."""
    return to_millis(end_at) - to_millis(start_at)


def whole_second(value: datetime) -> datetime:
    """The instant cut to its second: what shares of a period are counted from."""
    return value.replace(microsecond=0)
