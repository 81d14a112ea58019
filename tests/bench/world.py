"""Filling a scratch database: accounts, projects, usage; always the same, through the real services."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from billing.accounts import directory, heads
from billing.accounts.attribution import Attributor
from billing.catalog import bootstrap, onboarding
from billing.catalog.items import Item
from billing.catalog.meters import METERS
from billing.metering import records
from billing.rating import rater
from billing.storage.database import Database

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
START = datetime(2026, 9, 1, tzinfo=UTC)
_SPAN_S = 80 * 86_400  # inside three billing periods, in the past of NOW
_METERS = ("cpu_hour", "memory_gib_hour", "gpu_hour")
_BATCH = 10_000


def install(database: Database) -> None:
    """Meters, seller, default prices."""
    with database.transaction("jobs") as session:
        bootstrap.install(session, now=NOW)


def open_accounts(database: Database, count: int) -> list[str]:
    """Billing accounts on the default plan; their ids."""
    with database.transaction("jobs") as session:
        return [onboarding.open_account(session, now=NOW, code=f"bench-{number}").id for number in range(count)]


def account_ids(database: Database) -> list[str]:
    """The accounts that `open_accounts` made, in their order."""
    with database.reading("jobs") as session:
        found = {account.code: account.id for account in directory.list_accounts(session)}
    return [found[f"bench-{number}"] for number in range(len(found))]


def add_usage(database: Database, account_id: str, count: int, *, projects: int) -> int:
    """`count` windows of three meters over `projects` projects; the sum of their base quantities."""
    total = 0
    for first in range(0, count, _BATCH):
        with database.transaction("jobs") as session:
            head = heads.lock_one(session, account_id)
            attributor = Attributor(session, now=NOW)
            project_ids = [attributor.project_id(account_id, f"project-{number}") for number in range(projects)]
            pieces = list(_pieces(account_id, range(first, min(first + _BATCH, count)), project_ids))
            total += sum(piece.quantity_base for piece in pieces)
            records.insert(session, records.rows(head, pieces, now=NOW))
    return total


def add_charges(database: Database, account_id: str, count: int) -> None:
    """Three windows in each of `count` projects: as many charges of one meter and period, none of them zero."""
    with database.transaction("jobs") as session:
        head = heads.lock_one(session, account_id)
        attributor = Attributor(session, now=NOW)
        project_ids = [attributor.project_id(account_id, f"project-{number}") for number in range(count)]
        pieces = list(_pieces(account_id, range(count * 3), project_ids, meters=("cpu_hour",), each=1))
        records.insert(session, records.rows(head, pieces, now=NOW))


def rate_all(database: Database, account_ids: list[str], *, limit: int = 10_000) -> int:
    """Rate everything as the job does, in transactions of `limit` records; how many records."""
    total = 0
    for account_id in account_ids:
        while True:
            with database.transaction("jobs") as session:
                count = rater.rate_account(session, now=NOW, account_id=account_id, limit=limit)
            total += count
            if count < limit:
                break
    return total


def _pieces(
    account_id: str,
    numbers: range,
    project_ids: list[str | None],
    *,
    meters: tuple[str, ...] = _METERS,
    each: int = len(_METERS),
) -> Iterator[records.Piece]:
    """One window per number: meters in turn, `each` windows before the next project."""
    for number in numbers:
        meter = meters[number % len(meters)]
        start_at = START + timedelta(seconds=number * 7 % _SPAN_S)
        length_s = 60 + number % 3_000
        origin = records.Origin(
            source="bench",
            source_id=f"{account_id}/{number}",
            allocation_id=None,
            project_id=project_ids[number // each % len(project_ids)],
            member_id=None,
            resource="bench",
            tags_json="{}",
            correlation_id=None,
            content_hash="0" * 64,
            import_id=None,
        )
        window = (start_at, start_at + timedelta(seconds=length_s))
        yield records.Piece(origin, Item(meter), window, length_s * METERS[meter].base_per_unit // 3_600)
