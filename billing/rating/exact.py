"""What a charge comes to before it is rounded, for whoever converts it: an amount is rounded once, in the currency it is billed in (Law 2)."""

from collections.abc import Collection
from fractions import Fraction

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.rating import price_facts, scales
from billing.rating.derivations import curve_of
from billing.rating.tables import Charge, Counter, RatedLine


def of_charges(session: Session, charge_ids: Collection[str]) -> dict[str, Fraction]:
    """{charge: exact minor units of its currency}, as posted: rounding one half up gives what the ledger holds of it.

    The caller holds the account's lock, all that was rated is posted, and the charges are open: their curves are today's.
    """
    rows = session.execute(
        select(Charge, Counter.price_version_id, Counter.scale)
        .join(Counter, Counter.id == Charge.counter_id)
        .where(Charge.id.in_(charge_ids))
    ).all()
    prices = price_facts.load(session, {price_id for _, price_id, _ in rows})
    histories = scales.rescaled(session, counter_ids={charge.counter_id for charge, _, _ in rows})
    later = [charge.id for charge, _, _ in rows if charge.before_base and charge.counter_id in histories]
    opened_by = session.execute(
        select(RatedLine.charge_id, func.min(RatedLine.line_seq))
        .where(RatedLine.charge_id.in_(later))
        .group_by(RatedLine.charge_id)
    ).all()
    firsts = {row[0]: row[1] for row in opened_by}
    found = {}
    for charge, price_id, scale in rows:
        price, history = prices[price_id], histories.get(charge.counter_id)
        curve = curve_of(price, history.last if history else scales.read_scale(scale))
        # What earlier generations came to is theirs: the curve that was in force when this one opened (amounts.rounded_minor).
        opened = curve_of(price, history.before(firsts[charge.id])) if history and charge.id in firsts else curve
        cost = curve.cost(charge.before_base + charge.quantity_base) - opened.cost(charge.before_base)
        found[charge.id] = Fraction(cost)
    return found
