"""What stands in a program: forms that ask in which one, buttons that its grants open, lists narrowed to one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, TypeVar, cast

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.models import Program
from opsconsole.core.actors import Actor
from opsconsole.core.admin.actions import Action, ActionForm, ReasonForm
from opsconsole.core.admin.base import actor_of
from opsconsole.core.admin.filters import OneOf, Options
from opsconsole.core.errors import Denied
from opsconsole.core.texts import Text

Row = TypeVar("Row")


class _Moment(forms.DateTimeField):
    def has_changed(self, initial: Any, data: Any) -> bool:
        """Not by seconds, of which it shows none: what looks the same is the same."""
        shown = initial.replace(second=0, microsecond=0) if isinstance(initial, datetime) else initial
        return super().has_changed(shown, data)


def moment(label: Text, *, required: bool = False, **options: Any) -> forms.DateTimeField:
    """A field for a time in UTC."""
    return _Moment(
        label=label,
        required=required,
        widget=forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        **options,
    )


class InProgramForm(ActionForm):
    """In which program."""

    program = forms.ModelChoiceField(Program.objects.none(), label=_("Program"))


class InProgramReasonForm(InProgramForm, ReasonForm):
    """The same, and why."""


class InProgram(Action[None]):
    """Something new in a program; `form` asks in which, of those where the viewer may do it."""

    form: type[ActionForm] = InProgramForm

    def make_form(self, actor: Actor, row: None, data: Any = None, files: Any = None) -> ActionForm:
        """With these programs; the only one is chosen."""
        form = super().make_form(actor, row, data, files)
        choice = cast("forms.ModelChoiceField[Program]", form.fields["program"])
        choice.queryset = programs_for(actor, self.permission)
        if choice.required and len(found := choice.queryset[:2]) == 1:
            form.initial.setdefault("program", found[0].pk)
        return form

    def allowed(self, actor: Actor, _row: None) -> bool:
        """By role, or by a grant on one program."""
        return actor.may(self.permission) or programs_for(actor, self.permission).exists()


def programs_for(actor: Actor, permission: str) -> QuerySet[Program]:
    """The programs in which the actor may do this, by name; none for one who may in none."""
    try:
        return access.programs_to_use(actor, permission).order_by("name")
    except Denied:
        return Program.objects.none()


class OfProgram(OneOf):
    """The rows of one program."""

    title = _("program")
    parameter_name = "program__id__exact"
    path: ClassVar[str] = "program"

    @classmethod
    def by(cls, path: str) -> type[OfProgram]:
        """The filter where the program is found by this path."""
        return type("OfProgramBy", (cls,), {"path": path})

    def options(self, request: HttpRequest) -> Options:
        """The programs that the viewer may see."""
        return [(str(pk), name) for pk, name in access.visible_programs(actor_of(request)).values_list("pk", "name")]

    def narrow(self, request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """The rows that fit; none for what is no program."""
        known = {option for option, _name in self.options(request)}
        return rows.filter(**{self.path: value}) if value in known else rows.none()
