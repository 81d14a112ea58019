"""GET /billing/statement/bundle and an invoice's /evidence.zip: files that strangers can verify offline."""

import hashlib

from flask import Response

from billing.assurance import bundle, evidence
from billing.jobs import sealing
from portal import filters, services
from portal.api import answers, keys, parameters


@keys.needs("billing.read")
def download_bundle() -> Response:
    """The whole chain of transactions, and the usage, lines and documents of what was recorded in [from, to).

    A fresh root is signed first where something is new. The same books give the same bytes, so the entity tag tells whether there
    is anything new.
    """
    parameters.refuse_unknown("account", "from", "to")
    wanted = bundle.Range(from_at=parameters.instant("from"), to_at=parameters.instant("to"))
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
    end = sealing.checkpoint(
        services.database(), services.config().keeping(), account_id=account.id, now=services.now(), actor=keys.actor()
    )
    chunks = services.streamed(lambda session: bundle.stream(session, account, end, wanted))
    response = Response(chunks, mimetype="application/zip")
    name = f"statement-{filters.slug(account.code)}-{wanted.words}.zip"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    seen = f"{end.inclusion.root.hash} {account.id} {wanted.from_at} {wanted.to_at} {account.zone} {bundle.FORMAT}"
    response.set_etag(hashlib.sha256(seen.encode()).hexdigest())
    return answers.conditional(response)


@keys.needs("billing.read")
def download_evidence(invoice_id: str) -> Response:
    """One issued document with each line down to its usage and the proof under a fresh root; 409 while its files are being made."""
    parameters.refuse_unknown("account")
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        found = evidence.find(session, key=invoice_id, account_id=account.id)
    end = sealing.checkpoint(
        services.database(), services.config().keeping(), account_id=account.id, now=services.now(), actor=keys.actor()
    )
    chunks = services.streamed(lambda session: evidence.stream(session, account, end, found))
    response = Response(chunks, mimetype="application/zip")
    response.headers.set("Content-Disposition", "attachment", filename=found.file_name)
    seen = f"{end.inclusion.root.hash} {found.document_id} {account.zone} {bundle.FORMAT} evidence"
    response.set_etag(hashlib.sha256(seen.encode()).hexdigest())
    return answers.conditional(response)
