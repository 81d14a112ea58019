"""E-invoices held against the official validators, and against sums that share no code with ours."""
