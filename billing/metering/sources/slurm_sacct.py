"""Slurm's accounting log: `sacct --parsable2 --noheader --allocations` with the 26 fields below, one job a line.

Facts of Slurm that matter here (sacct(1), and the logs themselves):
- Times are local without an offset; a running job's end and a waiting job's start are "Unknown" or "None".
- AllocTRES says what the job had: cpu=, mem= (binary K to P, MiB without a letter), gres/gpu= in total and gres/gpu:model= once
  more per model. Old versions leave it empty; then NCPUS and ReqMem hold, whose n or c means per node or per CPU.
- ReqMem per CPU was once stored as a flag, bit 31 of the MiB count: "2147486448Mn" is 2800 MiB per CPU.
- A job that never got a node has the node list "None assigned".
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from typing import BinaryIO
from zoneinfo import ZoneInfo

from billing.accounts import names
from billing.accounts.attribution import HANDLE_MAX
from billing.catalog.meters import GPU_SHARES, METERS
from billing.kernel import canonical, clock
from billing.kernel.errors import Invalid
from billing.kernel.rounding import half_up_fraction
from billing.metering import files, windows
from billing.metering.sources.port import JobFacts, Parsed, Reject

FIELDS = [
    "jobid",
    "jobidraw",
    "cluster",
    "partition",
    "qos",
    "account",
    "group",
    "gid",
    "user",
    "uid",
    "submit",
    "eligible",
    "start",
    "end",
    "elapsed",
    "exitcode",
    "state",
    "nnodes",
    "ncpus",
    "reqcpus",
    "reqmem",
    "reqtres",
    "alloctres",
    "timelimit",
    "nodelist",
    "jobname",
]
NO_TIME = frozenset({"Unknown", "None", ""})
_BASE_PER_UNIT = {code: METERS[code].base_per_unit for code in ("cpu_hour", "gpu_hour", "memory_gib_hour")}
_NO_NODE = frozenset({"None assigned", "None", ""})
_RUNNING = frozenset({"RUNNING", "SUSPENDED", "RESIZING", "COMPLETING", "STAGE_OUT", "SIGNALING", "STOPPED"})
_JOB_ID = re.compile(r"[!-~]{1,100}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_MODEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MEMORY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([KMGTPE]?)([nc]?)")
_POWERS = {"K": 1, "": 2, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_PER_CPU_FLAG = 2**31
_MAX_TEXT = 1000


class _Refused(Exception):
    """Why a line gives no facts; becomes a Reject at the door."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class SlurmSacct:
    """Reads one log whose times are local to `zone`."""

    name = "slurm-sacct"

    def __init__(self, zone: str = "UTC") -> None:
        tz = clock.get_zone(zone)
        self._tz: ZoneInfo | None = None if zone == "UTC" else tz
        self._salt = b"" if zone == "UTC" else f"{zone}\n".encode()

    def is_header(self, line: str) -> bool:
        """sacct's own heading, when --noheader was not given."""
        return line.lower().split("|") == FIELDS

    def read(self, stream: BinaryIO) -> Iterator[Parsed]:
        """Each line as a job, or why not. Raises BrokenInput."""
        for number, line in files.read_lines(stream):
            if isinstance(line, Reject):
                yield number, line.raw, line
            elif number > 1 or not self.is_header(line):
                yield number, line, self.parse(number, line)

    def parse(self, line_number: int, line: str) -> JobFacts | Reject:
        """One line as facts, or why not."""
        fields = line.split("|")
        try:
            return self._facts(fields, line)
        except _Refused as refused:
            return Reject(line_number, fields[0][:200], refused.reason, refused.detail, line)

    def _facts(self, fields: list[str], line: str) -> JobFacts:
        if len(fields) != 26:
            raise _Refused("wrong_field_count", f"{len(fields)} fields, expected 26 separated by |")
        (
            job_id, raw_id, cluster, partition, qos, account, _, _, user, _, _, _, start, end, _, _, state,
            nnodes, ncpus, _, reqmem, _, alloctres, _, nodelist, job_name,
        ) = fields  # fmt: skip
        if not line.isprintable() or len(line) > 4 * _MAX_TEXT:
            _check_text(fields)
        _check_id(job_id, raw_id)
        account, handle = _account_code(account), _member_handle(user)
        rates, shape_json, nodes = shape_of(ncpus, nnodes, reqmem, alloctres)
        start_at, end_at = self._window(start, end, state)
        if end_at is not None:
            _check_window(start_at, end_at, rates)
        source_id = f"{cluster}/{raw_id or job_id}"
        opening = f"{source_id}|{account}|{user}|{start}|{shape_json}".encode()
        return JobFacts(
            source_id,
            account,
            handle,
            f"{cluster}/{partition}",
            job_name,
            start_at,
            end_at,
            rates,
            shape_json,
            0 if nodelist in _NO_NODE else nodes,
            state.partition(" ")[0],  # "CANCELLED by 423120" names a person
            _tags(qos),
            sha256(self._salt + opening).hexdigest(),
            None if end_at is None else sha256(self._salt + line.encode()).hexdigest(),
            _model(alloctres) if "gres/gpu:" in alloctres else "",
        )

    def _window(self, start: str, end: str, state: str) -> tuple[datetime, datetime | None]:
        is_open = end in NO_TIME or state in _RUNNING
        if start in NO_TIME:
            if is_open:
                raise _Refused(
                    "not_started", f"the job has not started ({state}): import the log again when it has ended"
                )
            # Cancelled while it waited: it ended and never used anything.
            start = end
        start_at = self._instant(start, "start")
        return start_at, None if is_open else self._instant(end, "end")

    def _instant(self, text: str, field: str) -> datetime:
        try:
            if len(text) == 19 and text[4] == "-" == text[7] and text[10] == "T":
                if self._tz is None:
                    return datetime.fromisoformat(text).replace(tzinfo=UTC)
                return datetime.fromisoformat(text).replace(tzinfo=self._tz).astimezone(UTC)
            if "T" in text:
                return clock.parse_instant(text, field=field)
        except (ValueError, OverflowError, Invalid):
            pass
        raise _Refused("bad_time", f"{field} is {text[:60]!r}, expected such as 2016-12-22T07:03:30")


