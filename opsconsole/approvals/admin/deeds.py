"""Deeds on pages: a button that asks others first says so, and its asker carries it out from the same page.

See `approvals.gate`. A domain gives `CarryOut` a way to do each of its deeds again from what the request says of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.admin.content import content_of
from opsconsole.approvals.admin.panel import slots_as_text, state_of
from opsconsole.approvals.gate import Asked, NothingAgreed
from opsconsole.approvals.models import Request
from opsconsole.approvals.selectors import active_policy
from opsconsole.approvals.states import LIVE, RequestState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, Press, ReasonForm, done
from opsconsole.core.admin.pages import Notice, Section, Table
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text

Row = TypeVar("Row", bound=Model)

# Do a deed again: as it was pressed, with what was asked for, under this approval.
Redo = Callable[[Press[Any], Mapping[str, Any], UUID], Answer]


def asked_or(message: Callable[[Any], Text], to: Callable[[Any], str]) -> Callable[[Any], Answer]:
    """How what came of a deed becomes an answer: it is done, or others are asked and here is their request."""

    def answer(result: Any) -> Answer:
        if isinstance(result, Asked):
            return done(now_("Others must agree first; then you carry it out."), to=display.row_url(result.request))
        return done(message(result), to=to(result))

    return answer


def must_agree(action: str) -> list[Section]:
    """Who must agree to a deed, before whoever wants it confirms."""
    policy = active_policy(action)
    if policy is None:
        return []
    told = now_("%(slots)s. Nothing happens until they have; then you carry it out.") % {
        "slots": slots_as_text(policy.slots)
    }
    return [Notice(told, "info", _("Must agree"))]


def waiting(row: Model, *actions: str) -> list[Section]:
    """The deeds on this row that are asked for and have not ended; nothing where there is none."""
    live = live_on(row)
    return requests_table(live.filter(action__in=actions) if actions else live)


def requests_table(requests: QuerySet[Request]) -> list[Section]:
    """These requests; nothing where there is none."""
    found = list(requests)
    if not found:
        return []
    return [
        Table(
            _("Asked for"),
            [_("what"), _("asked by"), _("state"), _("until")],
            [
                [
                    display.row_link(one, display.prose(str(one))),
                    display.by_whom(one.requested_by.username, one.created_at),
                    state_of(one),
                    display.moment(one.expires_at),
                ]
                for one in found
            ],
        )
    ]


class CarryOut(Action[Row]):
    """Do what the viewer asked for and others have agreed to."""

    name = "carry-out"
    label = _("Carry out")
    icon = "task_alt"
    tone = "go"
    form = ReasonForm

    def __init__(self, permission: str, deeds: Mapping[str, Redo]) -> None:
        self.permission, self.deeds = permission, deeds

    def offered(self, actor: Actor, row: Row) -> bool:
        """Something of the viewer's is approved."""
        return self._approved(actor, row) is not None

    def question(self, row: Row) -> Text:
        """What is done."""
        found = self.asked_for(row).filter(status=RequestState.APPROVED, action__in=self.deeds).first()
        return now_("Carry this out now: %(what)s?") % {"what": found.title if found else display.NOTHING}

    def sections(self, actor: Actor, row: Row) -> list[Section]:
        """Exactly what was approved."""
        found = self._approved(actor, row)
        return [] if found is None else list(content_of(found))

    def typed(self, row: Row) -> str:
        """The name of what it is done to."""
        return str(row)

    def perform(self, press: Press[Row]) -> Answer:
        """Once: the approval is good for one time."""
        found = self._approved(press.actor, press.row)
        if found is None:
            raise NothingAgreed(_("Nothing of yours is approved here."))
        return self.deeds[found.action](press, found.content, found.pk)

    def asked_for(self, row: Row) -> QuerySet[Request]:
        """The requests that count here; those about this row where nothing else is said."""
        return live_on(row)

    def _approved(self, actor: Actor, row: Row) -> Request | None:
        mine = self.asked_for(row).filter(status=RequestState.APPROVED, requested_by=actor.user, action__in=self.deeds)
        return mine.order_by("expires_at").first()


def live_on(row: Model) -> QuerySet[Request]:
    """The deeds on this row that are asked for and have not ended, the newest first."""
    found = Request.objects.filter(subject_kind=row._meta.db_table, subject_id=str(row.pk), status__in=LIVE)
    return found.select_related("requested_by").order_by("-created_at")
