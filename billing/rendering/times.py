"""Dates, instants, periods and durations as text. An instant always names its zone; a range of days says its last day."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale, dates, units

from billing.rendering.numbers import EN_DASH, NBSP, locale_of

# English without a country is written day first, as GOV.UK does: "1 Oct 2026" cannot be read as the tenth of January.
_DAY_FIRST = {"en": "en_GB"}
_SHORT_EN = {"hour": "h", "minute": "min", "second": "s"}
# Two instants, and two days with both in the range; other languages get a dash.
_SPAN = {"en": "{} to {}", "de": "{} bis {}", "fr": "{} à {}", "ja": "{}～{}"}
_DAYS = {"en": "{} to {}", "de": "{} bis {}", "fr": "du {} au {}", "ja": "{}から{}まで"}
_DASH = f"{{}} {EN_DASH} {{}}"
_Unit = Literal["day", "hour", "minute", "second"]
_SIZES: tuple[tuple[int, _Unit], ...] = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def day(on: date, *, locale: str = "en", long: bool = False) -> str:
    """A date: "1 Oct 2026", with `long` "1 October 2026"."""
    return _day(on, locale, long)


def day_of_year(on: date, *, locale: str = "en", long: bool = False) -> str:
    """A date whose year is said elsewhere: "1 Oct", with `long` "1 October"; for the axis of a chart and the start of a range."""
    return _first(dates.format_skeleton("MMMMd" if long else "MMMd", on, locale=_locale(locale)), on, locale)


def month(on: date, *, locale: str = "en") -> str:
    """The month of a date by name: "October 2026"."""
    return dates.format_skeleton("yMMMM", on.replace(day=1), locale=_locale(locale))


def instant(at: datetime, *, zone: str = "UTC", locale: str = "en", seconds: bool = False) -> str:
    """An aware instant in a named zone: "21 Nov 2026, 14:05 CET". Raises ValueError for a naive one."""
    local = _local(at, zone)
    return _at(local, seconds, locale) + NBSP + zone_name(local, zone)


def clock(at: datetime, *, zone: str = "UTC", seconds: bool = False) -> str:
    """The time of day of an instant in a named zone: "14:05 CET"."""
    local = _local(at, zone)
    return f"{_clock(local, seconds)}{NBSP}{zone_name(local, zone)}"


def iso(at: datetime) -> str:
    """The instant for a `datetime` attribute or a title, in UTC: "2026-11-21T13:05:00Z"; fractions only if there are any."""
    return _local(at, "UTC").replace(tzinfo=None).isoformat() + "Z"


def period(
    start_at: datetime, end_at: datetime, *, zone: str = "UTC", locale: str = "en", name_zone: bool = False
) -> str:
    """The half-open window [start_at, end_at) in words.

    Whole local days are inclusive: "1 to 31 October 2026". Anything else shows both instants and the zone:
    "1 Oct 2026, 05:00 to 05:50 UTC". `name_zone` adds the zone to whole days too.
    """
    start, end = _local(start_at, zone), _local(end_at, zone)
    if start.time() == time(0) == end.time() and start.date() < end.date():
        words = days(start.date(), end.date() - timedelta(days=1), locale=locale)
        return f"{words} ({zone})" if name_zone else words
    seconds = bool(start.second or end.second)
    head = _at(start, seconds, locale)
    if start.utcoffset() != end.utcoffset():
        head += NBSP + zone_name(start, zone)
    tail = _clock(end, seconds) if start.date() == end.date() else _at(end, seconds, locale)
    return _SPAN.get(locale_of(locale).language, _DASH).format(head, tail + NBSP + zone_name(end, zone))


def days(first_on: date, last_on: date, *, locale: str = "en") -> str:
    """A range of days with both ends in it: "1 to 31 October 2026", "28 September to 3 October 2026", or the single day.

    What both ends share is said once: "1. bis 31. Oktober 2026", "du 1er au 31 octobre 2026", "2026年10月1日から31日まで".
    """
    first, last = (day(on, locale=locale, long=True) for on in (first_on, last_on))
    if first_on == last_on:
        return last
    language = locale_of(locale).language
    is_same_year, is_same_month = first_on.year == last_on.year, first_on.replace(day=1) == last_on.replace(day=1)
    if language == "ja" and is_same_year:
        last = f"{last_on.day}日" if is_same_month else day_of_year(last_on, locale=locale, long=True)
    elif language in ("en", "de", "fr") and is_same_year:
        first = _day_number(first_on, language) if is_same_month else day_of_year(first_on, locale=locale, long=True)
    return _DAYS.get(language, _DASH).format(first, last)


def duration(length: timedelta | int, *, locale: str = "en") -> str:
    """A length of time in its two largest units: "2 h 13 min", "3 days 4 h", "50 s". An int is whole seconds."""
    left = _whole_seconds(length)
    shown: list[str] = []
    for size, name in _SIZES:
        count, rest = divmod(left, size)
        if count or (name == "second" and not shown):
            shown.append(_unit(count, name, "short", locale))
            if len(shown) == 2:
                break
        elif shown:
            break
        left = rest
    return " ".join(shown)


def age(length: timedelta | int, *, locale: str = "en") -> str:
    """How old something is, in its largest unit, in full: "3 hours", "1 day"."""
    left = _whole_seconds(length)
    size, name = next(((size, name) for size, name in _SIZES if left >= size), _SIZES[-1])
    return _unit(left // size, name, "long", locale)


def ago(length: timedelta | int, *, locale: str = "en") -> str:
    """How long ago something was, in its largest unit: "3 hours ago", "vor 3 Stunden", "il y a 3 heures", "3 時間前"."""
    left = _whole_seconds(length)
    size, name = next(((size, name) for size, name in _SIZES if left >= size), _SIZES[-1])
    words = dates.format_timedelta(
        timedelta(seconds=-max(1, left // size * size)),
        granularity=name,
        threshold=10**6,
        add_direction=True,
        locale=_locale(locale),
    )
    return words.replace(" ", NBSP)


def zone_name(local: datetime, zone: str) -> str:
    """The short name in force at a local time (CET, CEST); the zone itself where that is only an offset ("+03")."""
    short = local.tzname() or zone
    return short if short.isalpha() else zone


def _at(local: datetime, seconds: bool, locale: str) -> str:
    """Date and time of day, joined as the locale joins them: with a comma, in Japanese with a space."""
    joint = str(locale_of(locale).datetime_formats["medium"])
    return joint.replace("{1}", day(local.date(), locale=locale)).replace("{0}", _clock(local, seconds))


@lru_cache(maxsize=1024)
def _day(on: date, locale: str, long: bool) -> str:
    """Kept, for the rows of a table share few days, and Babel reads its pattern anew for each."""
    return _first(dates.format_date(on, "long" if long else "medium", locale=_locale(locale)), on, locale)


def _first(text: str, on: date, locale: str) -> str:
    """The first of a month is an ordinal in French: "1er octobre"."""
    is_ordinal = on.day == 1 and locale_of(locale).language == "fr" and text.startswith("1 ")
    return f"1er{text[1:]}" if is_ordinal else text


def _day_number(on: date, language: str) -> str:
    return f"{on.day}." if language == "de" else "1er" if language == "fr" and on.day == 1 else str(on.day)


def _clock(local: datetime, seconds: bool) -> str:
    """Twenty-four hours everywhere: columns of times line up, and no am is read as pm."""
    return f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"


def _unit(count: int, name: str, length: Literal["short", "long"], locale: str) -> str:
    found = locale_of(locale)
    if length == "short" and found.language == "en":
        return f"{count}{NBSP}{_SHORT_EN.get(name) or ('day' if count == 1 else 'days')}"
    # Babel has no long form for some languages (Japanese) and then gives its own key back.
    text = units.format_unit(count, f"duration-{name}", length, locale=found)
    if "duration-" in text:
        text = units.format_unit(count, f"duration-{name}", "short", locale=found)
    return text.replace(" ", NBSP)


def _whole_seconds(length: timedelta | int) -> int:
    return max(0, length if isinstance(length, int) else length.days * 86_400 + length.seconds)


def _local(at: datetime, zone: str) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a naive time has no place on a page: instants are aware")
    return at.astimezone(UTC if zone == "UTC" else ZoneInfo(zone))


@lru_cache(maxsize=64)
def _locale(code: str) -> Locale:
    found = str(locale_of(code))
    return locale_of(_DAY_FIRST.get(found, found))
