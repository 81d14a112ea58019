"""Our intent to have a method saved: made and committed before anybody is sent to the provider, and what the provider said to it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.payments.customers.tables import MethodSetup
from billing.payments.errors import ProviderMismatch
from billing.payments.providers.ports.customers import SetupFacts
from billing.storage import audit, correlation

_UNSETTLED = ("created", "unknown")
_FINAL = ("saved", "failed", "expired")


@dataclass(frozen=True, kw_only=True)
class SetupRow:
    """One intent to save a method. `state` is created, open, unknown, saved, failed or expired; `failure` is a stable word."""

    id: str
    account_id: str
    provider: str
    state: str
    makes_default: bool
    customer_id: str | None
    provider_session_id: str | None
    redirect_url: str | None
    provider_method_id: str | None
    failure: str | None
    created_at: datetime
    correlation_id: str | None

    @property
    def is_final(self) -> bool:
        """Whether the page can stop asking."""
        return self.state in _FINAL


def open_intent(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    provider: str,
    makes_default: bool,
    form_key: str,
    actor: str,
) -> SetupRow:
    """Store that `account_id` means to save a method, or give back what this form stored before. Locks the account's head.

    Raises Invalid without a form key, Conflict when the key was used for something else.
    """
    if not form_key or len(form_key) > 200:
        raise Invalid(field="form_key", reason="form_key_missing")
    heads.lock_one(session, account_id)
    query = select(MethodSetup).where(MethodSetup.billing_account_id == account_id, MethodSetup.form_key == form_key)
    known = session.execute(query).scalar_one_or_none()
    if known is not None:
        if known.makes_default != makes_default:
            raise Conflict(payment_method_setup_id=known.id, reason="form_key_reused")
        return row_of(known)
    item = MethodSetup(
        id=new_id("set"),
        billing_account_id=account_id,
        provider=provider,
        state="created",
        makes_default=makes_default,
        form_key=form_key,
        created_by=actor,
        created_at=now,
        updated_at=now,
        correlation_id=correlation.current(),
    )
    session.add(item)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="payment_method.setup",
        subject_type="payment_method_setup",
        subject_id=item.id,
        billing_account_id=account_id,
        facts={"provider": provider, "makes_default": makes_default},
    )
    session.flush()  # the keys must collide here, inside the act
    return row_of(item)


def get_setup(session: Session, *, account_id: str, setup_id: str) -> SetupRow:
    """One setup of that billing account. Raises NotFound for any other."""
    query = select(MethodSetup).where(MethodSetup.id == setup_id, MethodSetup.billing_account_id == account_id)
    item = session.execute(query).scalar_one_or_none()
    if item is None:
        raise NotFound(payment_method_setup_id=setup_id)
    return row_of(item)


def find_setup(
    session: Session, *, provider: str, reference: str | None = None, page_id: str | None = None
) -> SetupRow | None:
    """Our setup behind a provider's page, or behind our own id that the provider's object carries."""
    for column, value in ((MethodSetup.id, reference), (MethodSetup.provider_session_id, page_id)):
        if value:
            item = session.execute(
                select(MethodSetup).where(MethodSetup.provider == provider, column == value)
            ).scalar_one_or_none()
            if item is not None:
                return row_of(item)
    return None


def record_opened(session: Session, *, now: datetime, setup_id: str, customer_id: str, facts: SetupFacts) -> SetupRow:
    """The provider has a page for the intent. A state that is already further stays."""
    item = _locked(session, setup_id)
    if item.state in _UNSETTLED:
        item.state, item.provider_session_id, item.redirect_url = "open", facts.id, facts.url
        item.customer_id, item.failure, item.updated_at = customer_id, None, now
        session.flush()
    return row_of(item)


def record_refused(session: Session, *, now: datetime, setup_id: str, reason: str) -> SetupRow:
    """The provider certainly has no page for the intent: it has failed."""
    return _record(session, now, setup_id, "failed", reason)


def record_unknown(session: Session, *, now: datetime, setup_id: str, customer_id: str | None) -> SetupRow:
    """Whether the provider has a page for the intent is not known: it will be looked up."""
    row = _record(session, now, setup_id, "unknown", None)
    item = _locked(session, setup_id)
    item.customer_id = item.customer_id or customer_id
    session.flush()
    return row


def record_facts(session: Session, *, now: datetime, setup_id: str, facts: SetupFacts, is_live: bool) -> SetupRow:
    """Bring the setup to what the provider's page says; a second time changes nothing. Locks the account's head.

    Raises ProviderMismatch, and records nothing, when mode, reference or customer differ from our intent.
    """
    item = _locked(session, setup_id)
    if facts.is_live != is_live:
        raise ProviderMismatch(reason="livemode_mismatch", payment_method_setup_id=item.id)
    if facts.reference != item.id:
        raise ProviderMismatch(reason="reference_mismatch", payment_method_setup_id=item.id, found=facts.reference)
    if item.customer_id is not None and facts.customer_id != item.customer_id:
        raise ProviderMismatch(reason="other_customer", payment_method_setup_id=item.id, found=facts.customer_id)
    item.provider_session_id = item.provider_session_id or facts.id
    if facts.saving == "succeeded" and item.state != "saved":
        item.state, item.provider_method_id, item.failure, item.updated_at = "saved", facts.method_id, None, now
    elif item.state not in _FINAL:
        _note_unsaved(now, item, facts)
    session.flush()
    return row_of(item)


def row_of(item: MethodSetup) -> SetupRow:
    """The row of a setup."""
    return SetupRow(
        id=item.id,
        account_id=item.billing_account_id,
        provider=item.provider,
        state=item.state,
        makes_default=item.makes_default,
        customer_id=item.customer_id,
        provider_session_id=item.provider_session_id,
        redirect_url=item.redirect_url if item.state == "open" else None,
        provider_method_id=item.provider_method_id,
        failure=item.failure,
        created_at=item.created_at,
        correlation_id=item.correlation_id,
    )


def _note_unsaved(now: datetime, item: MethodSetup, facts: SetupFacts) -> None:
    if facts.saving == "failed":
        item.state, item.failure, item.updated_at = "failed", facts.failure or "setup_canceled", now
    elif facts.state == "expired":
        item.state, item.failure, item.updated_at = "expired", facts.failure or "abandoned", now
    elif (item.state, item.failure) != ("open", facts.failure):
        # A declined card leaves the page open for another one.
        item.state, item.failure, item.updated_at = "open", facts.failure, now
        item.redirect_url = facts.url or item.redirect_url


def _record(session: Session, now: datetime, setup_id: str, state: str, failure: str | None) -> SetupRow:
    item = _locked(session, setup_id)
    if item.state in _UNSETTLED:
        item.state, item.failure, item.updated_at = state, failure, now
        session.flush()
    return row_of(item)


def _locked(session: Session, setup_id: str) -> MethodSetup:
    account_id = session.execute(
        select(MethodSetup.billing_account_id).where(MethodSetup.id == setup_id)
    ).scalar_one_or_none()
    if account_id is None:
        raise NotFound(payment_method_setup_id=setup_id)
    heads.lock_one(session, account_id)
    query = select(MethodSetup).where(MethodSetup.id == setup_id).execution_options(populate_existing=True)
    return session.execute(query).scalar_one()
