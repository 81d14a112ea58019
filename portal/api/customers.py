"""Customers at the payment provider: the page on which a person manages saved methods, and the operator's repair of a link."""

from typing import Annotated, Literal

from flask import Response, url_for
from pydantic import Field

from billing.accounts import directory
from billing.kernel.errors import Invalid
from billing.payments.customers import acts, checking, methods, saving
from billing.payments.customers.checking import Comparison
from billing.payments.customers.links import REASON_MAX
from billing.payments.customers.methods import MethodRow
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from portal import errors, services
from portal.api import answers, bodies, keys, parameters
from portal.api.values import In, Instant, Out

_PATH_MAX = 500


class PortalSessionRequest(In):
    """Whose methods are to be managed; `return_path` is the path of this portal to which the page leads back."""

    account: str | None = None
    return_path: Annotated[str, Field(max_length=_PATH_MAX)] | None = None


class PortalSession(Out):
    """Send the person to `url` at once: it is good for minutes, and shows what the account has saved."""

    account: str
    url: str
    return_url: str


class SavedMethod(Out):
    """A saved method: what people may see of it. `id_at_provider` names it at the provider."""

    id: str
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    is_default: bool
    id_at_provider: str
    saved_at: Instant


class SavedMethodList(Out):
    """All methods that may be used, the default first."""

    data: list[SavedMethod]


class ProviderCustomerRequest(In):
    """What to do about an account's customer: only look (`check`), link another (`relink`), or make one anew (`renew`)."""

    account: str
    act: Literal["check", "relink", "renew"] = "check"
    customer_id: Annotated[str, Field(min_length=3, max_length=255, examples=["cus_NffrFeUfNV2Hib"])] | None = None
    reason: Annotated[str, Field(max_length=REASON_MAX)] | None = None


class ProviderCustomer(Out):
    """Ours beside the provider's. `differences` are stable words, empty where both agree; `is_answered`: the provider was heard."""

    account: str
    provider: str
    customer_id: str | None
    legacy_customer_id: str | None
    linked_at: Instant | None
    gone_at: Instant | None
    is_answered: bool
    is_deleted: bool | None
    is_live: bool | None
    claimed_by: str | None
    methods: list[SavedMethod]
    differences: list[str]


@keys.needs("billing.write")
def open_portal() -> Response:
    """201 with the address of the provider's page, 503 while it does not answer, 502 when it refused."""
    asked = bodies.read(PortalSessionRequest)
    with services.database().reading() as session:
        account = keys.account_of(session, asked.account)
    return_url = _return_url(asked.return_path)
    try:
        url = saving.open_portal(
            services.database(),
            services.default_provider(),
            now=services.now(),
            account_id=account.id,
            return_url=return_url,
            actor=keys.actor(),
        )
    except (OutcomeUnknown, ProviderRefused) as trouble:
        return _silent(trouble)
    return answers.of(PortalSession(account=account.code, url=url, return_url=return_url), 201)


@keys.needs("billing.read")
def list_methods() -> Response:
    """The saved methods as the provider last showed them."""
    parameters.refuse_unknown("account")
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        rows = methods.list_methods(session, account_id=account.id, provider=services.default_provider().name)
    return answers.of(SavedMethodList(data=[_method(row) for row in rows]))


@keys.needs_staff("finance.run")
def provider_customers() -> Response:
    """200 with both sides, after what was asked for was done; 503 while the provider does not answer."""
    asked = bodies.read(ProviderCustomerRequest)
    with answers.claimed() as claim:
        if isinstance(claim, Response):
            return claim
        with services.database().reading() as session:
            account_id = directory.get_account_by_code(session, asked.account).id
        try:
            _carry_out(asked, account_id)
        except (OutcomeUnknown, ProviderRefused) as trouble:
            answers.release(claim)  # not the last word: a repeat with the same key asks again
            return _silent(trouble)
        found = checking.compare(services.database(), services.default_provider(), account_id=account_id)
        with services.database().transaction() as session:
            return answers.keep(session, claim, answers.of(_both_sides(found)))


def _carry_out(asked: ProviderCustomerRequest, account_id: str) -> None:
    database, provider, now = services.database(), services.default_provider(), services.now()
    if asked.act == "relink":
        if asked.customer_id is None:
            raise Invalid(field="customer_id", reason="customer_id_malformed")
        acts.relink(
            database,
            provider,
            now=now,
            account_id=account_id,
            customer_id=asked.customer_id,
            reason=asked.reason or "",
            actor=keys.actor(),
        )
    elif asked.act == "renew":
        acts.renew(database, provider, now=now, account_id=account_id, reason=asked.reason or "", actor=keys.actor())


def _both_sides(found: Comparison) -> ProviderCustomer:
    link, there = found.link, found.there
    return ProviderCustomer(
        account=link.account_code,
        provider=link.provider,
        customer_id=link.customer_id,
        legacy_customer_id=link.legacy_id,
        linked_at=link.linked_at,
        gone_at=link.gone_at,
        is_answered=found.trouble is None,
        is_deleted=None if there is None else there.is_deleted,
        is_live=None if there is None else there.is_live,
        claimed_by=None if there is None else there.reference,
        methods=[_method(row) for row in found.ours],
        differences=list(found.differences),
    )


def _method(row: MethodRow) -> SavedMethod:
    return SavedMethod(
        id=row.id,
        kind=row.kind,
        brand=row.brand,
        last4=row.last4,
        exp_month=row.exp_month,
        exp_year=row.exp_year,
        is_default=row.is_default,
        id_at_provider=row.provider_method_id,
        saved_at=row.saved_at,
    )


def _return_url(path: str | None) -> str:
    """An address of this portal. Raises Invalid for anything that could lead elsewhere."""
    if path is None:
        return f"{services.config().base_url}{url_for('tenant.payment_methods')}?from=portal"
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isascii() and path.isprintable()
    if not is_ours or "\\" in path or " " in path:
        raise Invalid(field="return_path", reason="return_url_foreign")
    return services.config().base_url + path


def _silent(trouble: Exception) -> Response:
    if isinstance(trouble, ProviderRefused):
        return errors.problem(
            502,
            code="provider_refused",
            title="The payment provider refused",
            detail="Nothing was changed. Look at the account's customer, then try again.",
        )
    return errors.problem(
        503,
        code="provider_unreachable",
        title="The payment provider did not answer",
        detail="Nothing was changed that could be seen. Try again in a minute, with the same Idempotency-Key where there is one.",
    )
