"""The live parts of a page: what is asked is asked now, what can be pressed leads on, the rest says why not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action
from opsconsole.core.admin.base import ConsoleAdmin, actor_of
from opsconsole.core.errors import Denied, DomainError
from opsconsole.core.texts import Text
from opsconsole.runbooks import running
from opsconsole.runbooks.actions import ActionLink
from opsconsole.runbooks.admin import cells
from opsconsole.runbooks.diagnostics import Values
from opsconsole.runbooks.errors import DiagnosticTooSlow, ParametersInvalid
from opsconsole.runbooks.library import Book
from opsconsole.runbooks.markdown import Part
from opsconsole.runbooks.parameters import Parameter, ParameterForm, filled_in, lacking, options_of, united
from opsconsole.runbooks.running import PATIENCE, Finding, Standing

STANDINGS: Final[dict[Standing, tuple[Text, str]]] = {
    Standing.GOOD: (gettext_lazy("in order"), "good"),
    Standing.BAD: (gettext_lazy("not in order"), "bad"),
    Standing.OPEN: (gettext_lazy("not known yet"), "warn"),
}
Options = list[tuple[str, Sequence[tuple[str, Text]]]]


@dataclass
class Desk:
    """A runbook in front of a reader: what they typed, and what they asked for.

    All checks of a page share the time of one question, so that the page opens on a day when the database is slow.
    """

    request: HttpRequest
    book: Book
    typed: dict[str, str] = field(init=False)
    left: timedelta = field(default_factory=lambda: PATIENCE)
    places: list[str] = field(init=False)
    offered: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        known = {parameter.name for parameter in self.parameters}
        self.typed = {name: self.request.GET[name] for name in self.request.GET if name in known}
        self.places = []
        for part in self.book.parts:
            place = f"{part.kind}-{part.name}"
            self.places.append(place if place not in self.places else f"{place}-{len(self.places)}")

    @property
    def actor(self) -> Actor:
        """The reader."""
        return actor_of(self.request)

    @cached_property
    def parameters(self) -> list[Parameter]:
        """Everything that any part takes."""
        return united(*(self._known(part).parameters for part in self.book.parts))

    @cached_property
    def subject(self) -> list[Parameter]:
        """What the page is about: parameters that nobody can guess."""
        return [parameter for parameter in self.parameters if parameter.required and not parameter.default]

    def about(self) -> tuple[ParameterForm, Options]:
        """The form over the subject, as it was typed."""
        form = ParameterForm(self.subject, self._bound(self.subject), part="about")
        for name in [name for name in form.errors if not self.typed.get(name)]:
            del form.errors[name]  # it may be said later, or never: a part that needs it says so
        return form, self._offer(form, self.subject)

    def place(self, number: int) -> SafeString:
        """What stands at the place of a part."""
        part, id = self.book.parts[number], self.places[number]
        render = {"diagnostic": self._diagnostic, "action": self._action, "check": self._check}[part.kind]
        context = {"id": id, "name": part.name, **render(part, id)}
        html = render_to_string(f"console/runbooks/{part.kind}.html", context, self.request)
        return mark_safe(html)  # noqa: S308 - by a template

    def _known(self, part: Part) -> Any:
        return getattr(self.book.domain, part.kind)(part.name)

    def _bound(self, parameters: Sequence[Parameter]) -> dict[str, str] | None:
        """What was typed of these; None as long as none of them was."""
        if not any(parameter.name in self.typed for parameter in parameters):
            return None
        return filled_in(parameters, self.typed)

    def _offer(self, form: ParameterForm, parameters: Sequence[Parameter]) -> Options:
        """Tell the fields where their choices stand; lists of choices that do not stand on the page yet."""
        lists: Options = []
        for parameter in parameters:
            if parameter.options is None:
                continue
            id = f"options-{parameter.name}"
            form.fields[parameter.name].widget.attrs["list"] = id
            if id not in self.offered:
                self.offered.add(id)
                lists.append((id, options_of(parameter, self.actor)))
        return lists

    # --- diagnostics ---

    def _diagnostic(self, part: Part, id: str) -> dict[str, Any]:
        diagnostic = self._known(part)
        try:
            self.actor.require(diagnostic.permission)
        except Denied as denied:
            return {"label": diagnostic.label, "refused": denied.told}
        given = filled_in(diagnostic.parameters, self.typed, part.presets)
        asked = self.request.GET.get("run") == id
        form = ParameterForm(diagnostic.parameters, given if asked else None, part=id)
        form.initial = given
        known = self._said_above(form)
        shown = [parameter for parameter in diagnostic.parameters if parameter.name not in known]
        context: dict[str, Any] = {
            "label": diagnostic.label,
            "fields": [form[parameter.name] for parameter in shown],
            "options": self._offer(form, shown),
            "kept": [
                (name, said) for name, said in self.typed.items() if said and (name in known or name not in given)
            ],
        }
        if not asked or not form.is_valid():
            return context
        try:
            outcome = running.run(diagnostic, form.cleaned_data, actor=self.actor)
        except DomainError as error:
            return context | {"problem": error.told}
        return context | {
            "answer": cells.answer(diagnostic, outcome),
            "told": cells.told(outcome),
            "sql": outcome.sql,
        }

    def _said_above(self, form: ParameterForm) -> set[str]:
        """The fields that nobody need fill in here: they are of what the page is about, and that is said."""
        said: set[str] = set()
        for parameter in self.subject:
            if parameter.name in form.fields and self.typed.get(parameter.name):
                try:
                    form.fields[parameter.name].clean(self.typed[parameter.name])
                except ValidationError:
                    continue
                said.add(parameter.name)
        return said

    # --- checks ---

    def _check(self, part: Part, _id: str) -> dict[str, Any]:
        check = self._known(part)
        if without := lacking(check.parameters, filled_in(check.parameters, self.typed, part.presets)):
            return _standing(Standing.OPEN, _("say first: %(names)s") % {"names": _named(without)})
        try:
            finding = self._judged(check, part)
        except DomainError as error:
            return _standing(Standing.OPEN, error.told)
        if not finding.figures:
            return _standing(Standing.OPEN, _("nothing is known of this"))
        figures = cells.in_a_sentence(finding.figures, check.words)
        return _standing(finding.standing, str(check.told).format(**figures))

    def _judged(self, check: Any, part: Part) -> Finding:
        values = running.values_of(check.parameters, self.typed, part.presets)
        if self.left <= timedelta(0):
            raise DiagnosticTooSlow(gettext_lazy("not looked at: the checks before it took too long"))
        began = time.monotonic()
        try:
            return running.judge(check, values, actor=self.actor, patience=self.left)
        finally:
            self.left -= timedelta(seconds=time.monotonic() - began)

    # --- actions ---

    def _action(self, part: Part, _id: str) -> dict[str, Any]:
        link: ActionLink = self._known(part)
        context = {"label": link.label, "note": link.note, "icon": "arrow_forward", "tone": "plain"}
        if without := lacking(link.parameters, filled_in(link.parameters, self.typed, part.presets)):
            return context | {"why": _("It has to be known first:"), "about": _named(without)}
        try:
            values = running.values_of(link.parameters, self.typed, part.presets)
            return context | self._way(link, values)
        except ParametersInvalid as error:
            return context | {"why": " ".join(str(said[0]) for said in error.fields["errors"].values())}
        except DomainError as error:
            return context | {"why": error.told}

    def _way(self, link: ActionLink, values: Values) -> dict[str, Any]:
        """Where the action leads, or why it does not; who may see nothing there is not told what there is."""
        if link.permission:
            self.actor.require(link.permission)
        found = button_at(link.address)
        if found is not None and not found[0].has_view_permission(self.request):
            return {"why": _("You may not see %(what)s.") % {"what": found[0].opts.verbose_name_plural}}
        key = running.row_of(link, values)
        if link.row and key is None:
            return {"why": _("There is nothing with these values, or nothing you may see.")}
        context: dict[str, Any] = {}
        if found is not None:
            model_admin, action = found
            why = self._obstacle(model_admin, action, key)
            if why:
                return {"why": why}
            if action is not None:
                context = {"icon": action.icon or "arrow_forward", "tone": action.tone}
        url = reverse(f"admin:{link.address}", args=[] if key is None else [str(key)])
        begins = {name: self.typed.get(parameter, "") for name, parameter in link.given.items()}
        begins = {name: said for name, said in begins.items() if said}
        return context | {"url": f"{url}?{urlencode(begins)}" if begins else url}

    def _obstacle(self, model_admin: ConsoleAdmin[Any], action: Action[Any] | None, key: object | None) -> Text:
        """Why the viewer cannot go there now; empty when they can."""
        row = None
        if key is not None:
            row = model_admin.get_queryset(self.request).filter(pk=key).first()
            if row is None:
                return _("There is nothing with these values, or nothing you may see.")
        if action is None:
            return ""
        if not action.allowed(self.actor, row):
            return _denial(self.actor, action.permission)
        if not action.offered(self.actor, row):
            return _("It makes no sense as things are now.")
        return action.obstacle(self.actor, row)


def button_at(address: str) -> tuple[ConsoleAdmin[Any], Action[Any] | None] | None:
    """Whose page stands at this address of the admin, and which button; None for a page of nobody's rows."""
    for model_admin in admin.site._registry.values():
        if not isinstance(model_admin, ConsoleAdmin):
            continue
        for action in (*model_admin.row_actions, *model_admin.list_actions()):
            if model_admin.url_name(action.name) == address:
                return model_admin, action
        if address in (model_admin.url_name(name) for name in ("changelist", "change", *model_admin.more_urls())):
            return model_admin, None
    return None


def _denial(actor: Actor, permission: str) -> Text:
    try:
        actor.require(permission)
    except Denied as denied:
        return denied.told
    return _("You may not do this.")


def _named(parameters: Sequence[Parameter]) -> str:
    return ", ".join(str(parameter.label) for parameter in parameters)


def _standing(standing: Standing, found: Text) -> dict[str, Any]:
    text, tone = STANDINGS[standing]
    return {"standing": display.label(text, tone), "found": found}
