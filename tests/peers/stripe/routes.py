"""All routes, resource by resource."""

from tests.peers.stripe import (
    balance_transactions,
    billing_portal,
    charges,
    checkout_sessions,
    customers,
    disputes,
    early_fraud_warnings,
    events,
    files,
    payment_intents,
    payment_methods,
    payouts,
    refunds,
    setup_intents,
    tax_calculations,
    webhook_endpoints,
)
from tests.peers.stripe.errors import Unstarted
from tests.peers.stripe.route import Route

ROUTES: list[Route] = [
    *customers.ROUTES,
    *payment_methods.ROUTES,
    *payment_intents.ROUTES,
    *setup_intents.ROUTES,
    *tax_calculations.ROUTES,
    *checkout_sessions.ROUTES,
    *charges.ROUTES,
    *refunds.ROUTES,
    *disputes.ROUTES,
    *early_fraud_warnings.ROUTES,
    *files.ROUTES,
    *balance_transactions.ROUTES,
    *payouts.ROUTES,
    *billing_portal.ROUTES,
    *events.ROUTES,
    *webhook_endpoints.ROUTES,
]


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route and the ids in its path. Raises Unstarted(404)."""
    for route in ROUTES:
        ids = route.match(method, path)
        if ids is not None:
            return route, ids
    raise Unstarted(
        404,
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/.",
    )
