"""Words and sums that every room shares: money, rounding, periods, clock, ids, canonical bytes, refusals.

Standard library only, no session, no clock reading except in `clock.utc_now`.
"""
