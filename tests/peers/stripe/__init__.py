"""A Stripe-compatible server on loopback, so that the real SDK, a real browser and real webhooks need no internet.

    with StripeServer() as peer:
        client = stripe.StripeClient("sk_test_x", base_addresses={"api": peer.url})

Read in the way of a call: `server` (HTTP, faults) - `idempotency` (the first answer stands) - `form` and `params` (what was asked)
- `routes` and the resources, one module each (what happens) - `answers` (what is shown) - `events` and `webhooks` (who is told).
`play` is what nobody does over the API: the customer at the hosted page, the bank.

To add a resource: a module with its shape, its acts and its `ROUTES`, and one line in `routes.py`. `docs/decisions/0006` says how
the peer is kept honest; its tests are tests/unit/payments/test_peer_*.py, tests/service/payments/test_peer_*.py and, from outside,
tests/confidence/peer/.
"""
