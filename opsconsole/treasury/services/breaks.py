"""Breaks: what banks say and our records do not, until somebody has looked into it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Invalid
from opsconsole.core.operations import operation
from opsconsole.journal.record import record
from opsconsole.treasury import access
from opsconsole.treasury.models import Break
from opsconsole.treasury.states import BreakState

MAX_REASON: Final = 2000


@operation
def resolve_break(*, break_id: UUID, reason: str, actor: Actor) -> Break:
    """Close a break with what was found out; raises BreakNotFound, Denied, Invalid without a reason, WrongState."""
    found = access.break_for(actor, break_id)
    said = reason.strip()
    if not said or len(said) > MAX_REASON:
        why = format_lazy(_("must say why, in up to {most} characters"), most=MAX_REASON)
        raise Invalid(_("A break is resolved with a reason."), errors={"reason": [why]})
    found.move_to(BreakState.RESOLVED)
    found.resolution, found.resolved_by, found.resolved_at = said, actor.name, Now()
    found.save(update_fields=["status", "resolution", "resolved_by", "resolved_at"])
    found.refresh_from_db()
    record(
        actor,
        "break.resolved",
        found,
        before={"status": BreakState.OPEN.value},
        after={"status": found.status},
        reason=said,
    )
    return found
