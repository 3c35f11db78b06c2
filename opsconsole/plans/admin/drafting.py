"""Drafting a plan by form: what every plan has, and the fields that its type brings along.

A domain registers the fields of its plan types with `register_fields`; there is a button for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex
from typing import Any, Final

from django import forms
from django.utils import timezone
from django.utils.text import format_lazy, slugify
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, done, then
from opsconsole.core.admin.display import Text
from opsconsole.core.idempotency import Answer
from opsconsole.plans.admin.rows import PlanAction
from opsconsole.plans.models import Plan
from opsconsole.plans.services import drafts
from opsconsole.plans.services.drafts import EDITABLE, Draft
from opsconsole.plans.states import OnFailure, PlanState
from opsconsole.plans.types import type_named

HTML_TIME: Final = "%Y-%m-%dT%H:%M"
MOST_APPROVALS: Final = 20


class PayloadFields(forms.Form):
    """The base of a plan type's own fields."""

    def payload(self) -> dict[str, Any]:
        """What the plan type parses."""
        raise NotImplementedError

    @staticmethod
    def initial_of(payload: Mapping[str, Any]) -> dict[str, Any]:
        """The fields' values for a payload that is there."""
        raise NotImplementedError


_fields: dict[str, type[PayloadFields]] = {}


def register_fields(plan_type: str, fields: type[PayloadFields]) -> None:
    """Let plans of this type be drafted by form."""
    _fields[plan_type] = fields


def _time(label: Text) -> forms.DateTimeField:
    return forms.DateTimeField(
        label=label,
        required=False,
        help_text=_("In UTC; empty for no limit."),
        widget=forms.DateTimeInput({"type": "datetime-local"}, format=HTML_TIME),
    )


class CommonFields(ActionForm):
    """What every plan has."""

    name = forms.CharField(label=_("Name"), max_length=200)
    external_id = forms.CharField(
        label=_("External id"), max_length=200, help_text=_("Your own id for it; makes a repetition harmless.")
    )
    description = forms.CharField(
        label=_("Description"), required=False, max_length=4000, widget=forms.Textarea({"rows": 2})
    )
    required_approvals = forms.IntegerField(
        label=_("Approvals wanted"),
        required=False,
        min_value=1,
        max_value=MOST_APPROVALS,
        help_text=_("May raise what the policy asks for, never lower it; empty for the policy's own number."),
    )
    on_failure = forms.ChoiceField(
        label=_("When a step fails"),
        choices=OnFailure.choices,
        initial=OnFailure.STOP.value,
        help_text=_("Stop leaves the rest pending; roll back undoes what was done; continue ends partial."),
    )
    not_before = _time(_("Not before"))
    not_after = _time(_("Not after"))

    def payload(self) -> dict[str, Any]:
        """The type's own part."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        """The type's own fields as one payload."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            cleaned["payload"] = self.payload()
        return cleaned


def form_for(plan_type: str) -> type[CommonFields]:
    """The form of a plan type: its own fields between the name and the rest."""
    own = _fields[plan_type]
    order = ["name", "external_id", "description", *own.base_fields]
    return type("DraftForm", (own, CommonFields), {"field_order": order})


class DraftPlan(Action[None]):
    """Write a new plan of one type down."""

    submit = _("Write the draft")
    icon = "add"
    tone = "primary"
    permission = "plans.create_plan"

    def __init__(self, plan_type: str) -> None:
        self.plan_type = plan_type
        self.name = f"new-{slugify(plan_type.replace('_', '-'))}"
        self.label = format_lazy(_("New: {type}"), type=type_named(plan_type).label)
        self.form = form_for(plan_type)

    def question(self, _row: None) -> Text:
        """What the type does."""
        return type_named(self.plan_type).summary

    def initial(self, _row: None) -> dict[str, Any]:
        """An external id that nobody has, and a name."""
        label, today = type_named(self.plan_type).label, timezone.now().date()
        return {
            "name": f"{label} {today:%Y-%m-%d}",
            "external_id": f"{slugify(label)}-{today:%Y%m%d}-{token_hex(3)}",
        }

    def perform(self, press: Press[None]) -> Answer:
        """Write it down."""

        def render(made: tuple[Plan, bool]) -> Answer:
            plan, new = made
            if new:
                return done(now_("The draft is written. Stage it to see what it would do."), to=display.row_url(plan))
            return done(now_("This very plan was drafted before: here it is."), to=display.row_url(plan))

        draft = Draft(external_id=press.data["external_id"], plan_type=self.plan_type, **_editable(press.data))
        return drafts.create_plan.once(press.key, render, draft=draft, actor=press.actor)


class EditPlan(PlanAction[Plan]):
    """Change a draft."""

    name = "edit"
    label = _("Edit")
    submit = _("Change the draft")
    icon = "edit"
    permission = "plans.create_plan"

    def offered(self, _actor: Actor, row: Plan) -> bool:
        """A draft of a type with a form."""
        return row.status == PlanState.DRAFT and row.plan_type in _fields

    def question(self, row: Plan) -> Text:
        """What follows for the editor."""
        return now_("Edit “%(name)s”. Whoever edits a plan cannot approve it.") % {"name": row.name}

    def make_form(self, _actor: Actor, row: Plan, data: Any = None, files: Any = None) -> ActionForm:
        """The form of its type, filled in; the external id stands."""
        form = form_for(row.plan_type)(data, files, initial=self.initial(row))
        form.fields.pop("external_id")
        return form

    def initial(self, row: Plan) -> dict[str, Any]:
        """The plan as it is."""
        known = {name: getattr(row, name) for name in EDITABLE if name not in ("payload", "required_approvals")}
        return known | {"required_approvals": row.asked_approvals} | _fields[row.plan_type].initial_of(row.payload)

    def perform(self, press: Press[Plan]) -> Answer:
        """Change it."""
        return drafts.edit_plan.once(
            press.key,
            then(lambda _plan: now_("The draft is changed."), display.row_url),
            plan_id=press.row.pk,
            changes=_editable(press.data),
            actor=press.actor,
        )


def draft_actions() -> list[Action[None]]:
    """A button for each plan type that has a form."""
    return [DraftPlan(plan_type) for plan_type in sorted(_fields)]


def _editable(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in EDITABLE}
