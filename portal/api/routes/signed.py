"""Where providers tell us what happened. Their own blueprint holds these, for they take no key."""

from portal.api import problems, schemas, webhooks
from portal.api.routes.route import Route

ROUTES: tuple[Route, ...] = tuple(
    Route(
        method="POST",
        path=path,
        view=view,
        tag="Providers",
        words=words,
        response=schemas.Received,
        problems=problems.SIGNED,
        is_signed=True,
    )
    for path, view, words in (
        ("/payments/webhook", webhooks.stripe_webhook, "Take a signed event of Stripe"),
        ("/payments/webhook/sandbox", webhooks.sandbox_webhook, "Take a signed event of the sandbox provider"),
    )
)
