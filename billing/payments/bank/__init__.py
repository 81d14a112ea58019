"""Money that came to the seller's bank account: booked by a person from a statement line, taken back by two."""
