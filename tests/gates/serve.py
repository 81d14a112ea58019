"""The seeded world behind a port, for the gates in a browser: `python -m tests.gates.serve PORT RUN_DIR`. Its clock stands at NOW.

When it is ready to serve, `RUN_DIR/gates-PORT.json` says which pages there are: [rule, address, who opens it].
"""

import json
import signal
import sys
from pathlib import Path

import time_machine
from werkzeug.serving import WSGIRequestHandler, make_server

from portal import create_app
from tests.gates import world
from tests.gates.walk import Walk


class _Quiet(WSGIRequestHandler):
    """Says nothing of requests that went well, and names no version."""

    server_version, sys_version = "plumbline", ""

    def log_request(self, *_args: object) -> None:
        return


def main() -> None:
    """Serve until the process is ended."""
    port, run_dir = int(sys.argv[1]), Path(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with time_machine.travel(world.NOW, tick=True), world.copied(run_dir) as seeded:
        app = create_app(world.settings_of(seeded.urls, base_url=f"http://127.0.0.1:{port}"))
        server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
        pages = [(str(stop), stop.url, stop.owner) for stop in Walk(app, seeded.ids).pages()]
        ready = run_dir / f"gates-{port}.json"
        ready.with_suffix(".part").write_text(json.dumps(pages))
        ready.with_suffix(".part").rename(ready)
        server.serve_forever()


if __name__ == "__main__":
    main()
