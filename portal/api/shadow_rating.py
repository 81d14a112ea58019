"""/admin/billing/shadow-rating: candidate prices over past usage. The operator's machines ask; nothing but the trial is written."""

from typing import Any

from flask import Response

from billing.accounts import directory, listing, names
from billing.catalog import trials
from billing.catalog.trials import Limits, Trial
from billing.kernel.clock import parse_instant
from billing.kernel.errors import NotFound
from billing.rating import shadow, shadow_candidates, shadow_result
from billing.storage.database import Session
from portal import services
from portal.api import answers, bodies, keys, parameters
from portal.api.rated_usage import exact
from portal.api.shadow_schemas import (
    ShadowRating,
    ShadowRatingRequest,
    TrialAccount,
    TrialBar,
    TrialLine,
    TrialSku,
    TrialTotal,
    TrialUnpriced,
)

_ACCOUNTS_SHOWN = 200


@keys.needs_staff("finance.run")
def run_shadow_rating() -> Response:
    """201 with the trial. Up to 200,000 usage records here; longer ones are started from the page or the command line."""
    asked = bodies.read(ShadowRatingRequest)
    with answers.claimed() as claim:
        if isinstance(claim, Response):
            return claim
        with services.database().reading() as session:
            outcome = shadow.run(session, _question(session, asked))
        with services.database().transaction() as session:
            trial = shadow.record(session, outcome, now=services.now(), actor=keys.actor())
            return answers.keep(session, claim, answers.of(_shown(session, trial), 201))


@keys.needs_staff("finance.read")
def show_shadow_rating(trial_id: str) -> Response:
    """One trial as it was written."""
    parameters.refuse_unknown()
    with services.database().reading() as session:
        return answers.of(_shown(session, trials.get_trial(session, trial_id)))


def _question(session: Session, asked: ShadowRatingRequest) -> shadow.Question:
    account_ids = []
    for code in asked.accounts:
        found = directory.find_account_by_code(session, code) if names.is_safe(code) else None
        if found is None:
            raise NotFound(account=names.shown(code))
        account_ids.append(found.id)
    candidate = (
        shadow_candidates.of_text(session, asked.prices)
        if asked.prices is not None
        else shadow_candidates.of_version(session, asked.price_book_id or "")
    )
    return shadow.Question(
        candidate=candidate,
        from_at=asked.from_,
        to_at=asked.to,
        account_ids=tuple(account_ids),
        limits=Limits(total_percent=asked.limits.total_percent, account_percent=asked.limits.account_percent),
        row_bound=asked.rows,
    )


def _shown(session: Session, trial: Trial) -> ShadowRating:
    found = trial.result
    asked = trial.scope.get("account_ids", [])
    named = listing.named(session, {*asked, *(row["account_id"] for row in found["movers"])})
    codes = {account_id: code for account_id, (code, _) in named.items()}
    return ShadowRating(
        id=trial.id,
        book=trial.book_code,
        content_hash=trial.content_hash,
        price_book_id=trial.price_book_id,
        from_=trial.from_at,
        to=trial.to_at,
        accounts_asked=[codes.get(account_id, account_id) for account_id in asked],
        rows=trial.row_count,
        row_bound=trial.row_bound,
        is_whole=trial.is_whole,
        is_inside=trial.is_inside,
        fault=trial.fault,
        limits=trial.limits.content,
        totals=[TrialTotal(**_side(row), is_inside=row["is_inside"]) for row in found["totals"]],
        account_count=found["account_count"],
        outside_count=found["outside_count"],
        accounts=[
            TrialAccount(**_side(row), account=row["code"], is_inside=row["is_inside"])
            for row in found["accounts"][:_ACCOUNTS_SHOWN]
        ],
        skus=[TrialSku(**_side(row), sku=row["sku"]) for row in found["skus"]],
        top_movers=[_line(row, codes) for row in found["movers"]],
        distribution=[
            TrialBar(from_percent=row["from"], to_percent=row["to"], lines=row["lines"], accounts=row["accounts"])
            for row in found["distribution"]
        ],
        unpriced=[
            TrialUnpriced(
                item=row["item"],
                reason=row["reason"],
                rows=row["rows"],
                current_minor=exact(int(row["old_micro"])),
                currency=row["currency"],
            )
            for row in found["unpriced"]
        ],
        created_at=trial.created_at,
    )


def _line(row: dict[str, Any], codes: dict[str, str]) -> TrialLine:
    old_micro, new_micro = int(row["old_micro"]), int(row["new_micro"])
    return TrialLine(
        key=row["key"],
        line_id=row["line_id"],
        account=codes.get(row["account_id"], row["account_id"]),
        sku=row["sku"],
        currency=row["currency"],
        start=parse_instant(row["start_at"]),
        current_minor=exact(old_micro),
        candidate_minor=exact(new_micro),
        delta_minor=exact(new_micro - old_micro),
    )


def _side(row: dict[str, Any]) -> dict[str, Any]:
    old_micro, new_micro = int(row["old_micro"]), int(row["new_micro"])
    return {
        "currency": row["currency"],
        "rows": row["rows"],
        "current_minor": exact(old_micro),
        "candidate_minor": exact(new_micro),
        "delta_minor": exact(new_micro - old_micro),
        "delta_percent": shadow_result.percent(old_micro, new_micro),
    }
