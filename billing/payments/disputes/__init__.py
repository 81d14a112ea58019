"""Disputes to the end: what a cardholder's bank takes back of a payment, what it does to the books, and how we answer it (DP1, DP2).

Two axes: the state (who must do what next) and the funds (what the bank holds). Both follow from the provider's object, fetched
again for every event, so that neither order nor repetition of events matters. Each movement of money is one balance transaction of
the provider and is posted once under its id; what is lost in the end goes to where the payment had been credited.
"""
