"""`plumbline smoke`: walk a running portal from outside and say what works."""

import urllib.error
import urllib.request

import click

from portal.cli import Failed


@click.command()
@click.option("--url", required=True, help="Base address of the portal, such as http://127.0.0.1:8000.")
def smoke(url: str) -> None:
    """Ask a running portal for its health, its sign-in page, its assets, and that closed doors are closed."""
    base = url.rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise Failed("The address must start with http:// or https://.")
    failures = 0
    for name, path, expected, words in _CHECKS:
        status, body = _get(base + path)
        ok = status == expected and words in body
        failures += not ok
        click.echo(f"{'ok  ' if ok else 'FAIL'}  {name}: {status or 'no answer'}")
    if failures:
        raise Failed(f"{failures} of {len(_CHECKS)} checks failed.")


_CHECKS = (
    ("process answers", "/healthz", 200, "ok"),
    ("ready for traffic", "/readyz", 200, "ready"),
    ("sign-in page", "/sign-in", 200, "Sign in"),
    ("stylesheet", "/static/plumbline.css", 200, ""),
    ("overview asks to sign in", "/", 200, "Sign in"),
    ("API without key", "/api/v1/billing/balance", 401, "problem"),
    ("unknown page", "/no-such-page", 404, ""),
)


def _get(url: str) -> tuple[int | None, str]:
    request = urllib.request.Request(url, headers={"User-Agent": "plumbline-smoke"})  # noqa: S310  checked above
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError:
        return None, ""
