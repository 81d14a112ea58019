"""Every fact of payments is shown with both providers, unless it is about one of them."""

from collections.abc import Iterator

import pytest

from billing.storage.database import Database
from tests.service.payments.world import StripeCustomer, World, customer_of, open_world


@pytest.fixture(params=["sandbox", "stripe"])
def world(request: pytest.FixtureRequest, database: Database) -> Iterator[World]:
    """An account that pays through the sandbox, and one that pays through Stripe's SDK against the peer."""
    with customer_of(request.param, database) as customer:
        yield open_world(database, customer)


@pytest.fixture
def stripe_world(database: Database) -> Iterator[tuple[World, StripeCustomer]]:
    """An account with Stripe alone, and the peer behind it."""
    with customer_of("stripe", database) as customer:
        assert isinstance(customer, StripeCustomer)
        yield open_world(database, customer), customer
