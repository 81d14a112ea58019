"""Money in and out: checkouts, provider events, refunds.

Law 6: our intent is committed before a provider is called and the outcome after it, never a network wait inside a transaction.
Money is credited from the provider's confirmed object, fetched again, never from a redirect or from what an event says; once,
whether a webhook, the return page or recovery comes first (a payment is unique on the provider's payment id). What is unknown is
looked up, and never sent again once the provider may have forgotten our idempotency key.
"""
