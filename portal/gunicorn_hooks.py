"""What gunicorn calls in its processes; `plumbline run` names this module as its configuration."""

import sys


def worker_exit(_server: object, _worker: object) -> None:
    """Before the process ends, let the run at hand finish and give the lease back.

    Not left to atexit: by then Python refuses new threads, and a job that is rendering would fail.
    """
    application = sys.modules.get("wsgi")  # absent when the process died before it was loaded
    if application is not None:
        application.stop_scheduler()
