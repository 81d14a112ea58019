"""JSON logs, one object a line, each with the correlation id of the work it belongs to; secrets are struck out."""

import logging
import re
import sys
import time
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request

from billing.storage import correlation

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

_SECRET = re.compile(r"(sk_(?:live|test)_|whsec_|rk_live_|plk_|lnk_[0-9a-z]{26}\.)[A-Za-z0-9_-]+")
_SECRET_NAMES = ("password", "secret", "token", "authorization", "cookie", "api_key")


def configure(*, is_json: bool = True) -> None:
    """Send every logger of the process through one handler on standard error."""
    import structlog  # it brings a console's colours and tracebacks, which an application without a log of its own spares

    shared: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_correlation,
        structlog.processors.format_exc_info,
        _strike_secrets,
    ]
    renderer: Processor = structlog.processors.JSONRenderer() if is_json else structlog.dev.ConsoleRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)  # it tells of every second


def init_app(app: Flask) -> None:
    """Log one line a request with its outcome and time."""
    log = logging.getLogger("portal.request")

    @app.before_request
    def _start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def _finish(response: Response) -> Response:
        if request.endpoint not in ("static", "health.healthz"):
            duration_ms = int((time.perf_counter() - g.get("started", time.perf_counter())) * 1000)
            log.info(
                "request",
                extra={
                    "method": request.method,
                    "path": request.path,
                    "endpoint": request.endpoint,
                    "status": response.status_code,
                    "duration_ms": duration_ms,
                },
            )
        return response


def _add_correlation(_logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
    current = correlation.current()
    if current:
        event["correlation_id"] = current
    return event


def _strike_secrets(_logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
    for name, value in event.items():
        if any(secret in name.lower() for secret in _SECRET_NAMES):
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = _SECRET.sub(r"\1***", value)
    return event
