"""The background thread: keeps the lease and, while it leads, calls `run_due_jobs`. It decides nothing else."""

import logging
import threading
from collections.abc import Callable, Mapping

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from billing.accounts.vat_consultations import Register
from billing.jobs import leadership, runner
from billing.kernel import clock
from billing.ledger.root_files import Keeping
from billing.notices.mail import Mailer
from billing.payments.providers.port import Provider
from billing.storage.database import Database

_log = logging.getLogger("billing.jobs")
_TICK_S = 1


class Scheduler:
    """Background work of one process. Start it once per process; several processes agree on one leader by the lease."""

    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Provider],
        *,
        only: str | None = None,
        mail: Mailer | None = None,
        keeping: Callable[[], Keeping] | None = None,
        vat_register: Register | None = None,
    ) -> None:
        self._database, self._providers, self._only, self._mail = database, providers, only, mail
        self._keeping, self._vat_register = keeping, vat_register
        self._lease = leadership.SCHEDULER if only is None else f"{leadership.SCHEDULER}:{only}"
        self._is_leader = threading.Event()
        self._thread = BackgroundScheduler(timezone="UTC", daemon=True)

    def start(self) -> None:
        """Begin. Renewing, the jobs and the long jobs each have a thread: long work costs neither the lease nor anyone's money."""
        options = {"max_instances": 1, "coalesce": True, "misfire_grace_time": 60}
        self._thread.add_job(self._renew, IntervalTrigger(seconds=leadership.RENEW_EVERY_S), **options)
        for long_ones in (False, True):
            self._thread.add_job(self._work, IntervalTrigger(seconds=_TICK_S), args=[long_ones], **options)
        self._thread.start()
        self._renew()

    def stop(self) -> None:
        """End after the run at hand and give the lease back. Safe to repeat."""
        if self._thread.running:
            self._thread.shutdown(wait=True)
        if self._is_leader.is_set():
            with self._database.transaction("jobs") as session:
                leadership.release(session, now=clock.utc_now(), holder=runner.HOLDER, name=self._lease)
            self._is_leader.clear()

    @property
    def is_leader(self) -> bool:
        """Whether this process holds the lease, as far as it knows."""
        return self._is_leader.is_set()

    def _renew(self) -> None:
        try:
            with self._database.transaction("jobs") as session:
                leads = leadership.hold(session, now=clock.utc_now(), holder=runner.HOLDER, name=self._lease)
        except Exception:
            _log.exception("the lease could not be renewed")
            leads = False
        if leads != self._is_leader.is_set():
            _log.info("scheduler leads" if leads else "scheduler stands by", extra={"holder": runner.HOLDER})
        (self._is_leader.set if leads else self._is_leader.clear)()

    def _work(self, long_ones: bool) -> None:
        if not self._is_leader.is_set():
            return
        try:
            runner.run_due_jobs(
                self._database,
                self._providers,
                now=clock.utc_now(),
                only=self._only,
                mail=self._mail,
                keeping=self._keeping,
                vat_register=self._vat_register,
                long_ones=long_ones,
            )
        except Exception:
            _log.exception("jobs could not be run")
