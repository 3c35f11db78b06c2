"""Deeds on pages: a button that asks others first says so, and its asker carries it out from the same page.

See `approvals.gate`. A domain gives `CarryOut` a way to do each of its deeds again from what the request says of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast
from uuid import UUID

from django import forms
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
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, done
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
            told = now_("Others must agree first; then you carry it out.")
            if result.instead_of is not None:
                void = now_("What you asked for before is void by it: %(what)s.") % {"what": result.instead_of.title}
                told = f"{told} {void}"
            return done(told, to=display.row_url(result.request))
        return done(message(result), to=to(result))

    return answer


def must_agree(action: str) -> list[Notice]:
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


class CarryOutForm(ReasonForm):
    """Which of what was agreed to, and why."""

    request = forms.ChoiceField(
        label=_("What is carried out"), error_messages={"invalid_choice": _("Nothing of yours is approved here.")}
    )
    field_order = ("request", "reason")


class CarryOut(Action[Row]):
    """Do what the viewer asked for and others have agreed to: the request that the form names, and no other."""

    name = "carry-out"
    label = _("Carry out")
    icon = "task_alt"
    tone = "go"
    form = CarryOutForm

    def __init__(self, permission: str, deeds: Mapping[str, Redo]) -> None:
        self.permission, self.deeds = permission, deeds

    def offered(self, actor: Actor, row: Row) -> bool:
        """Something of the viewer's is approved."""
        return self._approved(actor, row).exists()

    def obstacle(self, actor: Actor, row: Row) -> Text:
        """Nothing is, as after it was carried out."""
        return "" if self.offered(actor, row) else now_("Nothing of yours is approved here.")

    def question(self, _row: Row) -> Text:
        """That it happens now."""
        return now_("Carry out now what was agreed to?")

    def sections(self, actor: Actor, row: Row) -> list[Section]:
        """Exactly what was approved, each by its name."""
        approved = self._approved(actor, row)
        return [replace(section, title=one.title) for one in approved for section in content_of(one)]

    def typed(self, row: Row) -> str:
        """The name of what it is done to."""
        return str(row)

    def make_form(self, actor: Actor, row: Row, data: Any = None, files: Any = None) -> ActionForm:
        """With what can be carried out, the only one chosen; one that was sent before gets its answer again."""
        form = super().make_form(actor, row, data, files)
        found = self._approved(actor, row) if data is None else self._mine(actor).filter(pk__in=_ids(data))
        choices = [(str(one.pk), one.title) for one in found]
        field = cast(forms.ChoiceField, form.fields["request"])
        field.choices = choices if len(choices) == 1 else [("", "---------"), *choices]
        field.required = self.offered(actor, row)
        form.initial["request"] = field.choices[0][0]
        return form

    def perform(self, press: Press[Row]) -> Answer:
        """Once: the approval is good for one time."""
        found = self._mine(press.actor).filter(pk__in=_ids(press.data)).first()
        if found is None:
            raise NothingAgreed(_("Nothing of yours is approved here."))
        return self.deeds[found.action](press, found.content, found.pk)

    def asked_for(self, row: Row) -> QuerySet[Request]:
        """The requests that count here; those about this row where nothing else is said."""
        return live_on(row)

    def _mine(self, actor: Actor) -> QuerySet[Request]:
        return Request.objects.filter(requested_by=actor.user, action__in=self.deeds)

    def _approved(self, actor: Actor, row: Row) -> QuerySet[Request]:
        mine = self.asked_for(row).filter(status=RequestState.APPROVED, requested_by=actor.user, action__in=self.deeds)
        return mine.order_by("expires_at")


def _ids(data: Mapping[str, Any]) -> list[str]:
    """The request that a form names, where that is an id at all."""
    named = str(data.get("request", ""))
    return [named] if display.UUID_FORM.fullmatch(named) else []


def live_on(row: Model) -> QuerySet[Request]:
    """The deeds on this row that are asked for and have not ended, the newest first."""
    found = Request.objects.filter(subject_kind=row._meta.db_table, subject_id=str(row.pk), status__in=LIVE)
    return found.select_related("requested_by").order_by("-created_at")
