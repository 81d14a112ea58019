"""The balance at the provider: every movement of it read, explained by the ledger, and booked where it is ours alone.

Laws: a movement is kept once, by the provider's id, and never altered. What moved a tenant's money is booked by the room of that
act under the movement's key, `("balance_transaction", "<provider>:<id>")`; here only what stands in the house's chain is booked
under the same key: processor fees, conversions by the provider, payouts. Of what nobody knows nothing is guessed: it is a finding.
Together, the movements of cash:stripe in the ledger are the movements at the provider, to the cent and per currency.
"""
