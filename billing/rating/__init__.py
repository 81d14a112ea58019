"""What usage costs: price curves (Law 1), counters, rated lines with their derivations, charges rounded once (Law 2), postings."""
