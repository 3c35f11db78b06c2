"""What is approved lives in the apps above; here they say how it follows its request.

A plan moves when its request is decided, in the same transaction, though approvals know nothing of plans: the app
that owns the subject registers its hooks under the `subject_kind` it opens requests with, in its `AppConfig.ready`.

Lock order, for every writer: the subject's row first, then its request's row. Everything in `kernel` that moves a
request calls `lock` before it locks the request, so a service that holds its subject already may call it freely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

    from opsconsole.approvals.models import Request
    from opsconsole.approvals.states import Outcome
    from opsconsole.core.actors import Actor


@dataclass(frozen=True, slots=True)
class SubjectHooks:
    """How a kind of subject takes part; each is called inside the operation that moves the request.

    `lock(subject_id)` takes the subject's row FOR UPDATE (raises NotFound; it must not refuse by state, the sweeper
    calls it too). `decided(request, outcome, actor)` follows an approval, its revocation, a recount or a rejection;
    raising a DomainError refuses the decision altogether. `expired(request)` follows the end of the time to live.
    Voiding and consuming are the subject's own doing, so nobody is told of them. `journal_kind` is the kind under
    which entries about the subject stand in the journal (its table); without one it is the subject kind.
    `opened(actor)` are the subjects the actor was granted the sight of, one by one: their requests are open to them.
    Whoever holds the permission `sight` sees the requests of every subject of the kind.
    """

    lock: Callable[[str], object]
    decided: Callable[[Request, Outcome, Actor], object]
    expired: Callable[[Request], object]
    journal_kind: str = ""
    opened: Callable[[Actor], QuerySet[Model]] | None = None
    sight: str = ""


_hooks: dict[str, SubjectHooks] = {}


def register(kind: str, hooks: SubjectHooks) -> None:
    """Let requests be opened for this kind of subject."""
    _hooks[kind] = hooks


def hooks_for(kind: str) -> SubjectHooks:
    """The hooks of a kind of subject; raises LookupError where none are registered."""
    if kind not in _hooks:
        raise LookupError(f"no subject of kind {kind!r} takes part in approvals")
    return _hooks[kind]


def kinds_open_to(actor: Actor) -> list[str]:
    """The kinds of subject whose requests the actor sees, whichever subject they are about."""
    return [kind for kind, hooks in _hooks.items() if hooks.sight and actor.may(hooks.sight)]


def sight_of(kind: str) -> str:
    """The permission that opens the requests about this kind of subject, besides that for all requests; or none."""
    return _hooks[kind].sight if kind in _hooks else ""


def opened_to(actor: Actor) -> list[tuple[str, QuerySet[Model]]]:
    """The subjects the actor was granted the sight of, by kind; kinds without any are left out."""
    found = [(kind, hooks.opened(actor)) for kind, hooks in _hooks.items() if hooks.opened is not None]
    return [(kind, rows) for kind, rows in found if rows.exists()]


def journal_kind(kind: str) -> str:
    """The kind under which the journal keeps entries about such a subject."""
    return hooks_for(kind).journal_kind or kind
