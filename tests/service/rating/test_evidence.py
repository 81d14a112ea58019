"""One line with its evidence: why it is there, what corrects it, whether it came late."""

from datetime import UTC, datetime

import pytest

from billing.kernel.errors import NotFound
from billing.metering import usage
from billing.rating import evidence, lines
from billing.rating.evidence import Kind
from billing.storage.database import Database
from tests.service.invoicing import world as invoicing_world
from tests.service.rating import test_days, world
from tests.service.rating.world import Use

HOUR_MS = 3_600_000


def test_a_correction_and_what_it_corrects_lead_to_each_other(database: Database) -> None:
    account_id = world.open_account(database)
    first = test_days.window(database, account_id, 2, 2 * HOUR_MS, project="alpha", tags='{"team":"a"}', route="api/v1")
    second = test_days.window(database, account_id, 2, -HOUR_MS, project="alpha", corrects=first)
    with database.reading() as session:
        corrected = evidence.get_line(session, account_id, str(lines.find_line_of_usage(session, account_id, first)))
        correction = evidence.get_line(session, account_id, str(lines.find_line_of_usage(session, account_id, second)))
        detail = usage.get_detail(session, account_id, second)
        assert evidence.corrections_of(session, account_id, second) == ()
    assert (corrected.kind, correction.kind) == ("usage", "correction")
    assert (corrected.usage.route, corrected.usage.tags) == ("api/v1", {"team": "a"})
    assert [(one.usage_record_id, one.quantity_base, one.line_id) for one in corrected.corrections] == [
        (second, -HOUR_MS, correction.row.id)
    ]
    assert (correction.usage.corrects_id, correction.corrected_line_id) == (first, corrected.row.id)
    assert (detail.corrects_id, detail.project_name, detail.row.quantity) == (first, "alpha", -1)
    assert correction.is_reproduced
    assert not corrected.is_late


def test_what_comes_after_the_invoice_is_late(database: Database) -> None:
    account_id = world.open_account(database)
    invoicing_world.used(database, account_id, Use(100))
    invoicing_world.issued(database, account_id)
    world.use(database, account_id, Use(10, at=datetime(2026, 10, 31, tzinfo=UTC)))
    world.rate(database, account_id)
    with database.reading() as session:
        late, *_, early = lines.list_lines(session, account_id).rows
        assert evidence.get_line(session, account_id, late.id).is_late
        assert not evidence.get_line(session, account_id, early.id).is_late


def test_what_waits_says_why_and_is_nobody_elses(database: Database) -> None:
    account_id, other = world.open_account(database), world.open_account(database, code="other")
    (unpriced,) = world.use(database, account_id, Use(1, meter="token_input"))
    with database.reading() as session:
        assert evidence.waits_for(session, account_id, unpriced) is None  # rating has not looked yet
    world.rate(database, account_id)
    with database.reading() as session:
        assert evidence.waits_for(session, account_id, unpriced) == "no_price"
        assert evidence.waits_for(session, other, unpriced) is None
        with pytest.raises(NotFound):
            usage.get_detail(session, other, unpriced)


@pytest.mark.parametrize(
    ("source", "meter", "mode", "corrects", "kind"),
    [
        ("gateway/eu", "query", "on_demand", None, "usage"),
        ("gateway/eu", "query", "spot", "usg_1", "correction"),
        ("rescale/counter", "query", "on_demand", None, "rescaling"),
        ("reservation/rsv_1", "gpu_hour", "reserved", None, "reserved"),
        ("reservation/rsv_1", "gpu_hour", "unused", None, "unused"),
        ("reservation/rsv_1", "gpu_hour", "on_demand", None, "matched"),
        ("plan/one", "plan_fee", "on_demand", None, "fee"),
        ("closing/2026-10", "closing_amount", "on_demand", None, "closing"),
    ],
)
def test_a_record_says_by_itself_why_it_is_there(
    source: str, meter: str, mode: str, corrects: str | None, kind: Kind
) -> None:
    assert evidence.kind_of(source, meter, mode, corrects) == kind
