"""Deeds that are asked for, agreed to, and asked for again: the request is the whole of their waiting.

A service that does something dangerous describes it as a `Deed` and goes through `pass_or_ask`. Without an approval it
gets `Asked`: nothing was done, people are asked, and the door answers 202 with the request's id. The same person then
asks again with that id; the same deed passes, once, and any other is refused. Nothing else remembers the deed, so there
is no state of its own that could wait for ever: the request has its time to live and its sweeper.

What is bound is the deed, its object and whoever asks; the reasons given the first and the second time may differ, and
both are journalled.

A deed that is due later is asked for with `pass_or_ask` too, and then done by the system: `carry_out` passes it with
the request that stands for exactly this deed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import access, kernel, moves, subjects
from opsconsole.approvals.errors import DigestMismatch
from opsconsole.approvals.models import Request
from opsconsole.approvals.states import DecisionKind, Outcome, RequestState
from opsconsole.core.actors import Actor
from opsconsole.core.canonical import digest, to_plain
from opsconsole.core.errors import Conflict, Denied, NotFound
from opsconsole.core.operations import assert_in_operation


class AskedByAnother(Conflict):
    """Somebody else has asked for another such deed on the same object, and it has not ended."""

    code = "asked_by_another"


class NotAskedFor(Conflict):
    """Nobody has asked for approval of this, or what was asked for has ended."""

    code = "not_asked_for"


class NothingAgreed(Conflict):
    """Nothing that this person has asked for here is agreed to."""

    code = "nothing_agreed"


@dataclass(frozen=True, slots=True)
class Deed:
    """Something dangerous that one person wants done to one row.

    `facts` are what it consists of and what approval is bound to; `reason` is shown with them and may be put otherwise
    when the deed is asked for again, and so is what else is `shown`. `measures` are what the policy's thresholds look
    at. The request for a deed that is `due_at` a time lives for as long after it as the policy gives.
    """

    action: str
    row: Model
    title: str
    facts: Mapping[str, Any]
    reason: str
    measures: Mapping[str, Decimal] = field(default_factory=dict)
    shown: Mapping[str, Any] = field(default_factory=dict)
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Nothing was done: others must agree first. `instead_of` was asked for before, and is void by it."""

    request: Request
    instead_of: Request | None = None

    @property
    def roles(self) -> list[str]:
        """The roles that are asked, those of whoever asks first, as the runbooks name them."""
        own = self.request.requested_by.roles
        return sorted(self.request.terms.roles, key=lambda role: (role not in own, role))


def pass_or_ask(deed: Deed, *, approval_id: UUID | None, actor: Actor) -> Request | Asked:
    """The consumed request, whose deed the caller now does in this transaction; or Asked, and nothing may be done.

    Raises Denied for whoever is no person, AskedByAnother, NotAnExecutor for one who could not carry it out themselves,
    NotFound for an id that is none of this deed's requests, DigestMismatch for a deed that is not the approved one, and
    what `kernel.consume` objects to.
    """
    assert_in_operation()
    if actor.user is None:
        raise Denied(_("People ask for this, and people agree to it."))
    if approval_id is not None:
        return _pass(deed, approval_id, actor)
    return _ask(deed, actor)


def request_for(deed: Deed) -> Request | None:
    """The request that stands for exactly this deed, whoever asked; None where there is none that has not ended."""
    live = kernel.live_request(deed.row._meta.db_table, deed.row.pk, deed.action)
    if live is None or moves.is_over(live) or live.digest != _digest(deed, str(live.requested_by_id), live.policy):
        return None
    return live


def carry_out(deed: Deed, *, actor: Actor) -> Request:
    """The consumed request for a deed that was asked for before and is now done by a part of the system.

    Raises NotAskedFor, and what `kernel.consume` objects to: DigestMismatch for a deed that has changed since, and
    QuorumIncomplete while people are still to agree.
    """
    live = kernel.live_request(deed.row._meta.db_table, deed.row.pk, deed.action)
    if live is None:
        raise NotAskedFor(_("Nobody has asked for approval of this, or what was asked for has ended."))
    return kernel.consume(live, digest=_digest(deed, str(live.requested_by_id), live.policy), actor=actor)


