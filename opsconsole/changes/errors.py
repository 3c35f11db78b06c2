"""What can go wrong with changes.

Invalid 400      UnknownKind, NothingChanges
NotFound 404     ChangeNotFound, SubjectNotFound
Conflict 409     ChangeEnded, ChangeNotApproved, ChangeStale, ChangeFailed
RuleBroken 422   ChangeRefused
"""

from __future__ import annotations

from opsconsole.core.errors import Conflict, Invalid, NotFound, RuleBroken


class UnknownKind(Invalid):
    """There is no such kind of change."""

    code = "unknown_kind"


class NothingChanges(Invalid):
    """Everything is already as asked for."""

    code = "nothing_changes"


class ChangeNotFound(NotFound):
    """No such change, or none this actor may see."""

    code = "change_not_found"


class SubjectNotFound(NotFound):
    """What should be changed is not there, or the actor may not see it."""

    code = "subject_not_found"


class ChangeEnded(Conflict):
    """The change was applied, or came to another end."""

    code = "change_ended"


class ChangeNotApproved(Conflict):
    """Others must agree first."""

    code = "change_not_approved"


class ChangeStale(Conflict):
    """What it would change has changed meanwhile; nothing was applied, and it must be asked for again."""

    code = "change_stale"


class ChangeFailed(Conflict):
    """It could not be applied as it was approved; nothing was changed."""

    code = "change_failed"


class ChangeRefused(RuleBroken):
    """A rule forbids this change."""

    code = "change_refused"
