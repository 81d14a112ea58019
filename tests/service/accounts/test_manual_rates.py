"""A rate of another country is charged once a second person allowed it, and not before."""

from datetime import UTC, date, datetime

import pytest

from billing.accounts import directory, manual_rates
from billing.accounts.errors import NotPermitted
from billing.accounts.manual_rates import RateFacts
from billing.kernel.errors import Invalid
from billing.storage.database import Database
from tests import staff

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FACTS = RateFacts(country="CH", tax_name="MWST", rate_bp=810, registration="CHE123456788", valid_from=date(2024, 1, 1))


def test_a_rate_is_entered_by_the_second_person_alone(database: Database) -> None:
    with database.transaction("jobs") as session:
        staff.hire_two(session)
        seller_id = directory.first_seller(session).id
        with pytest.raises(NotPermitted):
            manual_rates.request(
                session, now=NOW, seller_id=seller_id, facts=FACTS, maker=staff.CHECKER, reason="Published"
            )
        asked = manual_rates.request(
            session, now=NOW, seller_id=seller_id, facts=FACTS, maker=staff.MAKER, reason="Published"
        )
        assert not manual_rates.list_of(session, seller_id)
        staff.approve(session, asked, now=NOW)
        [row] = manual_rates.list_of(session, seller_id)
    assert (row.country, row.rate_bp, row.valid_from, row.recorded_by) == (
        "CH",
        810,
        date(2024, 1, 1),
        staff.CHECKER,
    )
    assert row.approval_id == asked.id


@pytest.mark.parametrize(("country", "rate_bp"), [("XX", 810), ("CH", 10_001), ("CH", -1)])
def test_a_rate_that_cannot_be_is_refused(country: str, rate_bp: int) -> None:
    with pytest.raises(Invalid):
        RateFacts(country=country, tax_name="MWST", rate_bp=rate_bp, registration="C", valid_from=date(2024, 1, 1))
