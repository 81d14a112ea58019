"""The story of a cent, in a browser: from usage to its formula, ledger and invoice, then money in and money back.

It is told twice, with and without JavaScript; what is said and what moves must be the same.
"""

import re
import time
from fractions import Fraction

import pytest
from playwright.sync_api import expect

from e2e.conftest import NewVisitor
from e2e.server import APPROVER, OWNER
from e2e.visitor import Visitor, text_of
from tests.walk import raw_log

# What the tenant pays in each telling, and asks back of it.
PAID, BACK = "250.00", "100.00"


@pytest.fixture(params=[True, False], ids=["with script", "without script"])
def tenant(request: pytest.FixtureRequest, new_visitor: NewVisitor) -> Visitor:
    """The owner of a tenant, signed in."""
    visitor = new_visitor(has_script=request.param)
    visitor.sign_in(OWNER)
    return visitor


@pytest.fixture
def operator(new_visitor: NewVisitor) -> Visitor:
    """Somebody of finance at another browser, who may approve refunds."""
    visitor = new_visitor(has_script=True)
    visitor.sign_in(APPROVER)
    return visitor


def test_a_cent_is_followed_from_usage_to_invoice_and_money_there_and_back(
    tenant: Visitor, operator: Visitor, jobs: list[raw_log.Job]
) -> None:
    reads_usage(tenant, jobs)
    opens_a_line(tenant)
    follows_it_to_the_ledger(tenant)
    downloads_the_invoice(tenant)
    balance = pays(tenant)
    refund_url = asks_back(tenant)
    tenant.menu("Balance")
    assert tenant.figure("Balance") == balance + cents(PAID)  # asking moves nothing
    approves(operator, refund_url.rsplit("/", 1)[1])
    sees_it_done(tenant, refund_url)
    tenant.menu("Balance")
    assert tenant.figure("Balance") == balance + cents(PAID) - cents(BACK)
    finds_it_on_the_statement(tenant, refund_url)


def reads_usage(tenant: Visitor, jobs: list[raw_log.Job]) -> None:
    """December's cost is what the raw log and the printed prices give; groups and periods change, in the URL too."""
    cents = raw_log.line_cents(jobs)
    page = tenant.page
    tenant.menu("Usage")
    report = page.locator("#usage-report")
    report.get_by_role("link", name="December 2016").click()
    expect(report.get_by_role("heading", level=2).first).to_have_text("1 to 31 December 2016")
    assert "period=2016-12" in page.url
    cpu, memory = (cents["calla", "2016-12", meter] for meter in ("cpu_hour", "memory_gib_hour"))
    assert tenant.figure("Cost") == cpu + memory
    table = page.locator("#usage-by-group")
    expect(table.locator("tr", has_text="CPU time")).to_contain_text(raw_log.printed(cpu))
    expect(table.locator("tr", has_text="Memory")).to_contain_text(raw_log.printed(memory))
    expect(report.get_by_role("img")).to_have_count(1)  # the chart, whose figures stand in the table below it
    chart_table = page.locator("#usage-by-bucket tr.total td").last
    assert (chart_table.text_content() or "").strip() == raw_log.printed(cpu + memory)

    report.get_by_role("link", name="Resource", exact=True).click()
    expect(table.locator("caption")).to_have_text("Cost by resource")
    assert "group=resource" in page.url
    assert tenant.figure("Cost") == cpu + memory
    report.get_by_role("link", name="Month", exact=True).click()
    expect(page.locator("#usage-by-bucket tbody tr")).to_have_count(2)  # December, and the total
    report.get_by_role("link", name="Service", exact=True).click()
    expect(table.locator("caption")).to_have_text("Cost by service")
    report.get_by_role("link", name="Item", exact=True).click()
    expect(table.locator("caption")).to_have_text("Cost by item")
    tenant.assert_whole_page()
    assert bool(tenant.partials) == tenant.has_script


def opens_a_line(tenant: Visitor) -> None:
    """The lines behind a figure, and one of them with its worked formula."""
    page = tenant.page
    row = page.locator("#usage-by-group tr", has_text="CPU time")
    row.locator("[data-label='Rated lines'] a").click()
    expect(page.locator("h1")).to_have_text("Rated lines")
    page.locator("#lines tbody tr").nth(3).get_by_role("link").click()
    expect(page.locator("h1")).to_contain_text("CPU time, line")
    derivation = page.locator("#derivation")
    expect(derivation.locator(".derivation li")).not_to_have_count(0)
    expect(derivation).to_contain_text("÷ 3,600,000")  # core-milliseconds to core-hours
    expect(derivation).to_contain_text("USD 0.50")
    hours, amount = quantity_and_amount(derivation.locator("p", has_text="In short").text_content() or "")
    assert abs(hours * Fraction("0.50") - amount) <= Fraction(1, 10**8)  # worked to a millionth of a cent


def quantity_and_amount(summary: str) -> tuple[Fraction, Fraction]:
    """The two figures of "In short: 373/225 core-hours × USD 0.50 ≈ USD 0.82888889."."""
    plain = summary.replace("\xa0", " ").replace(",", "")
    found = re.search(r"([\d./]+) core-hours? × USD 0\.50 [=≈] USD ([\d.]*\d)", plain)
    assert found, plain
    return Fraction(found[1]), Fraction(found[2])