def _check_text(fields: list[str]) -> None:
    for name, text in zip(FIELDS, fields, strict=True):
        if found := _CONTROL.search(text):
            raise _Refused("control_character", f"{name} holds the character U+{ord(found.group()):04X}")
        if len(text) > _MAX_TEXT and name != "nodelist":
            raise _Refused("text_too_long", f"{name} has {len(text)} characters, the limit is {_MAX_TEXT}")


@lru_cache(maxsize=4096)
def _account_code(text: str) -> str:
    if not text:
        raise _Refused("missing_account", "the line names no account")
    try:
        return names.require_code(text, "account")
    except Invalid as error:
        raise _Refused("bad_account", f"the account cannot be a code: {error.fields['reason']}") from None


@lru_cache(maxsize=4096)
def _member_handle(text: str) -> str | None:
    if not text:
        return None
    try:
        return names.require_code(text, "member", max_length=HANDLE_MAX)
    except Invalid as error:
        raise _Refused("bad_user", f"the user cannot be a member's handle: {error.fields['reason']}") from None


def _check_id(job_id: str, raw_id: str) -> None:
    if not _JOB_ID.fullmatch(raw_id or job_id):
        raise _Refused("bad_id", f"{(raw_id or job_id)[:80]!r} is no job id")
    if "." in raw_id or "." in job_id:
        raise _Refused("job_step", "a step is part of its job: write the log with sacct --allocations")


def _check_window(start_at: datetime, end_at: datetime, rates: tuple[tuple[str, int], ...]) -> None:
    if end_at < start_at:
        raise _Refused(
            "end_before_start", f"ends {clock.to_rfc3339(end_at)} before its start {clock.to_rfc3339(start_at)}"
        )
    if end_at - start_at > windows.MAX_WINDOW:
        raise _Refused("window_too_long", f"{(end_at - start_at).days} days, the limit is ten years")
    length_ms = clock.millis_between(start_at, end_at)
    for meter_code, rate in rates:
        if rate * length_ms > windows.MAX_QUANTITY_UNITS * _BASE_PER_UNIT[meter_code]:
            raise _Refused("quantity_too_large", f"more than 2^40 units of {meter_code}")


@lru_cache(maxsize=4096)
def _tags(qos: str) -> str:
    return canonical.dumps({"qos": qos} if qos else {})


