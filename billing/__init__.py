"""Plumbline's billing module: everything that is true about money, with no word about HTTP.

Reading order, bottom to top, is the way of the data: who is billed (accounts), what costs what (catalog), what was used
(metering), the books (ledger), what it costs (rating), what we say they owe (invoicing), how it is paid (payments), what is
allowed (controls), is it true (assurance). An import only goes down; the contract in pyproject.toml says the same.
"""
