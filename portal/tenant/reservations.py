"""One reservation, hour by hour: what was used of it, what was not, what went beyond. The list stands on the page of the plan."""

from werkzeug.wrappers import Response

from billing.catalog import reservations
from portal import access, htmx, reservation_words, services
from portal.tenant import blueprint
from portal.tenant.query import Query, path_key


@blueprint.get("/plan/reservations/<reservation_id>")
@access.requires("billing.read")
def plan_reservation(reservation_id: str) -> Response:
    """One reservation of the account."""
    account, query, now = access.current_account(), Query(), services.now()
    with services.database().reading() as session:
        found = reservations.get(session, path_key(reservation_id), account_id=account.id)
        shown = reservation_words.detail(session, found, query, now)
    return htmx.render(
        "tenant/plan/reservation.html", "reservations/_hours.html", account=account, notices=query.notices, **shown
    )
