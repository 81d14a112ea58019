"""/billing/plans, /billing/prices, /billing/tenants/{tenant}/subscriptions and /admin/billing/pricing-plans: who pays by what.

A tenant reads its own; plans are stored and accounts are put on them by the operator's machines.
"""

from datetime import datetime, timedelta

from flask import Response

from billing.accounts import directory, listing, names
from billing.accounts.listing import AccountRow
from billing.catalog import plans as plan_room
from billing.catalog import price_list, subscriptions
from billing.catalog import terms as term_room
from billing.catalog.plans import PlanRow
from billing.catalog.price_list import Entry
from billing.catalog.subscriptions import PlanStretch as Stretch
from billing.catalog.subscriptions import SubscriptionRow
from billing.kernel.errors import Invalid, NotFound
from billing.rating import price_changes
from billing.storage.database import Session
from portal import services
from portal.api import answers, bodies, keys, parameters, plan_schemas
from portal.api.plan_schemas import ListedPrice, PlanRequest, PlanStretch, PlanVersion, Subscription
from portal.api.values import Money

_MOMENT = timedelta(microseconds=1)


@keys.needs("billing.read")
def list_plans() -> Response:
    """The plans that the account was, is and will be on, with their terms."""
    parameters.refuse_unknown("account")
    now = services.now()
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        found = subscriptions.stretches(session, account.id)
    page = plan_schemas.PlanStretchPage(account=account.code, data=[_stretch(one, now) for one in found])
    return answers.of(page)


@keys.needs("billing.read")
def list_prices() -> Response:
    """The account's price list at an instant, by default now; its own prices stand in place of its plan's."""
    parameters.refuse_unknown("account", "at")
    at = parameters.instant("at") or services.now()
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        entries = price_list.of_account(session, account.id, at=at, until_at=at + _MOMENT)
        current = subscriptions.plan_at(session, account.id, at)
    return answers.of(
        plan_schemas.PriceList(
            account=account.code,
            at=at,
            plan=current.plan.code if current else None,
            version=current.plan.version if current else None,
            data=[listed for listed in map(_listed, entries) if listed is not None],
        )
    )


@keys.needs("billing.read")
def list_subscriptions(tenant: str) -> Response:
    """Subscriptions of the tenant's billing accounts. Another tenant is as absent as none."""
    parameters.refuse_unknown()
    with services.database().reading() as session:
        accounts = [account for account in _accounts(session, tenant) if keys.may_name(account.tenant_id)]
        if not accounts:
            raise NotFound(tenant=names.shown(tenant))
        rows = [
            _subscription(row, account)
            for account in accounts
            for row in subscriptions.list_subscriptions(session, account.id)
        ]
    return answers.of(plan_schemas.SubscriptionPage(data=rows))


@keys.needs_staff("prices.change")
def subscribe(tenant: str) -> Response:
    """201 with the subscription; refused where usage from then on was rated by another price already."""
    asked = bodies.read(plan_schemas.SubscriptionRequest)

    def act(session: Session) -> Response:
        account = _one_account(_accounts(session, tenant), tenant, asked.account)
        made = price_changes.subscribe(
            session,
            now=services.now(),
            account_id=account.id,
            plan_code=asked.plan,
            valid_from=asked.valid_from,
            actor=keys.actor(),
        )
        [row] = [one for one in subscriptions.list_subscriptions(session, account.id) if one.id == made.id]
        return answers.of(_subscription(row, account), 201)

    return answers.once(act)


@keys.needs_staff("prices.change")
def withdraw_subscription(tenant: str, subscription_id: str) -> Response:
    """Take a coming change back; 409 once it has begun. The answer is what the tenant's accounts are and will be on."""
    bodies.require_none()

    def act(session: Session) -> Response:
        accounts = _accounts(session, tenant)
        found = subscriptions.find_account(session, subscription_id) if names.is_safe(subscription_id) else None
        if found is None or found not in {account.id for account in accounts}:
            raise NotFound(subscription=names.shown(subscription_id))
        price_changes.withdraw(
            session, now=services.now(), account_id=found, subscription_id=subscription_id, actor=keys.actor()
        )
        rows = [
            _subscription(row, account)
            for account in accounts
            for row in subscriptions.list_subscriptions(session, account.id)
        ]
        return answers.of(plan_schemas.SubscriptionPage(data=rows))

    return answers.once(act)


