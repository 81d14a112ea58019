"""Figures that leave: CSV as iterators, safe to open in a spreadsheet, with a manifest of count, sum and hash."""
