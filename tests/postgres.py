"""A PostgreSQL of our own for one run of pytest: on a socket in the scratch directory, without durability, gone afterwards.

The bootstrap user is a superuser, whom no guard stops: only this module connects as it, to create and drop databases. Tests
connect as the three roles of an installation.
"""

import fcntl
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

OWNER, JOBS, WEB = "plumbline_owner", "plumbline_jobs", "plumbline_web"
CONTROLLER_FILE = "controller"  # holds the process id of the pytest that made the scratch directory
_SUPERUSER = "postgres"
_OPTIONS = {
    "listen_addresses": "''",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "Pacific/Auckland",  # far from UTC, so that a forgotten zone shows
}


@contextmanager
def locked(run_dir: Path, name: str) -> Iterator[None]:
    """One worker at a time: whoever comes first makes what the others then find made."""
    with (run_dir / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def url(run_dir: Path, database: str, role: str) -> str:
    """The SQLAlchemy URL of one database for one role."""
    return f"postgresql://{role}@/{database}?host={_socket_dir(run_dir)}"


def start(run_dir: Path) -> None:
    """Start the cluster with its three roles unless it runs already. The caller holds a lock."""
    home = _home(run_dir)
    if (home / "ready").exists():
        return
    home.mkdir()
    bin_dir = _bin_dir()
    as_server = _as_server_user(home)
    encoding = ["--locale=C.UTF-8", "-E", "UTF8"]
    _run(
        [
            *as_server,
            f"{bin_dir}/initdb",
            "-D",
            f"{home}/data",
            "-A",
            "trust",
            "-U",
            _SUPERUSER,
            "--no-sync",
            *encoding,
        ],
        home,
    )
    options = " ".join([f"-k {home}", *(f"-c {name}={value}" for name, value in _OPTIONS.items())])
    _run(
        [
            *as_server,
            f"{bin_dir}/pg_ctl",
            "-D",
            f"{home}/data",
            "-l",
            f"{home}/log",
            "-w",
            "-s",
            "-o",
            options,
            "start",
        ],
        home,
    )
    _watch(run_dir, as_server, bin_dir)
    with administration(run_dir) as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN NOSUPERUSER")
        connection.execute(f"CREATE ROLE {JOBS} LOGIN NOSUPERUSER BYPASSRLS")
        connection.execute(f"CREATE ROLE {WEB} LOGIN NOSUPERUSER")
    (home / "ready").touch()


def stop(run_dir: Path) -> None:
    """Stop the cluster if it was started."""
    home = _home(run_dir)
    if home.exists() and (home / "data" / "postmaster.pid").exists():
        _run(
            [*_as_server_user(home), f"{_bin_dir()}/pg_ctl", "-D", f"{home}/data", "-m", "immediate", "-s", "stop"],
            home,
        )


@contextmanager
def administration(run_dir: Path) -> Iterator[psycopg.Connection]:
    """The superuser's connection, for creating and dropping databases and for nothing else."""
    conninfo = f"host={_socket_dir(run_dir)} user={_SUPERUSER} dbname=postgres"
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


def create_database(connection: psycopg.Connection, name: str, template: str | None = None) -> None:
    """An empty database of the owner role, or a copy of `template` (about 30 ms)."""
    statement = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNER))
    if template is not None:
        statement += sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(template))
    connection.execute(statement)


def drop_database(connection: psycopg.Connection, name: str) -> None:
    """Drop a database, ending whatever still uses it."""
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _home(run_dir: Path) -> Path:
    return run_dir / "pg"


def _socket_dir(run_dir: Path) -> Path:
    return _home(run_dir)


def _bin_dir() -> Path:
    """The newest server that is installed."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if found:
        return max(found, key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0))
    on_path = shutil.which("initdb")
    if on_path is None:
        raise RuntimeError(
            "no PostgreSQL server is installed; `make test` installs one, PLUMBLINE_TEST_ENGINES=sqlite leaves it out"
        )
    return Path(on_path).resolve().parent


def _as_server_user(home: Path) -> list[str]:
    """PostgreSQL refuses to run as root: the words that make the command run as its own user."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    os.chown(home, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _watch(run_dir: Path, as_server: list[str], bin_dir: Path) -> None:
    """Stop the server even if pytest is killed and cannot: wait for its process to end, then do what `stop` does."""
    controller = (run_dir / CONTROLLER_FILE).read_text()
    stop_command = " ".join(
        [*as_server, f"{bin_dir}/pg_ctl", "-D", f"{_home(run_dir)}/data", "-m", "immediate", "-s", "stop"]
    )
    script = f"tail --pid={controller} -f /dev/null; {stop_command}; rm -rf {run_dir}"
    nowhere = subprocess.DEVNULL
    subprocess.run(
        ["setsid", "--fork", "sh", "-c", script], stdin=nowhere, stdout=nowhere, stderr=nowhere, cwd="/", check=True
    )


def _run(command: list[str], cwd: Path) -> None:
    # Output goes to a file of its own: a server that inherits our pipe would hold it open for ever.
    with (cwd / "output").open("w+") as output:
        code = subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        ).returncode
        if code != 0:
            output.seek(0)
            log = cwd / "log"
            raise RuntimeError(f"{' '.join(command)} failed:\n{output.read()}{log.read_text() if log.exists() else ''}")
