"""The application for gunicorn: `gunicorn wsgi:app`. Starts the scheduler thread when PLUMBLINE_SCHEDULER=1 says so."""

import atexit
import gc

from billing.jobs.scheduler import Scheduler
from portal import create_app, logs
from portal.services import Services

logs.configure()
app = create_app()
gc.freeze()  # what was made by now lives as long as the process: a large request need not have it searched for garbage

_services: Services = app.extensions["plumbline"]
_scheduler = (
    Scheduler(
        _services.database,
        _services.providers,
        mail=_services.mail,
        keeping=_services.config.keeping,
        vat_register=_services.config.vat_register,
    )
    if _services.config.runs_scheduler
    else None
)
if _scheduler is not None:
    _scheduler.start()


def stop_scheduler() -> None:
    """End the background work of this process, if it has any; safe to repeat."""
    if _scheduler is not None:
        _scheduler.stop()


atexit.register(stop_scheduler)  # for servers without portal.gunicorn_hooks
