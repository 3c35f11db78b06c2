"""How a change follows its approval request, whichever door the decision came by; called by approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.states import Outcome, RequestState
from opsconsole.approvals.subjects import SubjectHooks, register
from opsconsole.changes import access, moves
from opsconsole.changes.errors import ChangeNotFound
from opsconsole.changes.kinds.base import kind_named
from opsconsole.changes.models import Change
from opsconsole.changes.states import ChangeState
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.journal.record import record

if TYPE_CHECKING:
    from opsconsole.approvals.models import Request


def follow_decision(request: Request, outcome: Outcome, actor: Actor) -> None:
    """Move the change as its request moved.

    The approval that completes the quorum applies the change at once where the policy lets that person carry it out;
    elsewhere the change waits, approved, for somebody whom it does.
    """
    change = access.lock_change(UUID(request.subject_id))
    match outcome:
        case Outcome.REJECTED:
            moves.move(change, ChangeState.REJECTED, actor=actor)
        case Outcome.APPROVED:
            moves.move(change, ChangeState.APPROVED, actor=actor)
            if not kind_named(change.kind).collected and not actor.roles.isdisjoint(request.executors):
                moves.carry_out(change, request, actor=actor)
                request.refresh_from_db(fields=["status", "ended_at"])
        case Outcome.REOPENED:
            before = change.status
            change.move_to(ChangeState.REQUESTED).save(update_fields=["status"])
            record(actor, "change.reopened", change, before={"status": before}, after={"status": change.status})
        case Outcome.PROGRESSED:
            pass


def follow_expiry(request: Request) -> None:
    """Let the change end with its request: expired, or cancelled where the request was withdrawn."""
    change = access.lock_change(UUID(request.subject_id))
    if not moves.is_open(change):
        return
    if request.status == RequestState.VOID:
        moves.move(change, ChangeState.CANCELLED, actor=SYSTEM("changes"), reason="whoever asked for it has left")
    else:
        moves.move(change, ChangeState.EXPIRED, actor=SYSTEM("changes"), reason="nobody decided in time")


def lock_subject(subject_id: str) -> Change:
    """The change's row, locked; raises ChangeNotFound."""
    try:
        return access.lock_change(UUID(subject_id))
    except Change.DoesNotExist as error:
        raise ChangeNotFound(_("There is no such change."), change=subject_id) from error


def take_part() -> None:
    """Let approvals know that changes are approved."""
    register(
        moves.SUBJECT,
        SubjectHooks(
            lock=lock_subject,
            decided=follow_decision,
            expired=follow_expiry,
            journal_kind=Change._meta.db_table,
        ),
    )
