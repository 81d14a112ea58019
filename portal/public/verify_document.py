"""Is this document genuine? Anybody may ask, without signing in: number and file in, genuine or not out, and nothing else."""

import hashlib

from flask import Blueprint, render_template, request
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from werkzeug.datastructures import FileStorage
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from billing.accounts import attempts
from billing.invoicing.documents import fingerprints
from billing.kernel.errors import Invalid
from billing.storage import limits
from portal import access, sentences, services

blueprint = Blueprint("public", __name__)

_NUMBER_MAX = 80
_CHUNK = 65_536
_SLOWED = "Too many questions from this network: wait a quarter of an hour, then ask again."


class VerifyForm(FlaskForm):
    """A number, and the file or its SHA-256."""

    number = StringField(
        "Number of the document",
        [
            InputRequired("Enter the number as it is printed, such as INV-2026-000123."),
            Length(max=_NUMBER_MAX, message=f"At most {_NUMBER_MAX} characters."),
        ],
    )
    file = FileField("File")
    sha256 = StringField("SHA-256 of the file", [Length(max=200, message="A SHA-256 has 64 characters.")])


@blueprint.get("/documents/verify")
@blueprint.post("/documents/verify")
@access.public
def verify_document() -> tuple[str, int]:
    """The form; sent, whether a file of these bytes was issued under this number. The file is hashed and dropped."""
    form = VerifyForm()
    if not form.is_submitted():
        form.number.data = request.args.get("number", "")[:_NUMBER_MAX]
        return _page(form), 200
    is_valid = form.validate()
    digest = _digest(form)
    if not digest:
        form.file.errors = [*form.file.errors, "Choose the file, or enter its SHA-256 below."]
        is_valid = False
    if not is_valid:
        return _page(form), 422
    if not _may_ask():
        return _page(form, refusals=(_SLOWED,)), 429
    try:
        with services.database().reading() as session:
            is_genuine = fingerprints.is_genuine(session, form.number.data or "", digest)
    except Invalid as refusal:
        form.sha256.errors = [sentences.of(refusal)]
        return _page(form), 422
    return _page(form, answer=(form.number.data or "").strip(), is_genuine=is_genuine), 200


def _digest(form: VerifyForm) -> str:
    """The hash of the file that was sent, else what was typed."""
    sent = form.file.data
    if isinstance(sent, FileStorage) and sent.filename:
        digest = hashlib.sha256()
        while chunk := sent.stream.read(_CHUNK):
            digest.update(chunk)
        return digest.hexdigest()
    return "".join((form.sha256.data or "").split())


def _may_ask() -> bool:
    _, bucket = attempts.buckets("", request.remote_addr or "")
    policy = fingerprints.PER_ADDRESS
    return limits.take(services.database(), bucket=bucket, policy=policy, now=services.now()).is_allowed


def _page(
    form: VerifyForm, *, refusals: tuple[str, ...] = (), answer: str | None = None, is_genuine: bool = False
) -> str:
    return render_template(
        "public/verify_document.html", form=form, refusals=refusals, answer=answer, is_genuine=is_genuine
    )
