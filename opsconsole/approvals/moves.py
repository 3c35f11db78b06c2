"""How a request moves: its state, the journal, its subject and the event, in one step each.

The caller is in an operation and holds the request's row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import lazy
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import selectors, subjects
from opsconsole.approvals.errors import AlreadyConsumed, NotAnApprover, RequestEnded, RequestExpired
from opsconsole.approvals.models import Request
from opsconsole.approvals.quorum import Quorum, in_words
from opsconsole.approvals.states import OPEN, Outcome, RequestState
from opsconsole.core import outbox
from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.core.texts import Text, english
from opsconsole.journal.record import Subject, record

_in_words = lazy(in_words, str)
_VERBS = {
    RequestState.CONSUMED: "approval.consumed",
    RequestState.EXPIRED: "approval.expired",
    RequestState.VOID: "approval.voided",
    RequestState.SUSPENDED: "approval.suspended",
}


def leave(request: Request, state: RequestState, actor: Actor, reason: str, **facts: Any) -> Request:
    """Take the request away as consumed, expired, void or suspended; the subject is not told, who does this itself."""
    before = request.status
    request.move_to(state)
    request.ended_at = selectors.database_clock() if state.is_final else None
    request.save(update_fields=["status", "ended_at"])
    journal(
        request,
        actor,
        _VERBS[state],
        before={"status": before},
        after={"status": request.status, **facts},
        reason=reason,
    )
    tell(request, _VERBS[state])
    return request


def reopen(request: Request, actor: Actor, counted: selectors.Tally) -> None:
    """Put an approved request back to pending, because an approval of it no longer counts."""
    request.move_to(RequestState.PENDING).save(update_fields=["status"])
    journal(
        request,
        actor,
        "approval.reopened",
        before={"status": RequestState.APPROVED.value},
        after={"status": request.status, "open": slots(counted.quorum)},
        reason="; ".join(sorted({english(objection) for objection in counted.objections.values()})),
    )
    follow(request, Outcome.REOPENED, actor)


def require_open(request: Request) -> None:
    """Raise AlreadyConsumed, RequestEnded or RequestExpired unless the request is open and in its time."""
    if request.state is RequestState.CONSUMED:
        raise AlreadyConsumed(_("This approval was used; it is good for one time."), request=str(request.pk))
    if request.status not in OPEN:
        raise RequestEnded(
            format_lazy(_("The request is {state}."), state=request.state.label),
            request=str(request.pk),
            status=request.status,
        )
    if request.expires_at <= selectors.database_clock():
        raise RequestExpired(_("The request has expired; ask again."), request=str(request.pk), at=request.expires_at)


def is_over(request: Request) -> bool:
    """Whether the request's time to live has passed, though nobody has ended it yet."""
    return request.expires_at <= selectors.database_clock()


def person(actor: Actor) -> User:
    """The user that the actor is; raises NotAnApprover for a part of the system or a shell: people agree."""
    if actor.user is None or not actor.user.is_active:
        raise NotAnApprover(
            format_lazy(_("{actor} is not a person in office; people ask, and people agree."), actor=actor.name)
        )
    return actor.user


def follow(request: Request, outcome: Outcome, actor: Actor) -> None:
    """Let the subject follow, and tell who listens what came of it."""
    subjects.hooks_for(request.subject_kind).decided(request, outcome, actor)
    if outcome is not Outcome.PROGRESSED:
        tell(request, f"approval.{outcome.value}")


def tell(request: Request, topic: str) -> None:
    """Emit an event about the request, on its subject."""
    facts = {"request": str(request.pk), "action": request.action, "title": request.title, "status": request.status}
    outbox.emit(topic, kind=request.subject_kind, id=request.subject_id, data=facts)


def journal(
    request: Request,
    actor: Actor,
    verb: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Journal something about the request, on its subject."""
    subject = Subject(subjects.journal_kind(request.subject_kind), request.subject_id)
    facts = {"request": request.pk, "action": request.action, **(after or {})}
    record(actor, verb, subject, before=before, after=facts, reason=reason)


def slots(reached: Quorum) -> list[dict[str, Any]]:
    """The open slots as plain JSON."""
    return [{"roles": list(slot.roles), "count": slot.count} for slot in reached.open]


def wanted(reached: Quorum) -> Text:
    """The open slots as a sentence's end, lazily: `1 pay_admin and 2 ops or finance_ops`."""
    return _in_words(reached.open) if reached.open else _("nobody")
