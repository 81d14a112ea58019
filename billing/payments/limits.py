"""How much may leave again: pure sums of money.md ("A refund never takes more than ...")."""

from dataclasses import dataclass

_WHOLE_BP = 10_000


@dataclass(frozen=True, kw_only=True)
class Funds:
    """What a billing account's book accounts hold in one currency, signed as balances are: owed is negative (minor units)."""

    wallet: int = 0
    receivable: int = 0
    disputed: int = 0
    unbilled: int = 0
    promo: int = 0
    deferred: int = 0


def refundable_minor(funds: Funds, *, policy: str, tax_rate_bp: int) -> int:
    """Funds that may leave as money, at least 0; as `left_minor`."""
    return max(0, left_minor(funds, policy=policy, tax_rate_bp=tax_rate_bp))


def left_minor(funds: Funds, *, policy: str, tax_rate_bp: int) -> int:
    """Funds that may leave as money; below 0 where more is owed. Postpaid: the wallet. Prepaid: not what pending usage will need.

    A gift covers usage first but never leaves as cash, hence min(0, ...). The taxed part is rounded up against the tenant, so
    that no cent leaves which the next invoice needs.
    """
    refundable = funds.wallet
    if policy == "prepaid":
        untaxed = min(0, funds.unbilled + funds.promo + funds.deferred)
        needed = -(-(-untaxed * (_WHOLE_BP + tax_rate_bp)) // _WHOLE_BP)  # ceiling of a positive quotient
        refundable = min(refundable, funds.wallet + funds.receivable + funds.disputed - needed)
    return refundable
