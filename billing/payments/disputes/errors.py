"""Refusals of this room."""

from billing.kernel.errors import Conflict


class DeadlinePassed(Conflict):
    """The provider takes no answer to this dispute any more; `due_by` says since when."""

    code = "dispute_deadline_passed"


class NotAnswerable(Conflict):
    """The dispute waits for no answer: it was answered, has ended, or is none that can be accepted."""

    code = "dispute_not_answerable"


class EvidenceChanged(Conflict):
    """The evidence is not what the page showed: somebody changed it meanwhile."""

    code = "evidence_changed"