def follows_it_to_the_ledger(tenant: Visitor) -> None:
    """To the transaction that holds the line, whose root covers its hash, and back."""
    page = tenant.page
    line_url = page.url
    transaction = tenant.fact("Ledger transaction").first.get_by_role("link")
    transaction_id = transaction.text_content() or ""
    assert transaction_id.startswith("txn_")
    transaction.click()
    expect(page.locator("h1")).to_contain_text("transaction")
    expect(page.locator("#facts")).to_contain_text(transaction_id)
    expect(page.locator("#entry-list")).to_contain_text("Usage")
    page.get_by_role("link", name="Rated lines in it").click()
    expect(page.locator("#lines tbody tr").first).to_be_visible()
    tenant.open(line_url.removeprefix(tenant.base_url))


def downloads_the_invoice(tenant: Visitor) -> None:
    """The invoice that bills the line; every figure of its page stands in the PDF."""
    page = tenant.page
    tenant.fact("Invoice").first.get_by_role("link").click()
    number = re.search(r"INV-\d{4}-\d{6}", page.locator("h1").text_content() or "")
    assert number
    link = page.get_by_role("link", name="Download PDF")
    for _ in range(60):  # the scheduler renders it within seconds of the issue
        if link.count():
            break
        time.sleep(0.5)
        page.reload()
    text = text_of(tenant.download(link))
    assert number[0] in text
    printed = [(cell.text_content() or "").strip() for cell in page.locator("#invoice-lines td.num data").all()]
    assert len(printed) >= 3
    total = page.locator(".figure data").all()
    printed += [(figure.text_content() or "").replace("USD", "").strip() for figure in total]
    for figure in printed:
        assert figure in text, figure


def pays(tenant: Visitor) -> int:
    """Money in by the sandbox's checkout: the balance rises by exactly that amount; what it was before."""
    page = tenant.page
    tenant.menu("Balance")
    balance, wallet = tenant.figure("Balance"), tenant.figure("Wallet")
    tenant.menu("Add funds")
    page.get_by_label("Amount").fill(PAID)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("h1")).to_have_text("Check before you pay")
    page.get_by_role("button", name=f"Pay USD {PAID}").click()
    expect(page.locator("h1")).to_have_text("Sandbox checkout")
    page.get_by_role("button", name=f"Pay USD {PAID}").click()
    expect(page.locator("h1")).to_have_text(f"Payment of USD {PAID}")
    expect(tenant.fact("State")).to_have_text("Paid")
    tenant.menu("Balance")
    assert tenant.figure("Balance") - balance == cents(PAID)
    assert tenant.figure("Wallet") - wallet == cents(PAID)
    return balance


def asks_back(tenant: Visitor) -> str:
    """A request for some of it; its path."""
    page = tenant.page
    tenant.menu("Refunds")
    page.get_by_role("link", name="Ask for a refund").first.click()
    payment = page.get_by_label("What is it about?").locator("option", has_text=f"Payment of USD {PAID}").first
    page.get_by_label("What is it about?").select_option(value=payment.get_attribute("value"))
    page.get_by_label("Amount").fill(BACK)
    page.get_by_label("Reason").fill("Paid more than we need this month")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("h1")).to_have_text("Check your request")
    page.get_by_role("button", name=f"Ask for USD {BACK} back").click()
    expect(page.locator("h1")).to_have_text(f"Refund of USD {BACK}")
    expect(page.get_by_text("Waiting for a decision")).to_be_visible()
    return page.url.removeprefix(tenant.base_url)


def approves(operator: Visitor, refund_id: str) -> None:
    """The second person sees it wait on the workbench, looks at what it does to the ledger, and approves."""
    page = operator.page
    operator.menu("Workbench")
    page.locator("#queues-table").get_by_role("link", name="To approve").first.click()
    expect(page.locator("main")).to_contain_text(BACK)
    operator.menu("Refunds")
    page.locator(f"a[href$='/operator/refunds/{refund_id}']").first.click()
    expect(page.locator("h1")).to_have_text(f"Refund of USD {BACK}")
    page.get_by_role("link", name="Approve").click()
    expect(page.locator("h1")).to_have_text("Check before approving")
    page.get_by_role("button", name=f"Approve refund of USD {BACK}").click()
    expect(page.locator("h1")).to_have_text(f"Refund of USD {BACK}")
    expect(page.locator("#case")).to_contain_text("The refund has arrived")  # the page follows it by itself


def sees_it_done(tenant: Visitor, refund_url: str) -> None:
    """The scheduler sends it within seconds; the tenant sees it done."""
    done = tenant.page.get_by_text("Refunded", exact=True)
    for _ in range(60):
        tenant.open(refund_url)
        if done.count():
            break
        time.sleep(0.5)
    expect(done.first).to_be_visible()
    expect(tenant.page.locator(".timeline")).to_contain_text("Approved by a second person")


def finds_it_on_the_statement(tenant: Visitor, refund_url: str) -> None:
    """The statement shows what went back, and leads from its entries to the refund."""
    page = tenant.page
    held = page.locator("#movements tbody tr", has_text="Refund approved").first
    expect(held).to_contain_text(BACK)
    held.get_by_role("link").first.click()
    expect(page.locator("#entry-list")).to_contain_text("Held for a refund")
    page.locator(f"a[href$='{refund_url}']").first.click()
    expect(page.locator("h1")).to_have_text(f"Refund of USD {BACK}")


def cents(amount: str) -> int:
    """ "250.00" in minor units."""
    return int(amount.replace(".", ""))
