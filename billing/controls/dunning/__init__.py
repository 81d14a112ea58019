"""Dunning: what happens to an invoice that is not paid, and when. The calendar is data; the days are counted, never guessed.

Here is decided which charge and which reminder is due; charging is the payments' matter, reminding the invoicing's.
"""
