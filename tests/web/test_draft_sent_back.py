"""An approved draft that would ask for more than was approved is refused in a sentence, and stands there as a draft again."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.storage.database import Database
from tests.service.invoicing import terms_world, world
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.operators import NOW, House, act
from tests.web.pages import Page


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_issuing_a_draft_whose_gift_has_expired_says_why_and_asks_for_another_approval(
    browser: Callable[..., FlaskClient], app: Flask, database: Database
) -> None:
    """130.00 less 20.00 at 19 % was approved; without the gift it is 154.70."""
    account_id = House(app, database).account("calla", Use(13_000))
    terms_world.gift(database, account_id, 2_000, expires_at=NOW + timedelta(hours=1))
    url = f"/operator/invoices/{world.approved(database, account_id)}"
    for _ in operators.standing_at(NOW + timedelta(hours=2)):
        client = browser(staff="approver")
        refused = act(client, f"{url}/issue")
        assert refused.status_code == 409
        text = Page(refused).text
        assert "130.90 was approved and" in text
        assert "154.70 would be issued" in text
        page = Page(client.get(url))
        assert {"Void", "Approve"} <= set(page.links())
        assert "Back to draft: its total rose" in page.text
        assert act(client, f"{url}/approve").status_code == 303
        assert act(client, f"{url}/issue").status_code == 303
        assert Page(client.get(url)).h1 == "Invoice INV-2026-000001"
