"""How often a caller may ask: one limit for reading and one for writing, told on every answer.

Headers by draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy: "api-read";q=600;w=60`, `RateLimit: "api-read";r=599;t=42`.
"""

from flask import Response, g, request

from billing.storage import limits
from billing.storage.limits import Policy
from portal import errors, services

_WINDOW_S = 60
# A read may not wait for SQLite's only writer each time: a process lets a thirtieth of the window pass by itself.
_READ_SHARE = 30


def policy() -> Policy:
    """The limit that the request at hand counts against, of this installation's settings."""
    config = services.config()
    if request.method in ("GET", "HEAD"):
        limit = config.api_reads_per_minute
        return Policy(name="api-read", limit=limit, window_s=_WINDOW_S, share=limit // _READ_SHARE)
    return Policy(name="api-write", limit=config.api_writes_per_minute, window_s=_WINDOW_S)


def use(bucket: str) -> Response | None:
    """Count the request against the caller's limit; 429 when it is used up. Called before the request's own transaction."""
    used_policy = policy()
    decision = limits.take(services.database(), bucket=bucket, policy=used_policy, now=services.now())
    g.rate = (used_policy, decision)
    if decision.is_allowed:
        return None
    answer = errors.problem(
        429,
        code="rate_limited",
        title="Too many requests",
        detail=f"At most {used_policy.limit} a minute: try again in {decision.reset_s} seconds.",
    )
    answer.headers["Retry-After"] = str(decision.reset_s)
    return answer


def add_headers(response: Response) -> Response:
    """Say on the answer what the limit is and what is left of it."""
    if "rate" in g:
        used_policy, decision = g.rate
        response.headers["RateLimit-Policy"] = f'"{used_policy.name}";q={used_policy.limit};w={used_policy.window_s}'
        response.headers["RateLimit"] = f'"{used_policy.name}";r={decision.remaining};t={decision.reset_s}'
    return response
