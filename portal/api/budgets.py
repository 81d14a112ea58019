"""/billing/budgets: what is watched. An edit says by If-Match what it edits, so that of two at once one is told to look again."""

from flask import Response

from billing.accounts import heads, names, projects
from billing.accounts.listing import AccountRow
from billing.controls import budgets as policies
from billing.controls.budgets import PolicyRow
from billing.kernel import money as kernel_money
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Session
from portal import services
from portal.api import answers, bodies, cursors, keys, parameters
from portal.api.schemas import Budget, BudgetEdit, BudgetPage, BudgetRequest
from portal.api.values import Money

_MAX_ID = 100


@keys.needs("billing.read")
def list_budgets() -> Response:
    """In the order in which they were set."""
    parameters.refuse_unknown("account", "limit", "cursor")
    limit = cursors.limit()
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        after = cursors.read(account.id)
        if after is not None and not isinstance(after, str):
            raise Invalid(field="cursor", reason="bad_cursor")
        rows = policies.list_policies(session, account_id=account.id, after_id=after, limit=limit + 1)
    page = rows[:limit]
    return answers.of(
        BudgetPage(
            data=[_budget(row, account) for row in page],
            next_cursor=cursors.write(account.id, page[-1].id) if len(rows) > limit else None,
        )
    )


@keys.needs("billing.read")
def show_budget(budget_id: str) -> Response:
    """One budget; its ETag is what an edit names."""
    parameters.refuse_unknown("account")
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        return answers.of(_get(session, account, budget_id))


@keys.needs("billing.write")
def create_budget() -> Response:
    """201 with the budget."""
    asked = bodies.read(BudgetRequest)

    def act(session: Session) -> Response:
        account = keys.account_of(session, asked.account)
        policy_id = policies.create(
            session,
            now=services.now(),
            account_id=account.id,
            name=asked.name,
            amount=kernel_money.Money(minor=asked.amount.amount_minor, currency=asked.amount.currency),
            thresholds_percent=asked.thresholds_percent,
            actor=keys.actor(),
            project_id=_project_id(session, account, asked.project),
        )
        return answers.of(_get(session, account, policy_id), 201)

    return answers.once(act)


@keys.needs("billing.write")
def edit_budget(budget_id: str) -> Response:
    """200 with the budget as it is now; 412 when it is no longer the one the caller read."""
    answers.require_tag()
    asked = bodies.read(BudgetEdit, "account")
    with services.database().transaction() as session:
        account = keys.account_of(session, parameters.text("account"))
        heads.lock_one(session, account.id)  # what is compared below cannot change before it is written
        answers.require_match(_get(session, account, budget_id))
        policies.update(
            session,
            now=services.now(),
            account_id=account.id,
            policy_id=budget_id,
            name=asked.name,
            amount=kernel_money.Money(minor=asked.amount.amount_minor, currency=asked.amount.currency),
            thresholds_percent=asked.thresholds_percent,
            is_active=asked.is_active,
            actor=keys.actor(),
        )
        return answers.of(_get(session, account, budget_id))


def _get(session: Session, account: AccountRow, budget_id: str) -> Budget:
    """The account's budget. Raises NotFound for another account's too."""
    if len(budget_id) > _MAX_ID or not names.is_safe(budget_id):
        raise NotFound(budget=names.shown(budget_id))
    return _budget(policies.get_policy(session, account_id=account.id, policy_id=budget_id), account)


def _project_id(session: Session, account: AccountRow, code: str | None) -> str | None:
    if code is None:
        return None
    found = next((one.id for one in projects.list_projects(session, account.id) if one.code == code), None)
    if found is None:
        raise Invalid(field="project", value=names.shown(code), reason="unknown_project")
    return found


def _budget(row: PolicyRow, account: AccountRow) -> Budget:
    return Budget(
        id=row.id,
        account=account.code,
        name=row.name,
        project=row.project_code,
        amount=Money(amount_minor=row.amount_minor, currency=row.currency),
        thresholds_percent=list(row.thresholds_percent),
        is_active=row.is_active,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
