"""The second step of signing in: codes of an authenticator app (TOTP, RFC 6238), with recovery codes beside them.

The secret is sealed with the portal's key. A code is good for its half minute and the ones beside it, and once: whoever watched
it being typed cannot use it (RFC 6238, 5.2). Guesses are counted per person and address (`attempts`).
"""

import hmac
import re
from dataclasses import dataclass
from datetime import datetime

import pyotp
from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from billing.accounts import attempts, changes, recovery_codes, sessions
from billing.accounts.access_tables import TotpDevice
from billing.accounts.errors import SecondFactorExists, SecondFactorMissing
from billing.accounts.sealing import Sealer, Unreadable
from billing.kernel.errors import NotFound
from billing.storage import audit, locks

ISSUER = "Plumbline"
PURPOSE = "totp"  # what the sealer is derived for
_STEP_S = 30
_DRIFT = (0, -1, 1)  # the clock of a telephone may be half a minute off


@dataclass(frozen=True, kw_only=True)
class CodeTry:
    """The answer to a code: "totp" or "recovery_code" when it was right, else None; `is_slowed` when it was not even looked at."""

    kind: str | None
    is_slowed: bool = False


def is_enrolled(session: Session, user_id: str) -> bool:
    """Whether the person signs in with a second step."""
    return find_device(session, user_id) is not None


def find_device(session: Session, user_id: str) -> TotpDevice | None:
    """The person's second factor in force, or None."""
    device = session.get(TotpDevice, user_id)
    return device if device is not None and device.confirmed_at is not None else None


def begin(session: Session, *, user_id: str, sealer: Sealer, now: datetime) -> None:
    """Make a secret that waits for its first code, in place of one that waited before. Raises SecondFactorExists."""
    locks.take(session, _lock(user_id))
    device = session.get(TotpDevice, user_id, populate_existing=True)
    if device is not None and device.confirmed_at is not None:
        raise SecondFactorExists(user_id=user_id)
    if device is not None:
        session.delete(device)
        session.flush()  # the new one has the same key
    session.add(TotpDevice(user_id=user_id, secret_sealed=sealer.seal(pyotp.random_base32()), created_at=now))
    session.flush()  # the next page reads it


def find_waiting_secret(session: Session, *, user_id: str, sealer: Sealer) -> str | None:
    """The secret that waits for its first code, in base 32, or None."""
    device = session.get(TotpDevice, user_id)
    if device is None or device.confirmed_at is not None:
        return None
    try:
        return sealer.open(device.secret_sealed)
    except Unreadable:
        return None


