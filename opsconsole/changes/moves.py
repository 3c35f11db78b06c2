"""How a change moves: its state, the journal and the event, in one step each; and how it gets into the record.

The caller is in an operation and holds the change's row.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import kernel
from opsconsole.approvals.models import Request
from opsconsole.changes.content import digest_of
from opsconsole.changes.errors import ChangeFailed, ChangeStale
from opsconsole.changes.kinds.base import Granted, Kind, kind_named
from opsconsole.changes.models import Change
from opsconsole.changes.states import OPEN, ChangeState
from opsconsole.core import outbox
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.canonical import to_plain
from opsconsole.core.errors import Conflict, DomainError
from opsconsole.core.operations import assert_in_operation
from opsconsole.journal.record import record

SUBJECT = "change"


def move(change: Change, state: ChangeState, *, actor: Actor, reason: str = "", **facts: Any) -> None:
    """Bring the change into its next state; one that ends keeps no secret."""
    assert_in_operation()
    before = change.status
    change.move_to(state)
    fields = ["status"]
    if state.is_final:
        change.ended_at, change.secrets = Now(), ""
        fields += ["ended_at", "secrets", "failure"]
    change.save(update_fields=fields)
    change.refresh_from_db(fields=["ended_at", "secrets"])
    after = {"status": change.status, **facts}
    record(actor, f"change.{state.value}", change, before={"status": before}, after=after, reason=reason)
    tell(change, f"change.{state.value}")


def tell(change: Change, topic: str) -> None:
    """Emit an event about the change."""
    facts = {"kind": change.kind, "title": change.title, "status": change.status, "failure": change.failure}
    outbox.emit(topic, kind=SUBJECT, id=change.pk, data=facts)


def carry_out(change: Change, request: Request, *, actor: Actor) -> str:
    """Apply an approved change, and use its approval up; the change is then applied, or stale, or failed.

    Stale: the record is no longer what the approvers were shown. Failed: a rule or the record itself refuses it.
    Neither leaves anything changed but the change's own state. Raises what `kernel.consume` does, for somebody who may
    not carry it out and for approvals that no longer stand; then nothing is changed at all. Returns what the person
    concerned may see once, for a kind that is collected.
    """
    assert_in_operation()
    kind = kind_named(change.kind)
    values = change.values
    uses_up = SYSTEM("changes") if kind.collected else actor  # the person it is for need be no executor
    if not kind.collected:
        kernel.require_executor(request, actor=actor)
    try:
        with transaction.atomic():
            _require_unchanged(kind, change, values)
            kernel.consume(request, digest=digest_of(change, request.policy), actor=uses_up)
            given = _write(kind, change, values, actor)
    except _Stopped as stopped:
        _give_up(change, stopped.why, actor)
        return ""
    except ChangeStale as stale:
        _give_up(change, stale, actor)
        return ""
    move(change, ChangeState.APPLIED, actor=actor, reason=change.reason, digest=change.digest)
    return given


def _require_unchanged(kind: Kind, change: Change, values: dict[str, Any]) -> None:
    try:
        kind.lock(change.subject_id)
        shown = kind.describe(change.subject_id, values)
    except DomainError as error:
        raise ChangeStale(format_lazy(_("It can no longer be done as it was shown: {why}"), why=error.told)) from error
    if (to_plain(shown.before), to_plain(shown.after)) != (change.before, change.after):
        raise ChangeStale(_("What it would change is no longer as it was shown; ask again."))


class _Stopped(Exception):
    """Applying was begun and refused; what it had written is undone."""

    def __init__(self, why: DomainError) -> None:
        super().__init__(why.told)
        self.why = why


def _write(kind: Kind, change: Change, values: dict[str, Any], actor: Actor) -> str:
    granted = Granted(change=str(change.pk), reason=change.reason, requested_by=change.requested_by)
    try:
        return kind.apply(change.subject_id, values, granted=granted, actor=actor)
    except DomainError as error:
        raise _Stopped(error) from error
    except IntegrityError as error:
        name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or "a constraint"
        raise _Stopped(ChangeFailed(format_lazy(_("The database refuses it: {name}."), name=name))) from error


def _give_up(change: Change, why: DomainError, actor: Actor) -> None:
    change.failure = why.message
    state = ChangeState.STALE if isinstance(why, ChangeStale) else ChangeState.FAILED
    kernel.void(SUBJECT, change.pk, reason=why.message, actor=actor)
    move(change, state, actor=actor, reason=why.message)


def outcome_error(change: Change) -> Conflict | None:
    """Why an attempt to apply the change came to nothing; None where it did not, or it was not tried."""
    match change.state:
        case ChangeState.STALE:
            return ChangeStale(change.failure, change=str(change.pk), status=change.status)
        case ChangeState.FAILED:
            return ChangeFailed(change.failure, change=str(change.pk), status=change.status)
        case _:
            return None


def is_open(change: Change) -> bool:
    """Whether it has not ended."""
    return change.status in OPEN
