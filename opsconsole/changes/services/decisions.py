"""Deciding on a change, and applying one that is approved."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import kernel
from opsconsole.approvals.models import Request
from opsconsole.approvals.passkeys import Assertion
from opsconsole.approvals.states import DecisionKind
from opsconsole.changes import access, moves
from opsconsole.changes.errors import ChangeNotApproved
from opsconsole.changes.kinds.base import kind_named
from opsconsole.changes.models import Change
from opsconsole.changes.states import ChangeState
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation


@operation
def approve_change(
    *, change_id: UUID, digest: str | None, signature: str | Assertion, comment: str, actor: Actor
) -> Change:
    """Approve a change as it is shown; the last approval that is needed applies it, if that person may execute.

    `digest`, where given, must be the change's. The change may come back stale or failed: see `moves.outcome_error`.
    Raises what `approvals.decide` objects to: the requester and the person concerned, a second approval, a role that
    fills no slot, a signature that is missing or does not verify.
    """
    return _decide(change_id, DecisionKind.APPROVE, comment, signature, digest, actor)


@operation
def reject_change(*, change_id: UUID, reason: str, actor: Actor) -> Change:
    """Refuse a change for good."""
    return _decide(change_id, DecisionKind.REJECT, reason, "", None, actor)


@operation
def apply_change(*, change_id: UUID, actor: Actor) -> tuple[Change, str]:
    """Apply a change that is approved and waits for somebody who may carry it out.

    Answers with the change, which may be stale or failed, and with what only the person it is for may see, once.
    Raises ChangeNotFound, Denied, ChangeEnded, ChangeNotApproved, and what `approvals.consume` objects to.
    """
    change = access.require_open(access.change_to_apply(actor, change_id))
    if change.state is not ChangeState.APPROVED:
        raise ChangeNotApproved(_("Others must agree to it first."), change=str(change.pk), status=change.status)
    given = moves.carry_out(change, _request(change), actor=actor)
    return change, given


def _decide(
    change_id: UUID, kind: DecisionKind, reason: str, signature: str | Assertion, digest: str | None, actor: Actor
) -> Change:
    change = access.require_open(access.change_to_decide(actor, change_id))
    kernel.decide(_request(change), kind=kind, reason=reason, signature=signature, digest=digest, actor=actor)
    change.refresh_from_db()
    return change


def _request(change: Change) -> Request:
    found = kernel.live_request(moves.SUBJECT, change.pk, kind_named(change.kind).action)
    if found is None:
        raise ChangeNotApproved(_("It waits for no decision."), change=str(change.pk), status=change.status)
    return found