@keys.needs_staff("finance.read")
def list_pricing_plans() -> Response:
    """Every version of every plan."""
    parameters.refuse_unknown()
    with services.database().reading() as session:
        rows = plan_room.list_versions(session)
    return answers.of(plan_schemas.PlanVersionPage(data=[_version(row) for row in rows]))


@keys.needs_staff("prices.change")
def store_plan() -> Response:
    """201 with the version; the same again gives the same version."""
    asked = bodies.read(PlanRequest)

    def act(session: Session) -> Response:
        terms = term_room.read(
            {
                "fees": asked.terms.fees,
                "locks_price": asked.terms.locks_price,
                "minimum": asked.terms.minimum,
                "grant": asked.terms.grant,
                "percentages": [one.model_dump() for one in asked.terms.percentages],
            }
        )
        valid_from = asked.valid_from or plan_room.ALWAYS
        code = names.require_code(asked.code, "plan")
        with price_changes.plans_guarded(session, price_changes.accounts_on_plan(session, code), now=services.now()):
            plan_room.create_plan(
                session,
                now=services.now(),
                code=code,
                name=asked.name,
                book_code=asked.book,
                valid_from=valid_from,
                terms=terms,
                actor=keys.actor(),
            )
        [row] = [one for one in plan_room.list_versions(session, code) if one.valid_from == valid_from]
        return answers.of(_version(row), 201)

    return answers.once(act)


def _accounts(session: Session, tenant: str) -> list[AccountRow]:
    found = directory.find_tenant(session, tenant)
    return listing.of_tenant(session, found.id) if found is not None else []


def _one_account(accounts: list[AccountRow], tenant: str, code: str | None) -> AccountRow:
    if not accounts:
        raise NotFound(tenant=names.shown(tenant))
    named = [account for account in accounts if code is None or account.code == code]
    if not named:
        raise NotFound(account=names.shown(code or ""))
    if len(named) > 1:
        raise Invalid(field="account", reason="account_needed")
    return named[0]


def _stretch(one: Stretch, now: datetime) -> PlanStretch:
    is_past = one.until_at is not None and one.until_at <= now
    return PlanStretch(
        plan=_version(one.plan),
        from_=one.from_at,
        until=one.until_at,
        state="past" if is_past else "coming" if one.from_at > now else "in_force",
    )


def _version(row: PlanRow) -> PlanVersion:
    terms = row.terms
    return PlanVersion(
        plan=row.code,
        name=row.name,
        version=row.version,
        book=row.book_code,
        valid_from=row.valid_from,
        terms=plan_schemas.Terms(
            fees=list(terms.fees),
            locks_price=terms.locks_price,
            minimums=[Money(amount_minor=one.minor, currency=one.currency) for one in terms.minimums],
            grants=[Money(amount_minor=one.minor, currency=one.currency) for one in terms.grants],
            percentages=[
                plan_schemas.Percentage(code=one.code, percent=one.percent, families=list(one.families))
                for one in terms.percentages
            ],
        ),
    )


def _subscription(row: SubscriptionRow, account: AccountRow) -> Subscription:
    return Subscription(
        id=row.id,
        account=account.code,
        plan=row.plan_code,
        name=row.plan_name,
        from_=row.from_at,
        until=row.until_at,
    )


def _listed(entry: Entry) -> ListedPrice | None:
    price = entry.price
    if price is None:
        return None
    return ListedPrice(
        sku=entry.sku_code,
        name=entry.name,
        meter=entry.item.meter_code,
        variant=entry.item.variant,
        mode=entry.item.mode,  # type: ignore[arg-type]  # one of items.MODES, as the table's CHECK has it
        unit=entry.unit,
        currency=price.currency,
        model=price.model,
        parameters=price.parameters,
        price_version_id=price.id,
        valid_from=price.valid_from,
        is_own=entry.is_own,
    )
