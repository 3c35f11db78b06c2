"""Ticks: the rows that are ticked in a list lead to the form of an action, in which they then stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm
from opsconsole.core.admin.base import ConsoleAdmin, actor_of
from opsconsole.core.texts import Text

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a list offers for the rows that are ticked: under this name, the form of this action."""

    name: str
    action: type[Action[None]]
    label: Text


class TickableAdmin(ConsoleAdmin[Row], Generic[Row]):
    """A list whose rows can be ticked, for actions on several of them; ticking alone changes nothing."""

    choices_for_ticked: ClassVar[Sequence[Choice]]
    ticked_as: ClassVar[str]  # what a ticked row is called in the address of the form
    most_ticked: ClassVar[int]

    def show_ticked(self, request: HttpRequest, form: ActionForm, ticked: Sequence[str]) -> None:
        """Have the form begin with the rows of these keys, which stood in an address and may be anything."""
        raise NotImplementedError

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """What can be done with the rows that are ticked, by whoever may."""
        actor = actor_of(request)
        return {
            choice.name: (_leading_to(choice.action), choice.name, choice.label)
            for choice in self.choices_for_ticked
            if choice.action().allowed(actor, None)
        }

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list; a POST leads those ticked on to the form of an action, and changes nothing."""
        if request.method == "POST":
            return super(ConsoleAdmin, self).changelist_view(request, extra_context)
        return super().changelist_view(request, extra_context)

    def action_view(
        self, request: HttpRequest, *, action: Action[Any], object_id: str | None = None
    ) -> HttpResponseBase:
        """An action's form; those ticked stand in it."""
        response = super().action_view(request, action=action, object_id=object_id)
        ticked = request.GET.getlist(self.ticked_as) if self._takes_ticked(action) else []
        if ticked and request.method == "GET" and isinstance(response, TemplateResponse) and response.context_data:
            self.show_ticked(request, response.context_data["form"], ticked)
        return response

    def _takes_ticked(self, action: Action[Any]) -> bool:
        return any(isinstance(action, choice.action) for choice in self.choices_for_ticked)


def _leading_to(action: type[Action[None]]) -> Callable[..., HttpResponse]:
    """A choice of the list: on to the form of an action, with those ticked."""

    def lead(model_admin: TickableAdmin[Any], request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse:
        most = model_admin.most_ticked
        keys = list(rows.values_list("pk", flat=True)[: most + 1])
        if len(keys) > most:
            told = _("At most %(most)s at a time: these are the first ones.")
            messages.warning(request, told % {"most": display.number(most)})
        form = reverse(f"{model_admin.admin_site.name}:{model_admin.url_name(action.name)}")
        return HttpResponseRedirect(f"{form}?{urlencode([(model_admin.ticked_as, str(pk)) for pk in keys[:most]])}")

    return lead
