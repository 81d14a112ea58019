"""Charges without the customer being there: the saved method pays an invoice, or fills the wallet, because it was agreed before.

An off-session charge is a payment session of channel `off_session`: intent, call, outcome (Law 6). An invoice has one live charge at
most, and none while a checkout for it is under way: both are decided under the account's head, and a partial unique key holds it in
the database. What the provider said is kept with the attempt, in its own word.
"""
