"""`plumbline allocations`: the life of a live allocation by hand."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from billing.accounts import directory
from billing.kernel import clock
from billing.metering import allocations as lifecycle
from billing.metering.allocations import AllocationResult, Shape
from portal.cli import context, output, times


@click.group()
def allocations() -> None:
    """Open, reconfigure, stop, start and release live allocations by hand."""


def _shape_options(command: Any) -> Any:
    for option in (
        click.option(
            "--storage-gib",
            type=click.IntRange(min=0),
            default=0,
            help="Storage, in whole GiB; it stays billed while the allocation is stopped.",
        ),
        click.option("--memory-gib", type=click.IntRange(min=0), default=0, help="Memory, in whole GiB."),
        click.option("--cpus", type=click.IntRange(min=0), default=0, help="CPU cores."),
        click.option("--gpus", default="0", help="GPUs: 4, 0.5, or a share such as 1/7."),
    ):
        command = option(command)
    return command


def _step_options(command: Any) -> Any:
    for option in (
        click.option(
            "--event-id", help="Names this step, so that telling it twice changes nothing. Default: step and time."
        ),
        click.option("--at", callback=times.option, help="When it happened, RFC 3339. Default: now."),
        click.option("--account", required=True, help="Code of the billing account."),
        click.argument("allocation_id", metavar="ID"),
    ):
        command = option(command)
    return command


@allocations.command("open")
@_step_options
@_shape_options
@click.option("--resource", required=True, help="What is allocated, such as h100x8.")
@click.option("--variant", default="", help="Model of its GPUs, such as h100.")
@click.option("--mode", type=click.Choice(["on_demand", "spot"]), default="on_demand", show_default=True)
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag; can be given again.")
@click.option("--name", default="", help="A name for people.")
@click.option("--project", help="Project that the usage belongs to.")
@click.option("--submitter", help="Who asked for it; usage keeps an opaque member id only.")
@output.with_format
def open_(
    allocation_id: str,
    account: str,
    at: datetime | None,
    event_id: str | None,
    gpus: str,
    cpus: int,
    memory_gib: int,
    storage_gib: int,
    resource: str,
    variant: str,
    mode: str,
    tags: tuple[str, ...],
    name: str,
    project: str | None,
    submitter: str | None,
    form: str,
) -> None:
    """Start an allocation: from now on its usage accrues."""
    now = context.now()
    at = at or now
    shape = Shape(gpus=gpus, cpu_cores=cpus, memory_bytes=memory_gib * 2**30, storage_bytes=storage_gib * 2**30)
    with context.database().transaction("jobs") as session:
        result = lifecycle.open_allocation(
            session,
            now=now,
            account_id=directory.get_account_by_code(session, account).id,
            event_id=event_id or _default_event_id("opened", at),
            external_id=allocation_id,
            resource=resource,
            name=name,
            shape=shape,
            at=at,
            project_code=project,
            member_handle=submitter,
            variant=variant,
            mode=mode,
            tags=_tags(tags),
        )
    _show(result, allocation_id, "opened", form)


@allocations.command()
@_step_options
@_shape_options
@output.with_format
def reconfigure(
    allocation_id: str,
    account: str,
    at: datetime | None,
    event_id: str | None,
    gpus: str,
    cpus: int,
    memory_gib: int,
    storage_gib: int,
    form: str,
) -> None:
    """Give an allocation another shape; usage before keeps the old one."""
    now = context.now()
    at = at or now
    shape = Shape(gpus=gpus, cpu_cores=cpus, memory_bytes=memory_gib * 2**30, storage_bytes=storage_gib * 2**30)
    with context.database().transaction("jobs") as session:
        result = lifecycle.reconfigure(
            session,
            now=now,
            account_id=directory.get_account_by_code(session, account).id,
            event_id=event_id or _default_event_id("reconfigured", at),
            external_id=allocation_id,
            shape=shape,
            at=at,
        )
    _show(result, allocation_id, "reconfigured", form)


@allocations.command()
@_step_options
@output.with_format
def stop(allocation_id: str, account: str, at: datetime | None, event_id: str | None, form: str) -> None:
    """Stop an allocation; from then on only its storage is billed."""
    _turn(lifecycle.stop, "stopped", allocation_id, account, at, event_id, form)


@allocations.command()
@_step_options
@output.with_format
def start(allocation_id: str, account: str, at: datetime | None, event_id: str | None, form: str) -> None:
    """Start a stopped allocation again, in the shape that it had."""
    _turn(lifecycle.start, "started", allocation_id, account, at, event_id, form)


def _turn(
    act: Callable[..., AllocationResult],
    step: str,
    allocation_id: str,
    account: str,
    at: datetime | None,
    event_id: str | None,
    form: str,
) -> None:
    now = context.now()
    at = at or now
    with context.database().transaction("jobs") as session:
        result = act(
            session,
            now=now,
            account_id=directory.get_account_by_code(session, account).id,
            event_id=event_id or _default_event_id(step, at),
            external_id=allocation_id,
            at=at,
        )
    _show(result, allocation_id, step, form)


@allocations.command()
@_step_options
@click.option("--failed", is_flag=True, help="It could not be freed cleanly; usage ends all the same.")
@output.with_format
def release(
    allocation_id: str, account: str, at: datetime | None, event_id: str | None, failed: bool, form: str
) -> None:
    """End an allocation; its usage up to then is recorded."""
    now = context.now()
    at = at or now
    with context.database().transaction("jobs") as session:
        result = lifecycle.release(
            session,
            now=now,
            account_id=directory.get_account_by_code(session, account).id,
            event_id=event_id or _default_event_id("release-failed" if failed else "released", at),
            external_id=allocation_id,
            at=at,
            failed=failed,
        )
    _show(result, allocation_id, "release_failed" if failed else "released", form)


def _tags(given: tuple[str, ...]) -> dict[str, str]:
    tags = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key or key in tags:
            raise click.UsageError(f"{text!r} is no new KEY=VALUE.")
        tags[key] = value
    return tags


def _default_event_id(step: str, at: datetime) -> str:
    return f"{step}:{clock.to_rfc3339(at)}"


def _show(result: AllocationResult, allocation_id: str, step: str, form: str) -> None:
    row = {
        "allocation": allocation_id,
        "id": result.allocation_id,
        "status": "duplicate" if result.is_duplicate else step,
        "usage_records": result.usage_records,
    }
    output.emit([row], form, columns=("allocation", "id", "status", "usage_records"), data=row)
