"""/admin/payments/disputes: disputes of all accounts, and answering one. The operator's machines ask."""

from flask import Response

from billing.accounts import directory
from billing.kernel.errors import Invalid, NotFound
from billing.payments.disputes import acts, evidence, listing, submissions
from billing.payments.disputes.listing import DisputeRow, Filters
from portal import services
from portal.api import answers, bodies, cursors, keys, parameters
from portal.api.dispute_schemas import (
    Dispute,
    DisputeAnswer,
    DisputeDetail,
    DisputeEvent,
    DisputePage,
    DisputePosting,
    EvidenceRequest,
)
from portal.api.values import Money


@keys.needs_staff("finance.read")
def list_disputes() -> Response:
    """Newest first, of all accounts or of one."""
    parameters.refuse_unknown("account", "limit", "cursor", "state")
    limit, state = cursors.limit(), parameters.choice("state", listing.STATES, None)
    code, before = parameters.text("account"), cursors.read("")
    if before is not None and not isinstance(before, str):
        raise Invalid(field="cursor", reason="bad_cursor")
    with services.database().reading() as session:
        account = directory.find_account_by_code(session, code) if code is not None else None
        if code is not None and account is None:
            raise NotFound(account=code)
        filters = Filters(account_id=account.id if account else None, states=(state,) if state else ())
        rows = listing.list_disputes(session, filters, limit=limit + 1, before_id=before)
    page = rows[:limit]
    return answers.of(
        DisputePage(
            data=[_dispute(row) for row in page],
            next_cursor=cursors.write("", page[-1].id) if len(rows) > limit else None,
        )
    )


@keys.needs_staff("finance.read")
def show_dispute(dispute_id: str) -> Response:
    """One dispute, by our id or the provider's, with its history, its postings and what was answered."""
    return answers.of(_detail(dispute_id))


@keys.needs_staff("finance.run")
def submit_evidence(dispute_id: str) -> Response:
    """Replace the texts of the answer; with `submit` it goes to the bank for good, once. 200 with the dispute as it is then."""
    asked = bodies.read(EvidenceRequest)
    with answers.claimed() as claim:
        if isinstance(claim, Response):
            return claim
        now, database = services.now(), services.database()
        with database.transaction() as session:
            row = listing.get_dispute(session, key=dispute_id)
            draft = evidence.get_draft(session, row.id)
            if asked.texts is not None:
                draft = evidence.save(
                    session, now=now, dispute_id=row.id, texts=asked.texts, version=draft.version, actor=keys.actor()
                )
        if asked.submit:
            acts.answer(
                database,
                services.services().providers,
                now=now,
                dispute_id=row.id,
                kind="evidence",
                expected_sha256=draft.sha256,
                form_key=answers.form_key(),
                actor=keys.actor(),
            )
        answer = answers.of(_detail(row.id))
        with database.transaction() as session:
            return answers.keep(session, claim, answer)


def _detail(key: str) -> DisputeDetail:
    with services.database().reading() as session:
        row = listing.get_dispute(session, key=key)
        history = listing.list_history(session, row.id)
        postings = listing.list_postings(session, row.id, with_house=True)
        given = submissions.list_submissions(session, row.id)
        draft = evidence.get_draft(session, row.id)
    return DisputeDetail(
        **_dispute(row).model_dump(),
        texts=dict(draft.texts),
        files=[file.name for file in draft.files],
        history=[
            DisputeEvent(
                type=one.type,
                amount=Money(amount_minor=one.amount_minor, currency=one.currency)
                if one.amount_minor is not None and one.currency
                else None,
                balance_transaction=one.source_id,
                transaction_id=one.transaction_id,
                occurred_at=one.occurred_at,
            )
            for one in history
        ],
        postings=[
            DisputePosting(
                transaction_id=one.transaction_id,
                kind=one.kind,
                debit=one.debit,
                credit=one.credit,
                amount=Money(amount_minor=one.amount_minor, currency=one.currency),
                recorded_at=one.recorded_at,
            )
            for one in postings
        ],
        answers=[
            DisputeAnswer(
                id=one.id,
                kind=one.kind,
                state=one.state,
                sha256=one.sha256,
                failure=one.failure,
                created_at=one.created_at,
                ended_at=one.ended_at,
            )
            for one in given
        ],
    )


def _dispute(row: DisputeRow) -> Dispute:
    return Dispute(
        id=row.id,
        account=row.account_code,
        payment_id=row.payment_id,
        invoice=row.invoice_number,
        provider=row.provider,
        provider_dispute_id=row.provider_dispute_id,
        is_inquiry=row.is_inquiry,
        state=row.state,
        funds=row.funds,
        finding=row.finding,
        amount=Money(amount_minor=row.amount_minor, currency=row.currency),
        held=Money(amount_minor=row.held_minor, currency=row.currency),
        lost=Money(amount_minor=row.lost_minor, currency=row.currency),
        reason=row.reason,
        network_reason_code=row.network_reason_code,
        due_by=row.due_by,
        submission_count=row.submission_count,
        opened_at=row.opened_at,
        ended_at=row.ended_at,
    )
