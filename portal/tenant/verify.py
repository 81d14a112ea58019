"""Verify my statement: the bundle to download, the fingerprint, and step by step how a stranger proves it without this portal."""

import hashlib
from importlib import resources

from flask import Response, render_template, request

from billing.assurance import bundle
from billing.assurance.bundle import Range
from billing.jobs import sealing
from billing.kernel import periods
from billing.ledger import statement
from billing.storage import signing
from portal import access, filters, services
from portal.tenant import blueprint, ranges
from portal.tenant.query import Query

_MONTHS = 12


@blueprint.get("/balance/verify")
@access.requires("billing.read")
def balance_verify() -> str:
    """What to download, and the steps."""
    account, now = access.current_account(), services.now()
    signer = signing.read_file(services.config().keeping().key_path)
    with services.database().reading() as session:
        page = statement.movements(session, account_id=account.id, currency=account.currency, before_seq=None, limit=1)
    return render_template(
        "tenant/balance/verify.html",
        is_empty=not page.rows,
        file_name=_file_name(account.code, "all"),
        fingerprint=signer.fingerprint,
        verifier_sha256=hashlib.sha256(_verifier()).hexdigest(),
        first_on=f"{periods.label_of(now, 'month', account.zone)}-01",
        last_on=periods.label_of(now, "day", account.zone),
    )


@blueprint.get("/balance/bundle.zip")
@access.requires("billing.read")
def balance_bundle() -> Response:
    """The account's bundle: of everything, or of the days that `from` and `to`, or `period`, name."""
    account = access.current_account()
    wanted, words = _wanted(Query(), account.zone)
    end = sealing.checkpoint(
        services.database(),
        services.config().keeping(),
        account_id=account.id,
        now=services.now(),
        actor=access.current_principal().id,
    )
    chunks = services.streamed(lambda session: bundle.stream(session, account, end, wanted))
    response = Response(chunks, mimetype="application/zip")
    response.headers.set("Content-Disposition", "attachment", filename=_file_name(account.code, words))
    return response


@blueprint.get("/balance/plumbline_verify.py")
@access.requires("billing.read")
def balance_verifier() -> Response:
    """The verifier alone."""
    response = Response(_verifier(), mimetype="text/x-python")
    response.headers.set("Content-Disposition", "attachment", filename="plumbline_verify.py")
    return response


def _wanted(url: Query, zone: str) -> tuple[Range, str]:
    """The range that the address asks for, and its words for the file's name."""
    if not {"from", "to", "period"} & set(request.args):
        return Range(), "all"
    days = ranges.read(url, (), zone=zone, now=services.now())
    url.refuse_unusable()
    return Range(from_at=days.start_at, to_at=days.end_at), f"{days.first_on}-to-{days.last_on}"


def _file_name(code: str, words: str) -> str:
    return f"statement-{filters.slug(code)}-{words}.zip"


def _verifier() -> bytes:
    return resources.files("billing.assurance.verifier").joinpath("plumbline_verify.py").read_bytes()
