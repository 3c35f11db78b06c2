"""Asking people and using their answer: what the apps above call inside their own operations.

An app asks for the terms (`policy_for`), puts `terms.as_json()` into what it digests, and opens a request. People
decide through either door, the subject's own or the generic one, and both come to `decide`. The app uses the answer
up with `consume` in the transaction of the effect. Everything that writes joins the caller's operation, locks the
subject's row and then the request's (see `subjects`), and leaves one journal entry about the subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import access, moves, selectors, subjects
from opsconsole.approvals.decisions import decide
from opsconsole.approvals.errors import ContentTooLarge, DigestMismatch, NotAnExecutor, QuorumIncomplete
from opsconsole.approvals.models import Request
from opsconsole.approvals.reviews import open_review
from opsconsole.approvals.selectors import active_policy, live_request, policy_for, summary, tally
from opsconsole.approvals.states import LIVE, OPEN, RequestState
from opsconsole.approvals.terms import Terms
from opsconsole.core.actors import Actor, ActorKind
from opsconsole.core.canonical import canonical, to_plain
from opsconsole.core.models import User
from opsconsole.core.operations import assert_in_operation

__all__ = [
    "active_policy",
    "consume",
    "decide",
    "expire",
    "live_request",
    "open_request",
    "open_review",
    "policy_for",
    "recount",
    "require_executor",
    "summary",
    "suspend",
    "tally",
    "void",
]

MAX_CONTENT_BYTES = 65_536


def open_request(
    *,
    subject_kind: str,
    subject_id: object,
    title: str,
    content: Mapping[str, Any],
    digest: str,
    policy: Terms,
    requested_by: User,
    actor: Actor,
    editors: Iterable[UUID | str] = (),
    due_at: datetime | None = None,
) -> Request:
    """Ask for approval of a subject's content, known by its digest.

    `requested_by` and the `editors` (user ids) never count as approvers. A request for the same subject and action
    that has not ended is kept with its approvals when digest, policy and content are the same, so the answer may be
    approved already; with any other content it is made void and a new one takes its place. `content` is what
    approvers are shown, at most 64 KiB as canonical JSON. Its time to live begins when its effect is `due_at`, or now.
    """
    assert_in_operation()
    if len(canonical(content)) > MAX_CONTENT_BYTES:
        raise ContentTooLarge(
            format_lazy(_("What approvers are shown takes at most {count} bytes."), count=MAX_CONTENT_BYTES)
        )
    shown, hands = to_plain(content), {str(editor) for editor in editors}
    subjects.hooks_for(subject_kind).lock(str(subject_id))
    live = live_request(subject_kind, subject_id, policy.action)
    if live is not None:
        live = access.locked(live)
        overdue = live.expires_at <= selectors.database_clock()
        if not overdue and (live.digest, live.policy, live.content) == (digest, policy.as_json(), shown):
            return _keep(live, hands | ({str(requested_by.pk)} - {str(live.requested_by_id)}), actor)
        moves.leave(live, RequestState.EXPIRED if overdue else RequestState.VOID, actor, "asked again")
    now = selectors.database_clock()
    request = Request.objects.create(
        action=policy.action,
        subject_kind=subject_kind,
        subject_id=str(subject_id),
        title=title,
        digest=digest,
        content=shown,
        policy=policy.as_json(),
        requested_by=requested_by,
        editors=sorted(hands),
        created_at=now,
        expires_at=max(now, due_at or now) + policy.ttl,
    )
    moves.journal(
        request,
        actor,
        "approval.requested",
        after={"status": request.status, "digest": digest, "policy": request.policy, "expires_at": request.expires_at},
    )
    moves.tell(request, "approval.requested")
    return request


def void(
    subject_kind: str, subject_id: object, *, reason: str, actor: Actor, action: str | None = None
) -> list[Request]:
    """End the subject's requests that have not ended, for one action or for all; what was approved is no more."""
    assert_in_operation()
    return [
        moves.leave(request, RequestState.VOID, actor, reason)
        for request in _locked_live(subject_kind, subject_id, action, LIVE)
    ]


