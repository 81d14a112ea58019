"""Where rows live: engines for SQLite and PostgreSQL, the one commit, column types, guards, locks, and the tables every room shares.

Laws kept here: `database.Database.transaction()` is the only commit (Law 6); tables marked append-only or frozen are held so
by triggers on both engines (Law 3, `guards`).
"""
