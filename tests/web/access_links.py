"""Links of mails as tests open them: the token of the newest row, computed as the mail room does."""

from flask import Flask
from sqlalchemy import select

from billing.accounts import links
from billing.accounts.access_tables import AccessLink
from billing.storage.database import Database
from portal.services import Services


def newest(app: Flask, database: Database, purpose: str = links.INVITATION) -> str:
    """The token of the link made last."""
    with database.reading() as session:
        found = select(AccessLink.id).where(AccessLink.purpose == purpose).order_by(AccessLink.id.desc())
        link_id = session.scalars(found).first()
    assert link_id is not None
    return token_of(app, link_id)


def token_of(app: Flask, row_id: str) -> str:
    """The token of a row's link."""
    services: Services = app.extensions["plumbline"]
    return links.make_token(row_id, key=services.config.link_key)


def count(database: Database, purpose: str = links.INVITATION) -> int:
    """How many links of that purpose there are."""
    with database.reading() as session:
        return len(session.scalars(select(AccessLink.id).where(AccessLink.purpose == purpose)).all())
