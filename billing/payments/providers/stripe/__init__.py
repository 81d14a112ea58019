"""Stripe: one file for each kind of object, all on `calls`; `adapter` is the whole."""
