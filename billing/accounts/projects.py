"""Projects as pages and forms list them."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.tables import Project


@dataclass(frozen=True, kw_only=True)
class ProjectRow:
    """One project of a billing account."""

    id: str
    code: str
    name: str


def list_projects(session: Session, account_id: str) -> list[ProjectRow]:
    """The account's projects, by code."""
    rows = session.execute(
        select(Project.id, Project.code, Project.name)
        .where(Project.billing_account_id == account_id)
        .order_by(Project.code)
    )
    return [ProjectRow(id=project_id, code=code, name=name) for project_id, code, name in rows]
