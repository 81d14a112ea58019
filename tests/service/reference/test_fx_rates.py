"""Rates are kept as published and looked up for a day: weekends take the day before, what is old or absent is refused."""

from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from billing.kernel.errors import Invalid
from billing.reference import ecb, fx_rates
from billing.reference.errors import MissingRate, StaleRate
from billing.storage.database import Database
from tests.service.invoicing.world import NOW

FRIDAY, SATURDAY, SUNDAY = date(2026, 10, 30), date(2026, 10, 31), date(2026, 11, 1)
TABLE = "Date,USD,JPY,BGN,\n2026-10-30,1.1172,175.68,N/A,\n2026-10-29,1.113,175.92,N/A,\n2025-12-31,1.1,160,1.9558,\n"


def load(database: Database, text_: str = TABLE, source: str = "ECB") -> fx_rates.Imported:
    with database.transaction() as session:
        table = ecb.read(text_.encode(), today=NOW.date())
        return fx_rates.import_table(session, table, now=NOW, actor="usr_ann", source=source)


def test_an_import_is_repeated_without_effect_and_never_changes_a_day(database: Database) -> None:
    first = load(database)
    assert (first.added, first.unchanged, first.bad) == (3, 0, ())
    again = load(database, TABLE.replace("1.1172", "1.11720"))  # the same value
    assert (again.added, again.unchanged, again.bad) == (0, 3, ())
    changed = load(
        database, TABLE.replace("175.68", "175.69").replace("\n2025-12-31", "\n2026-10-28,1.12,175,N/A,\n2025-12-31")
    )
    assert (changed.added, changed.unchanged) == (1, 2)
    assert [(bad.line, bad.reason, bad.detail) for bad in changed.bad] == [(2, "differs", "JPY 175.69, held 175.68")]
    with database.reading() as session:
        rate = fx_rates.get_rate(session, from_currency="EUR", to_currency="JPY", on=FRIDAY)
        assert rate.legs[0].rate_text == "175.68"


def test_a_snapshot_cannot_be_changed_in_the_database(database: Database) -> None:
    load(database)
    for statement in ("UPDATE fx_rates SET rate_text = '2'", "DELETE FROM billing_fx_rate_snapshots"):
        with pytest.raises(DBAPIError), database.transaction() as session:
            session.execute(text(statement))


def test_a_day_without_publication_takes_the_last_one_before_it_for_a_week(database: Database) -> None:
    load(database)
    with database.reading() as session:

        def published(on: date) -> date:
            return fx_rates.get_rate(session, from_currency="USD", to_currency="EUR", on=on).published_on

        assert [published(on) for on in (FRIDAY, SATURDAY, SUNDAY)] == [FRIDAY] * 3
        assert published(FRIDAY + timedelta(days=7)) == FRIDAY
        with pytest.raises(StaleRate) as stale:
            published(FRIDAY + timedelta(days=8))
        assert stale.value.fields["published_on"] == "2026-10-30"
        with pytest.raises(StaleRate):
            published(date(2026, 10, 28))  # the ones after it are not looked at


def test_a_currency_that_nobody_publishes_is_refused_and_one_that_ended_is_stale(database: Database) -> None:
    load(database)
    with database.reading() as session:
        for currency in ("KWD", "BHD", "SAR", "TWD", "RUB"):
            with pytest.raises(MissingRate) as missing:
                fx_rates.get_rate(session, from_currency=currency, to_currency="EUR", on=FRIDAY)
            assert missing.value.fields["currency"] == currency
        assert fx_rates.find_rate(session, from_currency="USD", to_currency="KWD", on=FRIDAY) is None
        ended = {row.currency: row for row in fx_rates.list_newest(session, on=FRIDAY)}["BGN"]
        assert (ended.is_stale, ended.published_on) == (True, date(2025, 12, 31))


def test_another_source_gives_what_the_ecb_does_not_publish_and_nothing_else(database: Database) -> None:
    load(database)
    load(database, "Date,KWD,USD,\n2026-10-29,0.3415,9.99,\n", source="CBK")
    with database.reading() as session:
        rate = fx_rates.get_rate(session, from_currency="USD", to_currency="KWD", on=SATURDAY)
        assert [(leg.currency, leg.source) for leg in rate.legs] == [("USD", "ECB"), ("KWD", "CBK")]
        assert (rate.published_on, len(rate.snapshot_ids)) == (date(2026, 10, 29), 2)
        # 111.72 USD are 100 EUR are 34.150 KWD
        assert rate.convert(11_172) == 34_150
    with pytest.raises(Invalid):
        load(database, source="not a code")
