"""Raw column types of the revisions: SQLite's STRICT tables know INTEGER, TEXT and BLOB. No application imports here."""

import sqlalchemy as sa


def ident() -> sa.types.TypeEngine:
    """Ids and codes, compared byte by byte."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def count() -> sa.types.TypeEngine:
    """64-bit integers: counts and minor units."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def instant() -> sa.types.TypeEngine:
    """timestamptz, or integer microseconds since 1970."""
    return sa.DateTime(timezone=True).with_variant(sa.Integer(), "sqlite")


def quantity() -> sa.types.TypeEngine:
    """Up to 38 digits, or decimal text."""
    return sa.Numeric(38, 0).with_variant(sa.Text(), "sqlite")


def flag() -> sa.types.TypeEngine:
    """BOOLEAN, or 0 and 1."""
    return sa.Boolean().with_variant(sa.Integer(), "sqlite")


def day() -> sa.types.TypeEngine:
    """DATE, or ISO text."""
    return sa.Date().with_variant(sa.Text(), "sqlite")
