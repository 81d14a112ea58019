"""`plumbline run` and `plumbline worker`: the portal and its background work."""

import os
import signal
import sys
import threading

import click

from billing.storage import migrate
from portal import logs
from portal.cli import Failed, context


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Web processes; one of them leads."
)
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1, 64), help="Threads of each process.")
def run(host: str, port: int, workers: int, threads: int) -> None:
    """Serve the portal with gunicorn; each process has a scheduler thread, one of which leads."""
    context.config()  # refuse unsafe settings here, in one sentence, before any process is forked
    _require_schema()
    environment = {**os.environ, "PLUMBLINE_SCHEDULER": os.environ.get("PLUMBLINE_SCHEDULER", "1")}
    environment.setdefault("PLUMBLINE_BASE_URL", f"http://{host}:{port}")
    arguments = [
        "--config",
        "python:portal.gunicorn_hooks",
        "--bind",
        f"{host}:{port}",
        "--workers",
        str(workers),
        "--threads",
        str(threads),
        "--worker-class",
        "gthread",
    ]
    arguments += [
        "--access-logfile",
        "/dev/null",
        "--graceful-timeout",
        "20",
        "--timeout",
        "60",
        "--log-level",
        "warning",
    ]
    arguments += ["--no-control-socket"]  # gunicorn would open one in the home folder
    click.echo(f"Plumbline is on http://{host}:{port}  (stop it with Ctrl-C)")
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "gunicorn", *arguments, "wsgi:app"], environment)  # noqa: S606


@click.command()
@click.option("--only", help="Run this one job of the timetable and no other.")
def worker(only: str | None) -> None:
    """The scheduler alone, for machines that serve no pages."""
    from billing.jobs import timetable
    from billing.jobs.scheduler import Scheduler

    logs.configure()
    if only is not None:
        timetable.get_job(only)
    _require_schema()
    scheduler = Scheduler(
        context.database(),
        context.providers(),
        only=only,
        mail=context.mailer(),
        keeping=context.config().keeping,
        vat_register=context.vat_register(),
    )
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    scheduler.start()
    click.echo("scheduler is running  (stop it with Ctrl-C)")
    ended.wait()
    scheduler.stop()


def _require_schema() -> None:
    found = migrate.current_revision(context.database().urls)
    if found is None:
        raise Failed("There is no database yet: run `plumbline db upgrade` first.")
    if found != migrate.head_revision():
        raise Failed("The database is not at the schema of this version: run `plumbline db upgrade` first.")
