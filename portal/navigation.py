"""The menu as data, and links that keep the state of a page in its URL.

The two menus below are the site map for people: every page that is reached without coming from another one stands here once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Flask, current_app, g, request, url_for


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a menu: where it leads, its words, the permission that shows it, an icon of static/icons.svg."""

    endpoint: str
    label: str
    permission: str
    icon: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """Entries under a common heading; the first section of a menu has none."""

    label: str
    entries: tuple[Entry, ...]


TENANT_MENU = (
    Section(
        label="",
        entries=(
            Entry(endpoint="tenant.overview", label="Overview", permission="billing.read", icon="layout-dashboard"),
            Entry(endpoint="tenant.usage", label="Usage", permission="billing.read", icon="chart-column"),
            Entry(endpoint="tenant.rated_lines", label="Rated lines", permission="billing.read", icon="list-checks"),
        ),
    ),
    Section(
        label="Money",
        entries=(
            Entry(endpoint="tenant.balance", label="Balance", permission="billing.read", icon="wallet"),
            Entry(endpoint="tenant.invoices", label="Invoices", permission="billing.read", icon="file-text"),
            Entry(endpoint="tenant.add_funds", label="Add funds", permission="billing.write", icon="plus"),
            Entry(endpoint="tenant.payments", label="Payments", permission="billing.read", icon="receipt-text"),
            Entry(
                endpoint="tenant.payment_methods",
                label="Payment methods",
                permission="billing.read",
                icon="credit-card",
            ),
            Entry(
                endpoint="tenant.automatic_payments",
                label="Automatic payments",
                permission="billing.read",
                icon="clock",
            ),
            Entry(endpoint="tenant.disputes", label="Disputes", permission="billing.read", icon="scale"),
            Entry(endpoint="tenant.refunds", label="Refunds", permission="billing.read", icon="undo-2"),
        ),
    ),
    Section(
        label="Limits",
        entries=(
            Entry(endpoint="tenant.budgets", label="Budgets", permission="billing.read", icon="target"),
            Entry(endpoint="tenant.plan", label="Plan and prices", permission="billing.read", icon="tag"),
        ),
    ),
    Section(
        label="Settings",
        entries=(
            Entry(
                endpoint="tenant.billing_details", label="Billing details", permission="billing.read", icon="building-2"
            ),
            Entry(endpoint="tenant.tax_profile", label="Tax profile", permission="billing.read", icon="scale"),
            Entry(endpoint="tenant.team", label="Team", permission="billing.read", icon="users"),
            Entry(endpoint="tenant.api_keys", label="API keys", permission="keys.manage", icon="key"),
        ),
    ),
)
OPERATOR_MENU = (
    Section(
        label="",
        entries=(
            Entry(endpoint="operator.workbench", label="Workbench", permission="finance.read", icon="inbox"),
            Entry(endpoint="operator.approvals", label="Approvals", permission="finance.read", icon="circle-check"),
            Entry(endpoint="operator.accounts", label="Billing accounts", permission="finance.read", icon="building-2"),
            Entry(endpoint="operator.business", label="Business", permission="finance.read", icon="chart-column"),
        ),
    ),
    Section(
        label="Money",
        entries=(
            Entry(endpoint="operator.payments", label="Payments", permission="finance.read", icon="credit-card"),
            Entry(
                endpoint="operator.provider_customers",
                label="Provider customers",
                permission="finance.read",
                icon="users",
            ),
            Entry(endpoint="operator.webhook_inbox", label="Provider events", permission="finance.read", icon="inbox"),
            Entry(
                endpoint="operator.unmatched_payments",
                label="Payments to match",
                permission="finance.read",
                icon="link",
            ),
            Entry(
                endpoint="operator.bank_transfers", label="Bank transfers", permission="finance.read", icon="landmark"
            ),
            Entry(endpoint="operator.disputes", label="Disputes", permission="finance.read", icon="scale"),
            Entry(endpoint="operator.refunds", label="Refunds", permission="finance.read", icon="undo-2"),
            Entry(
                endpoint="operator.provider_balance",
                label="Balance at the provider",
                permission="finance.read",
                icon="wallet",
            ),
            Entry(endpoint="operator.dunning", label="Dunning", permission="finance.read", icon="clock"),
            Entry(
                endpoint="operator.invoice_runs", label="Invoice runs", permission="finance.read", icon="receipt-text"
            ),
            Entry(endpoint="operator.tax", label="Tax", permission="finance.read", icon="file-text"),
            Entry(endpoint="operator.ledger", label="Ledger", permission="finance.read", icon="scale"),
            Entry(endpoint="operator.fx", label="Exchange rates", permission="finance.read", icon="chart-column"),
            Entry(endpoint="operator.sellers", label="Sellers", permission="finance.read", icon="building-2"),
        ),
    ),
    Section(
        label="Prices",
        entries=(
            Entry(endpoint="operator.catalog", label="Catalog", permission="finance.read", icon="tag"),
            Entry(endpoint="operator.shadow_ratings", label="Shadow ratings", permission="finance.read", icon="scale"),
        ),
    ),
    Section(
        label="System",
        entries=(
            Entry(
                endpoint="operator.reconciliation",
                label="Reconciliation",
                permission="finance.read",
                icon="circle-check",
            ),
            Entry(endpoint="operator.integrity", label="Integrity", permission="finance.read", icon="shield-check"),
            Entry(endpoint="operator.audit_log", label="Audit log", permission="audit.read", icon="list-checks"),
            Entry(endpoint="operator.diagnostics", label="Diagnostics", permission="finance.read", icon="link"),
            Entry(endpoint="operator.jobs", label="Jobs", permission="finance.read", icon="clock"),
            Entry(endpoint="operator.messages", label="Messages", permission="finance.read", icon="mail"),
            Entry(endpoint="operator.staff", label="Staff and access", permission="admin", icon="users"),
            Entry(endpoint="operator.service_keys", label="Service keys", permission="admin", icon="key"),
        ),
    ),
)

