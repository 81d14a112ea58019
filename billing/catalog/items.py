"""What was used, as prices see it: a meter, its variant and its mode."""

from typing import NamedTuple

ON_DEMAND, SPOT, RESERVED, UNUSED = "on_demand", "spot", "reserved", "unused"
MODES = (ON_DEMAND, SPOT, RESERVED, UNUSED)


class Item(NamedTuple):
    """One kind of usage. `variant` is a GPU or token model, "" for any; a price of the variant wins over one of any.

    A mode never falls back to another: spot usage without a spot price waits for one.
    """

    meter_code: str
    variant: str = ""
    mode: str = ON_DEMAND

    @property
    def of_any_variant(self) -> "Item":
        """The same without its variant: whose price holds where the variant has none."""
        return self._replace(variant="")
