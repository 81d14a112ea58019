"""A seller's declaration of tax as CSV, with a manifest: one line per jurisdiction, scheme, category, rate and currency."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from billing.exports import csv
from billing.invoicing.taxes.filing import Figures, Filing, Key
from billing.kernel.money import Money

COLUMNS = (
    "period",
    "seller",
    "form",
    "jurisdiction",
    "scheme",
    "registration",
    "category",
    "rate_percent",
    "currency",
    "taxable",
    "tax",
    "tax_currency",
    "tax_in_tax_currency",
    "invoices",
    "credit_notes",
)


@dataclass(kw_only=True)
class Declaration:
    """One file to be: iterate `export` once for its bytes, then ask for the manifest."""

    filing: Filing
    form: str
    export: csv.Export

    @property
    def file_name(self) -> str:
        """`tax-house-2026-10.csv`, of the one stop shop alone `tax-oss-house-2026-Q4.csv`."""
        which = f"{self.form}-" if self.form != "all" else ""
        return f"tax-{which}{self.filing.seller_code}-{self.filing.period}.csv"

    def to_manifest(self) -> dict[str, Any]:
        """{"period", "seller", "form", "start_at", "end_at", "ties_to_ledger", "tax": {currency: sum}, "count", "sha256", ...}."""
        sums: dict[str, int] = {}
        for key, figures in _chosen(self.filing, self.form):
            sums[key.currency] = sums.get(key.currency, 0) + figures.tax_minor
        return {
            "period": self.filing.period,
            "seller": self.filing.seller_code,
            "form": self.form,
            "start_at": self.filing.start_at.isoformat(),
            "end_at": self.filing.end_at.isoformat(),
            "ties_to_ledger": not self.filing.differences,
            "tax": {currency: _plain(minor, currency) for currency, minor in sorted(sums.items())},
            **self.export.manifest.to_json(),
        }


def declaration(filing: Filing, *, form: str = "all") -> Declaration:
    """The file of a filing: `form` is all, oss (the one stop shop's own form) or local (everything else)."""
    return Declaration(filing=filing, form=form, export=csv.Export(columns=COLUMNS, rows=_rows(filing, form)))


def records(filing: Filing, *, form: str = "all") -> list[dict[str, csv.Cell]]:
    """The lines by column, as the file has them."""
    return [dict(zip(COLUMNS, row, strict=True)) for row in _rows(filing, form)]


def _chosen(filing: Filing, form: str) -> list[tuple[Key, Figures]]:
    return [row for row in filing.rows if form == "all" or (row[0].scheme == "oss") == (form == "oss")]


def _rows(filing: Filing, form: str) -> Iterator[tuple[csv.Cell, ...]]:
    for key, figures in _chosen(filing, form):
        in_tax_currency = (
            figures.tax_minor
            if key.tax_currency == key.currency and figures.in_tax_currency_minor is None
            else figures.in_tax_currency_minor
        )
        yield (
            filing.period,
            filing.seller_code,
            "oss" if key.scheme == "oss" else "local",
            key.jurisdiction,
            key.scheme,
            key.registration,
            key.category,
            f"{key.rate_bp // 100}.{key.rate_bp % 100:02}" if key.category else "",
            key.currency,
            _plain(figures.taxable_minor, key.currency),
            _plain(figures.tax_minor, key.currency),
            key.tax_currency,
            "" if in_tax_currency is None else _plain(in_tax_currency, key.tax_currency),
            figures.invoices,
            figures.credit_notes,
        )


def _plain(minor: int, currency: str) -> str:
    return f"{Money(minor=minor, currency=currency).to_decimal():f}"
