"""The application for gunicorn: `gunicorn wsgi:app`. Starts the scheduler thread when PLUMBLINE_SCHEDULER=1 says so."""

import atexit

from billing.jobs.scheduler import Scheduler
from portal import create_app, logs
from portal.services import Services

logs.configure()
app = create_app()

_services: Services = app.extensions["plumbline"]
if _services.config.runs_scheduler:
    scheduler = Scheduler(_services.database, _services.providers)
    scheduler.start()
    atexit.register(scheduler.stop)