# The pages about the person themselves, in the menu under their name; anybody who is signed in has them.
PERSON_MENU = (
    Entry(endpoint="you.profile", label="Your account", permission="", icon="settings"),
    Entry(endpoint="you.sessions", label="Where you are signed in", permission="", icon="shield-check"),
)


@dataclass(frozen=True, kw_only=True)
class AccountChoice:
    """One billing account that the person may change to."""

    id: str
    name: str
    is_current: bool


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """Who looks at the page, as far as its frame shows it; made by portal.access.

    `account_name` is the billing account (or "Operations" for staff), `may` answers for a permission, `notice` is a sentence that
    stays on every page, such as that a tenant's pages are only being viewed. `accounts` are all that the person may open.
    """

    label: str
    account_name: str
    is_operator: bool
    may: Callable[[str], bool]
    sign_out_endpoint: str = "auth.sign_out"
    notice: str | None = None
    accounts: tuple[AccountChoice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Item:
    """A menu line as a template shows it."""

    label: str
    url: str
    icon: str
    is_current: bool


@dataclass(frozen=True, kw_only=True)
class Group:
    """A menu section as a template shows it."""

    label: str
    items: tuple[Item, ...]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What stands around the content of a page; without a viewer it is only the name of the portal."""

    viewer: Viewer | None = None
    menu: tuple[Group, ...] = ()
    home_url: str = "/"
    sign_out_url: str | None = None
    switch_url: str | None = None
    person_links: tuple[Item, ...] = ()
    search_url: str | None = None


def register_frame(app: Flask, find_viewer: Callable[[], Viewer | None]) -> None:
    """Give every template `frame`. `find_viewer` is asked once a render; it returns None when nobody is signed in."""

    @app.context_processor
    def _frame() -> dict[str, object]:
        return {"frame": Frame() if g.get("is_frameless") else frame_of(find_viewer())}


def leave_frame_out() -> None:
    """This answer is rendered without asking who is signed in: the database that knows it is not there."""
    g.is_frameless = True


def frame_of(viewer: Viewer | None) -> Frame:
    """The frame for one viewer: the entries that they may open, with the one in force marked."""
    if viewer is None:
        return Frame()
    menu = tuple(_groups(OPERATOR_MENU if viewer.is_operator else TENANT_MENU, viewer))
    return Frame(
        viewer=viewer,
        menu=menu,
        home_url=menu[0].items[0].url if menu else "/",
        sign_out_url=_url_or_none(viewer.sign_out_endpoint),
        switch_url=_url_or_none("auth.choose_account"),
        person_links=_items(PERSON_MENU),
        search_url=_url_or_none("operator.search") if viewer.is_operator else None,
    )


def _groups(menu: Iterable[Section], viewer: Viewer) -> Iterable[Group]:
    for section in menu:
        items = _items(entry for entry in section.entries if viewer.may(entry.permission))
        if items:
            yield Group(label=section.label, items=items)


def _items(entries: Iterable[Entry]) -> tuple[Item, ...]:
    return tuple(
        Item(label=entry.label, url=url_for(entry.endpoint), icon=entry.icon, is_current=_is_current(entry.endpoint))
        for entry in entries
        if entry.endpoint in current_app.view_functions
    )


def _is_current(endpoint: str) -> bool:
    """An entry is in force on its own page and on those below it: `tenant.invoices` also on `tenant.invoices_detail`."""
    shown = request.endpoint or ""
    return shown == endpoint or shown.startswith((f"{endpoint}.", f"{endpoint}_"))


def _url_or_none(endpoint: str) -> str | None:
    return url_for(endpoint) if endpoint in current_app.view_functions else None


def url_with(**changes: object) -> str:
    """The URL in force with query parameters changed; None takes one away. Repeated parameters are kept in their order."""
    kept = [(key, value) for key, value in request.args.items(multi=True) if key not in changes]
    query = urlencode(kept + [(key, str(value)) for key, value in changes.items() if value is not None])
    return f"{request.path}?{query}" if query else request.path


def page_numbers(page: int, last: int) -> list[int | None]:
    """The page numbers to show, None for a gap: first, last and two on each side of the one in force."""
    shown = sorted({1, last, *range(max(1, page - 1), min(last, page + 1) + 1)})
    numbers: list[int | None] = []
    for number in shown:
        before = numbers[-1] if numbers else None
        if before is not None and number == before + 2:
            numbers.append(before + 1)
        elif before is not None and number > before + 2:
            numbers.append(None)
        numbers.append(number)
    return numbers
