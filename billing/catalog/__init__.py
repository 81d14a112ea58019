"""What is counted and what it costs: meters, SKUs, immutable price versions, plans and who subscribes to them.

Law kept here: a price is never edited; a change is a new version from an instant on.
"""
