"""Taxes: who is taxed where and why, the evidence for it, prices that include tax, what is declared to which tax office.

`determination` and `inclusive` are pure. A document's treatment is decided once, by `service.treat`, and its facts are frozen with it.
"""
