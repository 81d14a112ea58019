"""What was used: sources, imports, allocations and their accrual, usage records, exact summaries.

Laws kept here: a (source, id) counts once, other content under it is refused; quantities are integers of base units; a usage
record is never changed.
"""