@lru_cache(maxsize=4096)
def shape_of(ncpus: str, nnodes: str, reqmem: str, alloctres: str) -> tuple[tuple[tuple[str, int], ...], str, int]:
    """(base units per millisecond and meter, the same as canonical JSON, nodes). Few shapes repeat over a whole log.

    Raises _Refused with reason negative_quantity, bad_count, bad_memory, bad_tres, cpu_mismatch, gpu_mismatch or
    quantity_too_large.
    """
    cpus, nodes = _count(ncpus, "ncpus"), _count(nnodes, "nnodes")
    requested = _memory(reqmem, cpus, nodes, "reqmem") if reqmem else 0
    if alloctres:
        tres = _tres(alloctres)
        if "cpu" in tres and _count(tres["cpu"], "alloctres cpu") != cpus:
            raise _Refused("cpu_mismatch", f"ncpus is {cpus}, alloctres says cpu={tres['cpu']}")
        memory = _memory(tres["mem"], cpus, nodes, "alloctres mem") if "mem" in tres else 0
        gpus = _gpus(tres)
    else:
        memory, gpus = requested, 0
    rates = {"cpu_hour": cpus, "gpu_hour": gpus * GPU_SHARES, "memory_gib_hour": memory}
    for meter_code, rate in rates.items():
        # A millisecond of it above the limit of a whole record: no window can be right.
        if rate > windows.MAX_QUANTITY_UNITS * _BASE_PER_UNIT[meter_code]:
            raise _Refused("quantity_too_large", f"more than 2^40 units of {meter_code}")
    used = tuple((meter_code, rate) for meter_code, rate in rates.items() if rate)
    return used, canonical.dumps({meter_code: str(rate) for meter_code, rate in used}), nodes


def _tres(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in text.split(","):
        name, equals, value = item.partition("=")
        if not equals or not name or name in found:
            raise _Refused("bad_tres", f"{item[:80]!r} in alloctres is no new name=value")
        found[name] = value
    return found


def _gpus(tres: dict[str, str]) -> int:
    typed = sum(_count(value, name) for name, value in tres.items() if name.startswith("gres/gpu:"))
    if "gres/gpu" not in tres:
        return typed
    total = _count(tres["gres/gpu"], "gres/gpu")
    if typed > total:
        raise _Refused("gpu_mismatch", f"gres/gpu={total}, but its models sum to {typed}")
    return total


@lru_cache(maxsize=4096)
def _model(alloctres: str) -> str:
    """The model of the job's GPUs, "" where they are of several or some have none."""
    tres = _tres(alloctres)
    typed = [name for name, count in tres.items() if name.startswith("gres/gpu:") and int(count)]
    if len(typed) != 1 or tres.get("gres/gpu", tres[typed[0]]) != tres[typed[0]]:
        return ""
    model = typed[0].removeprefix("gres/gpu:").lower()
    return model if _MODEL.fullmatch(model) else ""


def _count(text: str, field: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 15:
        return int(text)
    if re.fullmatch(r"-[0-9.]+", text):
        raise _Refused("negative_quantity", f"{field} is {text[:40]}")
    if text.isascii() and text.isdigit():
        raise _Refused("quantity_too_large", f"{field} is {text[:40]}")
    raise _Refused("bad_count", f"{field} is {text[:40]!r}, expected a whole number")


def _memory(text: str, cpus: int, nodes: int, field: str) -> int:
    """Bytes. Slurm rounds what it prints ("1.95T"), so a fraction of a byte means the nearest byte."""
    if re.fullmatch(r"-[0-9.]+[A-Za-z]*", text):
        raise _Refused("negative_quantity", f"{field} is {text[:40]}")
    match = _MEMORY.fullmatch(text)
    if match is None:
        raise _Refused("bad_memory", f"{field} is {text[:40]!r}, expected such as 48000M, 62.50G or 4Gc")
    number, power, per = match.groups()
    amount = Fraction(number)
    if per == "n" and power == "M" and amount >= _PER_CPU_FLAG:
        amount, per = amount - _PER_CPU_FLAG, "c"
    times = {"n": nodes, "c": cpus, "": 1}[per]
    return half_up_fraction(amount * 1024 ** _POWERS[power] * times)
