"""One person changes everything about how they sign in, on either engine: the wall of a tenant's rows stands in nobody's own way."""

from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient

from billing.storage.database import Database
from tests.web import conftest, operators
from tests.web.operators import act
from tests.web.pages import Page
from tests.web.test_you import set_up, told


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.mark.parametrize("staff", [None, "maker"])
def test_every_act_over_ones_own_access_is_done_and_recorded(
    database: Database, browser: Callable[..., FlaskClient], staff: str | None
) -> None:
    client = browser(None if staff else "calla", staff=staff, login="ann@example.com")
    assert act(client, "/you", name="Ann", locale="ja").status_code == 303
    assert act(client, "/you/password", current=conftest.PASSWORD, password="four unrelated words").status_code == 303
    _, codes = set_up(client)
    assert codes.h1 == "Recovery codes"
    assert Page(act(client, "/you/two-step/codes")).h1 == "Recovery codes"
    assert act(client, "/you/two-step/off").status_code == 303
    form = Page(client.get("/you")).form_values()
    assert client.post("/you/sessions/end", data={**form, "end": "others"}).status_code == 303
    assert told(database) == ["password", "totp_on", "recovery_codes", "totp_off"]
