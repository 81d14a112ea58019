"""The evidence of an invoice is taken away by its tenant, by operators, by machines and by hand, and is the same file."""

import io
import zipfile
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from billing.storage.database import Database
from tests.service.assurance import test_evidence
from tests.service.invoicing import world
from tests.service.invoicing.world import Use

Browser = Callable[..., FlaskClient]
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the bytes are proved on both


def test_tenant_and_operator_get_the_same_file_and_strangers_none(browser: Browser, database: Database) -> None:
    tenant = browser("calla")
    account_id = world.account(database, "calla").id
    world.used(database, account_id, Use(100))
    header = world.issued(database, account_id)
    waiting = tenant.get(f"/invoices/{header.number}/evidence.zip")
    assert (waiting.status_code, waiting.headers["Location"]) == (303, f"/invoices/{header.number}")
    test_evidence.rendered(database, header)
    answer = tenant.get(f"/invoices/{header.number}/evidence.zip")
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert "INV-2026-000001-evidence.zip" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.data)) as file:
        assert "files/INV-2026-000001.pdf" in file.namelist()
    staff = browser(staff="viewer")
    assert staff.get(f"/operator/invoices/{header.id}/evidence.zip").data == answer.data
    assert browser("brine").get(f"/invoices/{header.number}/evidence.zip").status_code == 404
    assert staff.get("/operator/invoices/none/evidence.zip").status_code == 404
