"""Every route that takes a key, in the order of the description."""

from portal.api.routes import invoices, operations, payments, usage
from portal.api.routes.route import Route

ROUTES: tuple[Route, ...] = (*usage.ROUTES, *invoices.ROUTES, *payments.ROUTES, *operations.ROUTES)
