"""`plumbline reservations`: capacity that is paid for whether it is used or not."""

from datetime import datetime

import click

from billing.accounts import directory
from billing.catalog import reservations as room
from billing.exports import csv
from billing.kernel import clock
from billing.metering import reserved_use
from portal.cli import context, times
from portal.cli.output import emit, with_format

_COLUMNS = (
    "id", "account", "name", "meter", "variant", "capacity", "unit", "starts_at", "ends_at", "state", "utilisation_percent",
)  # fmt: skip


@click.group()
def reservations() -> None:
    """Reserved capacity: matched with usage hour by hour before it is rated."""


@reservations.command("list")
@click.option("--account", help="Only this billing account.")
@with_format
def list_reservations(account: str | None, form: str) -> None:
    """Every reservation with its capacity per hour and how much of it was used."""
    now = context.now()
    with context.database().reading("jobs") as session:
        owner = directory.get_account_by_code(session, account) if account else None
        found = room.list_reservations(session, owner.id if owner else None)
        used = reserved_use.of_reservations(session, [each.id for each in found])
        codes = {each.id: each.code for each in directory.list_accounts(session, kind=None)}
    rows = []
    for each in found:
        use = used.get(each.id)
        share = use.utilisation if use else None
        rows.append(
            {
                "id": each.id,
                "account": codes.get(each.billing_account_id, each.billing_account_id),
                "name": each.name,
                "meter": each.meter_code,
                "variant": each.variant,
                "capacity": csv.decimal_text(each.capacity),
                "unit": f"{each.unit} per hour",
                "starts_at": clock.to_rfc3339(each.starts_at),
                "ends_at": clock.to_rfc3339(each.ends_at) if each.ends_at else None,
                "state": each.state(now),
                "utilisation_percent": None if share is None else csv.decimal_text(share * 100, places=2),
            }
        )
    emit(rows, form, columns=_COLUMNS)


@reservations.command()
@click.option("--account", required=True, help="Code of the billing account.")
@click.option("--name", required=True, help="What it is called; once among those that run.")
@click.option("--meter", required=True, help="What is reserved, such as gpu_hour.")
@click.option("--variant", default="", help="Model, such as h100; left out for usage that names none.")
@click.option("--capacity", required=True, help="Priced units per hour: 8 for eight GPUs.")
@click.option("--from", "from_at", required=True, callback=times.option, help="A full hour of UTC.")
@click.option("--to", "to_at", callback=times.option, help="A full hour of UTC, not included; left out for no end.")
def create(
    account: str, name: str, meter: str, variant: str, capacity: str, from_at: datetime, to_at: datetime | None
) -> None:
    """Reserve; the same again gives the same reservation. Prints its id."""
    wanted = room.Wanted(
        name=name, meter_code=meter, variant=variant, capacity=capacity, starts_at=from_at, ends_at=to_at
    )
    with context.database().transaction("jobs") as session:
        owner = directory.get_account_by_code(session, account)
        made = room.create(session, now=context.now(), account_id=owner.id, wanted=wanted, actor=context.actor())
    click.echo(made.id)


@reservations.command()
@click.argument("reservation_id")
@click.option("--account", required=True, help="Code of the billing account.")
@click.option("--at", "ends_at", required=True, callback=times.option, help="A full hour of UTC that has not begun.")
def end(reservation_id: str, account: str, ends_at: datetime) -> None:
    """Let a reservation end."""
    with context.database().transaction("jobs") as session:
        owner = directory.get_account_by_code(session, account)
        room.end(
            session,
            now=context.now(),
            account_id=owner.id,
            reservation_id=reservation_id,
            ends_at=ends_at,
            actor=context.actor(),
        )
    click.echo(f"{reservation_id} ends at {clock.to_rfc3339(ends_at)}")