def address_of(secret: str, login: str) -> str:
    """What the QR picture says to the app: otpauth://totp/Plumbline:login?secret=..."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def confirm(
    session: Session, *, user_id: str, code: str, sealer: Sealer, now: datetime, session_id: str | None = None
) -> list[str] | None:
    """Put the waiting secret in force by its first code; returns the recovery codes, None for a wrong code.

    All other sign-ins of the person end. Raises NotFound where nothing waits.
    """
    locks.take(session, _lock(user_id))
    device = session.get(TotpDevice, user_id, populate_existing=True)
    if device is None or device.confirmed_at is not None:
        raise NotFound(user_id=user_id)
    step = _step_of(device, code, sealer, now)
    if step is None:
        return None
    device.confirmed_at, device.last_used_step = now, step
    sessions.end_all(session, user_id=user_id, now=now, by="factor_change", except_id=session_id)
    changes.record(session, now=now, user_id=user_id, what="totp_on", act="user.totp_on")
    session.flush()  # in force from here
    return recovery_codes.issue(session, user_id=user_id, now=now)


def try_code(session: Session, *, user_id: str, code: str, sealer: Sealer, now: datetime, address: str) -> CodeTry:
    """Check a code of the app or a recovery code, and use it up. Never raises for what was typed: the caller commits, then answers.

    A failure is counted per person and per address; past the limits nothing is compared, not even the right code.
    """
    keys = attempts.buckets_of_person("code", user_id, address)
    locks.take(session, *keys)  # many tries at once would all see the same count
    if attempts.is_slowed(session, keys, now=now):
        return CodeTry(kind=None, is_slowed=True)
    device = find_device(session, user_id)
    kind: str | None = None
    if device is not None and _use_app_code(session, device, code, sealer, now):
        kind = "totp"
    elif device is not None and recovery_codes.use(session, user_id=user_id, code=code, now=now):
        kind = "recovery_code"
        left = recovery_codes.count_left(session, user_id=user_id)
        changes.record(
            session,
            now=now,
            user_id=user_id,
            what="recovery_code_used",
            act="user.recovery_code",
            facts={"left": left},
        )
    if kind is None:
        attempts.record_failure(session, keys, now=now)
    else:
        attempts.forget(session, keys[0])
    return CodeTry(kind=kind)


def renew_codes(session: Session, *, user_id: str, now: datetime) -> list[str]:
    """Ten new recovery codes in place of the old ones. Raises SecondFactorMissing."""
    locks.take(session, _lock(user_id))
    if find_device(session, user_id) is None:
        raise SecondFactorMissing(user_id=user_id)
    changes.record(session, now=now, user_id=user_id, what="recovery_codes", act="user.recovery_codes")
    return recovery_codes.issue(session, user_id=user_id, now=now)


def remove(
    session: Session, *, user_id: str, now: datetime, actor: str | None = None, session_id: str | None = None
) -> bool:
    """Turn the second step off, codes and all; other sign-ins end. False where there was none. `actor`: None for the person."""
    locks.take(session, _lock(user_id))
    device = session.get(TotpDevice, user_id, populate_existing=True)
    if device is None:
        return False
    was_in_force = device.confirmed_at is not None
    session.delete(device)
    recovery_codes.forget(session, user_id=user_id)
    if was_in_force:
        sessions.end_all(session, user_id=user_id, now=now, by="factor_change", except_id=session_id, actor=actor)
        changes.record(session, now=now, user_id=user_id, what="totp_off", act="user.totp_off", actor=actor)
    session.flush()  # gone from here
    return was_in_force


def record_download(session: Session, *, user_id: str, now: datetime) -> None:
    """Note that the recovery codes were taken as a file."""
    audit.record(
        session, now=now, actor=user_id, act="user.recovery_codes_file", subject_type="user", subject_id=user_id
    )


def _use_app_code(session: Session, device: TotpDevice, code: str, sealer: Sealer, now: datetime) -> bool:
    """Whether the code is right and nobody used it or a later one: a conditional update, so that of two at once one wins."""
    step = _step_of(device, code, sealer, now)
    if step is None:
        return False
    values: dict[str, object] = {"last_used_step": step}
    if not sealer.is_current(device.secret_sealed):
        values["secret_sealed"] = sealer.seal(sealer.open(device.secret_sealed))
    used = session.execute(
        update(TotpDevice)
        .where(
            TotpDevice.user_id == device.user_id,
            TotpDevice.secret_sealed == device.secret_sealed,
            or_(TotpDevice.last_used_step.is_(None), TotpDevice.last_used_step < step),
        )
        .values(values)
        .returning(TotpDevice.user_id)
        .execution_options(synchronize_session=False)
    )
    return used.first() is not None


def _step_of(device: TotpDevice, code: str, sealer: Sealer, now: datetime) -> int | None:
    """The half minute that the code belongs to, or None; a secret that no key opens has no codes."""
    typed = re.sub(r"[\s-]", "", code)
    if not re.fullmatch(r"[0-9]{6}", typed):
        return None
    try:
        totp = pyotp.TOTP(sealer.open(device.secret_sealed))
    except Unreadable:
        return None
    present = int(now.timestamp()) // _STEP_S
    matching = [present + drift for drift in _DRIFT if hmac.compare_digest(totp.generate_otp(present + drift), typed)]
    return matching[0] if matching else None


def _lock(user_id: str) -> str:
    return f"second_factor:{user_id}"
