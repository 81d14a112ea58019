"""Refusals of this room."""

from billing.kernel.errors import Conflict, Refusal


class CodeTaken(Conflict):
    """Another tenant, account or seller has this code."""

    code = "code_taken"


class LoginTaken(Conflict):
    """Another person signs in with this address."""

    code = "login_taken"


class KeyRefused(Refusal):
    """No such API key, or one that was revoked: the two are never told apart."""

    code = "key_refused"


class SecondFactorExists(Conflict):
    """The person signs in with a second step already: it is turned off before another is set up."""

    code = "second_factor_exists"


class SecondFactorMissing(Conflict):
    """The person signs in without a second step."""

    code = "second_factor_missing"


class LinkRefused(Refusal):
    """No such link, or one that was used, withdrawn or is too old: they are never told apart."""

    code = "link_refused"


class SecondPersonNeeded(Refusal):
    """The one who asked for an act, or who made the key that asked, may not decide it."""

    code = "second_person_needed"


class AlreadyDecided(Conflict):
    """The request was decided, withdrawn or marked as expired before; `state` says which."""

    code = "already_decided"


class ApprovalExpired(Conflict):
    """Nobody decided in time: the act has to be asked for again."""

    code = "approval_expired"


class ContentChanged(Conflict):
    """What would happen is not what was asked for, or not what was shown; `reason` says which."""

    code = "content_changed"


class NotPermitted(Refusal):
    """The person may not ask for this, or not decide it."""

    code = "not_permitted"


class NotAllowed(Refusal):
    """An act that needs two people was tried without the approval of a second one."""

    code = "not_allowed"


class LinkForOther(Refusal):
    """The invitation was sent to another person than the one who is signed in."""

    code = "link_for_other"


class AlreadyMember(Conflict):
    """The person has a role there already; it is changed, not invited anew."""

    code = "already_member"


class InvitationOpen(Conflict):
    """An invitation to this address is open already."""

    code = "invitation_open"


class LastOwner(Refusal):
    """A tenant keeps at least one owner who can sign in."""

    code = "last_owner"


class LastAdmin(Refusal):
    """The staff keeps at least one administrator who can sign in."""

    code = "last_admin"


class OwnAccess(Refusal):
    """Nobody changes their own rights as staff: another administrator does."""

    code = "own_access"


class KeyAboveMaker(Refusal):
    """A key may not do what whoever makes it may not."""

    code = "key_above_maker"


class AlreadyRecipient(Conflict):
    """The account's documents go to this address already, or wait for its confirmation. Fields: email."""

    code = "already_recipient"


class TooManyRecipients(Refusal):
    """The account's list of addresses is full. Fields: limit."""

    code = "too_many_recipients"