def take_part(model: type[Model], *, sight: str = "", opened: Callable[[Actor], QuerySet[Model]] | None = None) -> None:
    """Let deeds be done to the rows of this model; called when the app is ready.

    Whoever holds the permission `sight` sees the requests for them, and who was granted the sight of some of the rows,
    which `opened` says, the requests for those.
    """

    def lock(subject_id: str) -> Model:
        row = model._default_manager.select_for_update(no_key=True, of=("self",)).filter(pk=subject_id).first()
        if row is None:
            raise NotFound(_("There is no such object any more."), subject=subject_id)
        return row

    def follow(_request: Request, _outcome: Outcome, _actor: Actor) -> None:
        """The row is as it was: the deed is done by whoever asked, when they ask again."""

    def expire(_request: Request) -> None:
        """As above."""

    table = model._meta.db_table
    subjects.register(table, subjects.SubjectHooks(lock, follow, expire, table, opened, sight))


def _ask(deed: Deed, actor: Actor) -> Request | Asked:
    user, terms = moves.person(actor), kernel.policy_for(deed.action, measures=deed.measures)
    if deed.due_at is None:  # said now, and not once others have agreed: it is whoever asks who carries it out
        kernel.require_executor(terms, actor=actor)
    kind, policy = deed.row._meta.db_table, terms.as_json()
    wanted = _digest(deed, str(user.pk), policy)
    live = kernel.live_request(kind, deed.row.pk, deed.action)
    if live is not None and live.requested_by_id != user.pk and not moves.is_over(live):
        raise AskedByAnother(
            format_lazy(
                _("{person} has asked for this already; it waits for approval."), person=live.requested_by.username
            ),
            request=str(live.pk),
        )
    facts = to_plain(dict(deed.facts))
    if live is not None and live.digest == wanted:
        facts = live.content  # the first reason stays what approvers are shown
    else:
        facts = {**to_plain(dict(deed.shown)), **facts, "reason": deed.reason, "requested_by": user.username}
    request = kernel.open_request(
        subject_kind=kind,
        subject_id=deed.row.pk,
        title=deed.title,
        content=facts,
        digest=wanted,
        policy=terms,
        requested_by=user,
        actor=actor,
        due_at=deed.due_at,
    )
    replaced = live if live is not None and live.pk != request.pk and not moves.is_over(live) else None
    return Asked(_agreed_by_whoever_asks(request, deed.reason, actor), replaced)


def _agreed_by_whoever_asks(request: Request, reason: str, actor: Actor) -> Request:
    """Whoever asks agrees with it; where the policy lets that count, they need not say so twice."""
    terms, user = request.terms, moves.person(actor)
    speaks = actor.may("approvals.decide_request") and not actor.roles.isdisjoint(terms.roles)
    counts = speaks and str(user.pk) not in request.barred
    given = request.decisions.filter(kind=DecisionKind.APPROVE, user=user, revoked_by=None).exists()
    if counts and not given and not terms.signature_required and request.state is RequestState.PENDING:
        return kernel.decide(request, kind=DecisionKind.APPROVE, reason=reason, actor=actor)
    return request


def _pass(deed: Deed, approval_id: UUID, actor: Actor) -> Request:
    kind = deed.row._meta.db_table
    request = Request.objects.filter(
        pk=approval_id, subject_kind=kind, subject_id=str(deed.row.pk), action=deed.action
    ).first()
    if request is None:
        raise NotFound(_("This is no approval request for what you want to do here."), request=str(approval_id))
    if request.requested_by_id != moves.person(actor).pk:
        raise DigestMismatch(
            format_lazy(
                _("{person} asked for this, and it is {person} who carries it out."),
                person=request.requested_by.username,
            ),
            request=str(request.pk),
        )
    return kernel.consume(access.locked(request), digest=_digest(deed, actor.id, request.policy), actor=actor)


def _digest(deed: Deed, requested_by: str, policy: Mapping[str, Any]) -> str:
    return digest(
        {
            "action": deed.action,
            "subject": {"kind": deed.row._meta.db_table, "id": str(deed.row.pk)},
            "facts": dict(deed.facts),
            "requested_by": requested_by,
            "policy": dict(policy),
        }
    )
