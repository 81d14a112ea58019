"""Who an actor was, in words: user ids become names, machines keep their own."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.tables import ApiKey, User


def names_of(session: Session, actors: Iterable[str | None]) -> dict[str, str]:
    """{actor: name} for every actor that is a person or an API key; others ("job:invoices", "provider:stripe") are left out."""
    wanted = {actor for actor in actors if actor}
    users = session.execute(select(User.id, User.name).where(User.id.in_(wanted))).all()
    keys = {actor.removeprefix("apikey:"): actor for actor in wanted if actor.startswith("apikey:")}
    labels = session.execute(select(ApiKey.id, ApiKey.label).where(ApiKey.id.in_(keys))).all()
    return dict(users) | {keys[key_id]: label for key_id, label in labels}