def suspend(
    subject_kind: str, subject_id: object, *, reason: str, actor: Actor, action: str | None = None
) -> list[Request]:
    """Close the subject's open requests while it is edited; `open_request` with the same content brings them back."""
    assert_in_operation()
    return [
        moves.leave(request, RequestState.SUSPENDED, actor, reason)
        for request in _locked_live(subject_kind, subject_id, action, OPEN)
    ]


def consume(request: Request, *, digest: str, actor: Actor) -> Request:
    """Use an approval up, once, for content of this digest; the caller's effect belongs to the same transaction.

    Everybody's eligibility is looked at again: active, still in the role, key not revoked. Raises AlreadyConsumed,
    RequestEnded, RequestExpired, DigestMismatch, QuorumIncomplete, and NotAnExecutor for a person whom the policy
    does not let carry it out.
    """
    assert_in_operation()
    request = access.locked(request)
    require_executor(request, actor=actor)
    moves.require_open(request)
    if request.digest != digest:
        raise DigestMismatch(
            _("What was approved is not what is to be done now."), approved=request.digest, digest=digest
        )
    counted = tally(request)
    if request.state is not RequestState.APPROVED or not counted.quorum.complete:
        raise QuorumIncomplete(
            format_lazy(_("Still needed: {slots}."), slots=moves.wanted(counted.quorum)),
            request=str(request.pk),
            open=moves.slots(counted.quorum),
            objections={
                decision.user.username: counted.objections[decision.pk]
                for decision in counted.standing
                if decision.pk in counted.objections
            },
        )
    approvers = [d.user.username for d in counted.standing if counted.quorum.seats(str(d.user_id))]
    return moves.leave(request, RequestState.CONSUMED, actor, "", approvers=approvers)


def require_executor(asked: Request | Terms, *, actor: Actor) -> None:
    """Raise NotAnExecutor unless the policy lets this actor carry it out; named parts of the system may."""
    executors = asked.executors
    if actor.kind is not ActorKind.SYSTEM and actor.roles.isdisjoint(executors):
        raise NotAnExecutor(
            format_lazy(_("This takes one of the roles {roles}."), roles=", ".join(executors)), roles=list(executors)
        )


def expire(*, request_id: UUID, actor: Actor) -> bool:
    """End a live request whose time to live is over and let its subject follow; False when there is nothing to end."""
    assert_in_operation()
    request = access.locked_by_id(request_id)
    if request.state.is_final or request.expires_at > selectors.database_clock():
        return False
    moves.leave(request, RequestState.EXPIRED, actor, "its time to live is over")
    subjects.hooks_for(request.subject_kind).expired(request)
    return True


def recount(*, request_id: UUID, actor: Actor) -> bool:
    """Reopen an approved request whose quorum no longer stands: somebody left, lost a role, or revoked a key."""
    assert_in_operation()
    request = access.locked_by_id(request_id)
    if request.state is not RequestState.APPROVED:
        return False
    counted = tally(request)
    if counted.quorum.complete:
        return False
    moves.reopen(request, actor, counted)
    return True


def _keep(request: Request, hands: set[str], actor: Actor) -> Request:
    """The same content again: its approvals stand, except those of people who have had a hand in it by now."""
    before = {"editors": request.editors, "status": request.status}
    request.editors = sorted({*request.editors, *hands})
    complete = tally(request).quorum.complete
    if request.state is RequestState.SUSPENDED:
        request.move_to(RequestState.APPROVED if complete else RequestState.PENDING)
    elif request.state is RequestState.APPROVED and not complete:
        request.move_to(RequestState.PENDING)
    after = {"editors": request.editors, "status": request.status}
    if after != before:
        request.save(update_fields=["editors", "status"])
        moves.journal(request, actor, "approval.kept", before=before, after=after)
    return request


def _locked_live(subject_kind: str, subject_id: object, action: str | None, states: Sequence[str]) -> list[Request]:
    subjects.hooks_for(subject_kind).lock(str(subject_id))
    found = Request.objects.filter(subject_kind=subject_kind, subject_id=str(subject_id), status__in=states)
    if action is not None:
        found = found.filter(action=action)
    return [access.locked(request) for request in found.order_by("id")]
