"""The portal through Flask's client, on either engine, with people who can sign in."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.accounts import users
from billing.catalog import onboarding
from billing.storage.database import Database
from portal import create_app
from portal.config import PortalConfig
from portal.services import Services
from tests import databases, keys
from tests.web.pages import Page

PASSWORD = "correct horse battery staple"
CREATED_AT = datetime(2016, 1, 1, tzinfo=UTC)


@pytest.fixture(params=databases.engines_of_pages())
def engine(request: pytest.FixtureRequest) -> str:
    """Pages are tested on SQLite, at full depth on both engines; a test may name its own."""
    return str(request.param)


@pytest.fixture
def app(database: Database) -> Iterator[Flask]:
    """The application on the test's database, with the sandbox provider and no scheduler."""
    settings = PortalConfig(
        database=database.urls,
        secret_key="k" * 40,
        base_url="http://localhost",
        is_testing=True,
        has_sandbox=True,
        signing_key_file=keys.fresh(),
    )
    app = create_app(settings)
    yield app
    services: Services = app.extensions["plumbline"]
    services.database.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser that nobody has signed in."""
    return app.test_client()


@pytest.fixture
def browser(app: Flask, database: Database) -> Callable[..., FlaskClient]:
    """`browser("calla")` signs in an owner of that account (opened when it is missing); `browser(staff="approver")` an operator."""

    def signed_in(
        account: str | None = None, *, role: str = "owner", staff: str | None = None, login: str | None = None
    ) -> FlaskClient:
        name = login or f"{account or staff}.{role}@example.com"
        ensure_person(database, name, account=account, role=role, staff=staff)
        client = app.test_client()
        sign_in(client, name)
        return client

    return signed_in


def ensure_person(
    database: Database, login: str, *, account: str | None, role: str = "owner", staff: str | None = None
) -> None:
    """A person with a role in one account's tenant, or a staff role."""
    from billing.accounts import directory

    with database.transaction("jobs") as session:
        person = users.create_user(
            session, now=CREATED_AT, login=login, name=login.partition("@")[0], password=PASSWORD, staff_role=staff
        )
        if account is not None:
            found = directory.find_account_by_code(session, account) or onboarding.open_account(
                session, now=CREATED_AT, code=account
            )
            users.grant_membership(
                session, user_id=person.id, tenant_id=str(found.tenant_id), role=role, now=CREATED_AT
            )


def sign_in(client: FlaskClient, login: str) -> None:
    """Through the form, as a person does."""
    form = Page(client.get("/sign-in")).form_values()
    answer = client.post("/sign-in", data={**form, "login": login, "password": PASSWORD})
    assert answer.status_code == 303, Page(answer).text
