"""The inbox: what a request is about in a line, who is still needed, and which request comes next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Prefetch, Q, QuerySet
from django.utils.translation import gettext as now_

from opsconsole.approvals import access, quorum, selectors
from opsconsole.approvals.models import Decision, Request
from opsconsole.approvals.quorum import Quorum
from opsconsole.approvals.states import OPEN, DecisionKind
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import done
from opsconsole.core.errors import Denied
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text

Gist = Callable[[Mapping[str, Any]], Text]

STANDING: Final = "standing_approvals"

_gists: dict[str, Gist] = {}


def register_gist(subject_kind: str, gist: Gist) -> None:
    """Say in a line how much requests about this kind of subject are about."""
    _gists[subject_kind] = gist


def gist_of(request: Request) -> Text:
    """How much it is about; empty where nobody says."""
    gist = _gists.get(request.subject_kind)
    return gist(request.content) if gist else ""


def with_approvals(requests: QuerySet[Request]) -> QuerySet[Request]:
    """The requests with the approvals that stand, in one more query for all of them."""
    standing = (
        Decision.objects.filter(kind=DecisionKind.APPROVE, revoked_by=None)
        .select_related("user")
        .annotate(held=ArrayAgg("user__groups__name", filter=Q(user__groups__isnull=False), default=None))
        .order_by("at", "id")
    )
    return requests.prefetch_related(Prefetch("decisions", queryset=standing, to_attr=STANDING))


def seats_of(request: Request) -> Quorum:
    """Who is seated and who is still needed, for a list; its own page counts again and looks at signatures too."""
    wanted = set(request.terms.roles)
    approvers: dict[str, frozenset[str]] = {}
    for decision in getattr(request, STANDING):
        held = frozenset(decision.held or ())
        if decision.user.is_active and decision.digest == request.digest and held & wanted:
            approvers[str(decision.user_id)] = held
    return quorum.count(request.terms.slots, approvers, request.barred)


def agreed_text(request: Request) -> str:
    """How many have agreed of how many, and who is still needed."""
    seats = seats_of(request)
    filled = len(seats.filled)
    text = f"{filled} / {filled + sum(slot.count for slot in seats.open)}"
    if request.status in OPEN and seats.open:
        still = " + ".join(quorum.in_words([slot]) for slot in seats.open)
        return now_("%(count)s, still needed: %(slots)s") % {"count": text, "slots": still}
    return text


def next_for(actor: Actor, besides: Request) -> Request | None:
    """The request that waits for this person and expires first, other than this one."""
    try:
        seen = access.visible_requests(actor)
    except Denied:
        return None
    waiting = selectors.decidable_by(seen, actor)
    return waiting.exclude(pk=besides.pk).order_by("expires_at", "id").first()


def on_to_the_next(message: str, request: Request, actor: Actor) -> Answer:
    """What was decided, and the next request that waits for this person; without one, the request itself."""
    following = next_for(actor, request)
    if following is None:
        return done(message, to=display.row_url(request))
    text = now_("%(message)s Next: “%(title)s”.") % {"message": message, "title": following.title}
    return done(text, to=display.row_url(following))
