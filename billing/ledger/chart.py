"""The chart of accounts: the number and the words under which each ledger account leaves for a general ledger. Pure.

Numbers are for ever: a number that was exported once is never given to another account. A part of a name (`revenue:compute`,
`tax:DE`, `cash:stripe`) follows the number: `4000-compute`. docs/chart-of-accounts.md says the same to people.
"""

from dataclasses import dataclass

from billing.ledger import entries


@dataclass(frozen=True, kw_only=True)
class ChartAccount:
    """One line of the chart. `type` is asset, liability, revenue or expense; contra accounts stand with what they lower."""

    number: str
    name: str
    type: str
    words: str


CHART: tuple[ChartAccount, ...] = (
    ChartAccount(number="1000", name="cash", type="asset", words="Cash, by where it lies: 1000-bank, 1000-stripe"),
    ChartAccount(number="1100", name="receivable", type="asset", words="Invoices that customers have not paid"),
    ChartAccount(number="1150", name="unbilled", type="asset", words="Usage that is not invoiced yet"),
    ChartAccount(
        number="1180", name="disputed", type="asset", words="Payments that a bank has taken back for a dispute"
    ),
    ChartAccount(
        number="1900", name="fx_clearing", type="asset", words="Between two currencies, until a payment ends it"
    ),
    ChartAccount(number="2000", name="wallet", type="liability", words="What customers have paid in advance"),
    ChartAccount(number="2050", name="promo", type="liability", words="Gifts that customers have not used"),
    ChartAccount(number="2080", name="refund_pending", type="liability", words="Refunds approved and not yet paid out"),
    ChartAccount(number="2100", name="deferred", type="liability", words="Commitments paid and not yet drawn"),
    ChartAccount(number="2200", name="reseller_payable", type="liability", words="What resellers are owed"),
    ChartAccount(number="2500", name="tax", type="liability", words="VAT owed, by jurisdiction: 2500-DE"),
    ChartAccount(number="4000", name="revenue", type="revenue", words="Revenue, by product family: 4000-compute"),
    ChartAccount(number="4100", name="breakage", type="revenue", words="Commitments that lapsed undrawn"),
    ChartAccount(number="4800", name="discount", type="revenue", words="Discounts given (lowers revenue)"),
    ChartAccount(number="4900", name="rounding", type="revenue", words="Cents left over by rounding (BT-114)"),
    ChartAccount(number="6000", name="processor_fees", type="expense", words="Fees of payment providers"),
    ChartAccount(number="6050", name="dispute_fees", type="expense", words="Fees of disputes"),
    ChartAccount(number="6100", name="bad_debt", type="expense", words="Receivables written off"),
    ChartAccount(number="6200", name="promo_expense", type="expense", words="Gifts given"),
    ChartAccount(number="6300", name="commission", type="expense", words="Resellers' margin"),
    ChartAccount(number="6900", name="fx_result", type="expense", words="Gains and losses of exchange"),
)
_BY_NAME = {account.name: account for account in CHART}


def account_of(name: str) -> ChartAccount:
    """The line of the chart of a ledger account's name, such as `revenue:compute`. Raises EntryRefused for a name that is none."""
    return _BY_NAME[entries.base_of(name)]


def number_of(name: str) -> str:
    """Its number in the general ledger: `1100`, `4000-compute`. Raises EntryRefused for a name that is none."""
    part = name.partition(":")[2]
    return account_of(name).number + (f"-{part}" if part else "")
