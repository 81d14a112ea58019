"""Billing accounts: the list with what each has and owes."""

from collections.abc import Sequence
from dataclasses import dataclass

from werkzeug.wrappers import Response

from billing.accounts import listing
from billing.accounts.listing import AccountRow
from billing.ledger import balances
from billing.ledger.balances import Balance
from billing.storage.database import Session
from portal import access, htmx, services
from portal.tenant.query import Query, chip

_SIZE = 50


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One line of the list."""

    account: AccountRow
    balances: Sequence[Balance]


@access.requires_staff("finance.read")
def accounts() -> Response:
    """All billing accounts, searched by code or name; sorted by balance, the currency of the first account leads."""
    query = Query()
    text, page = query.text("q") or "", query.page()
    policy = query.choice("policy", ("prepaid", "postpaid"), "")
    sort = query.sort((*listing.SORTS, "balance"), "name")
    with services.database().reading() as session:
        total = listing.count_accounts(session, text=text, policy=policy or None)
        rows = _rows(session, text, policy or None, sort, page)
    chips = [chip("Search", text, "q")] if text else []
    chips += [chip("Policy", policy.capitalize(), "policy")] if policy else []
    return htmx.render(
        "operator/accounts/index.html",
        "operator/accounts/_list.html",
        rows=rows,
        total=total,
        page=page,
        size=_SIZE,
        sort=sort,
        text=text,
        policy=policy,
        chips=chips,
        notices=query.notices,
    )


def _rows(session: Session, text: str, policy: str | None, sort: str, page: int) -> list[Listed]:
    skip = (page - 1) * _SIZE
    if sort.removeprefix("-") != "balance":
        found = listing.list_accounts(session, text=text, policy=policy, sort=sort, limit=_SIZE, offset=skip)
        held = balances.of_accounts(session, [account.id for account in found])
        return [Listed(account=account, balances=held.get(account.id, [])) for account in found]
    everyone = listing.list_accounts(session, text=text, policy=policy, sort="code", limit=1_000_000)
    held = balances.of_accounts(session, None)
    listed = [Listed(account=account, balances=held.get(account.id, [])) for account in everyone]
    listed.sort(key=_owned, reverse=sort.startswith("-"))
    return listed[skip : skip + _SIZE]


def _owned(row: Listed) -> tuple[str, int]:
    """Sorted within one currency, the account's own: amounts of different currencies do not compare."""
    own = next((held.balance_minor for held in row.balances if held.currency == row.account.currency), 0)
    return row.account.currency, own
