"""What becomes of approvals when somebody leaves; joins the operation in which they do."""

from __future__ import annotations

from uuid import UUID

from opsconsole.approvals import access, moves, selectors, subjects
from opsconsole.approvals.models import Decision, Request
from opsconsole.approvals.states import LIVE, OPEN, DecisionKind, RequestState
from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.core.operations import assert_in_operation


def withdraw_requests(user: User, *, reason: str, actor: Actor) -> int:
    """Make void what this person asked for and was not used yet, and let each subject end with it; returns how many.

    The subject follows as if the time of its request were over: what it had reserved is free again.
    """
    assert_in_operation()
    ended = 0
    for request_id in _ids(requested_by=user, status__in=LIVE):
        request = access.locked_by_id(request_id)
        if request.status not in LIVE:
            continue
        moves.leave(request, RequestState.VOID, actor, reason)
        subjects.hooks_for(request.subject_kind).expired(request)
        ended += 1
    return ended


def end_approvals(user: User, *, reason: str, actor: Actor) -> int:
    """Have this person's standing approvals count nowhere any more, for good; returns how many requests that touched.

    They become one of those who never count, so that coming back brings no approval back. What was approved by them
    and is not used yet waits for somebody else.
    """
    assert_in_operation()
    given = Decision.objects.filter(user=user, kind=DecisionKind.APPROVE, revoked_by=None).values("request")
    touched = 0
    for request_id in _ids(pk__in=given, status__in=LIVE):
        request = access.locked_by_id(request_id)
        if request.status not in LIVE or str(user.pk) in request.editors:
            continue
        request.editors = sorted({*request.editors, str(user.pk)})
        request.save(update_fields=["editors"])
        moves.journal(request, actor, "approval.ended", after={"approver": user.username}, reason=reason)
        counted = selectors.tally(request)
        if request.status in OPEN and request.state is RequestState.APPROVED and not counted.quorum.complete:
            moves.reopen(request, actor, counted)
        touched += 1
    return touched


def _ids(**narrowed: object) -> list[UUID]:
    # In one order for everybody: two people who leave at the same moment take the same locks the same way.
    return list(Request.objects.filter(**narrowed).order_by("pk").values_list("pk", flat=True))
