"""Drafting a plan by form: what every plan has, and the fields that its type brings along.

A domain registers the fields of its plan types with `register_fields`; a type without any is drafted as JSON, as any
type can be by those who prefer it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any, Final

from django import forms
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.admin.panel import roles_as_text, slots_as_text
from opsconsole.approvals.selectors import active_policy
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, done, then
from opsconsole.core.admin.pages import Notice, Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.plans.admin.rows import PlanAction
from opsconsole.plans.models import Plan
from opsconsole.plans.services import drafts
from opsconsole.plans.services.drafts import EDITABLE, Draft
from opsconsole.plans.states import OnFailure, PlanState
from opsconsole.plans.transitions import live_run
from opsconsole.plans.types import registered, type_named

MAX_JSON: Final = 100_000
HTML_TIME: Final = "%Y-%m-%dT%H:%M"
MOST_APPROVALS: Final = 20
SHORT_ID: Final = 150


class PayloadFields(forms.Form):
    """The base of a plan type's own fields."""

    def payload(self) -> dict[str, Any]:
        """What the plan type parses."""
        raise NotImplementedError

    @staticmethod
    def initial_of(payload: Mapping[str, Any]) -> dict[str, Any]:
        """The fields' values for a payload that is there."""
        raise NotImplementedError

    @staticmethod
    def shown(payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """The payload for people: as it is, but for ids of rows, which have names."""
        return payload

    def keep_to(self, actor: Actor) -> None:
        """Offer no record that the actor may not see; most fields offer none at all."""


class JsonFields(PayloadFields):
    """The payload as JSON: for a type without fields of its own, and for those who have it at hand."""

    payload_json = forms.CharField(
        label=_("Payload (JSON)"),
        max_length=MAX_JSON,
        widget=forms.Textarea({"rows": 8, "class": "ops-mono", "spellcheck": "false"}),
        help_text=_("An object, as the API takes it; the reference of plan types says what each one wants."),
    )

    def clean_payload_json(self) -> dict[str, Any]:
        """The object that was written; raises ValidationError with the line where it is none."""
        try:
            value = json.loads(self.cleaned_data["payload_json"])
        except json.JSONDecodeError as error:
            raise forms.ValidationError(
                now_("This is no JSON: %(problem)s in line %(line)s.") % {"problem": error.msg, "line": error.lineno}
            ) from error
        if not isinstance(value, dict):
            raise forms.ValidationError(now_("This must be an object: {…}."))
        return value

    def payload(self) -> dict[str, Any]:
        """As it was written."""
        return dict(self.cleaned_data["payload_json"])

    @staticmethod
    def initial_of(payload: Mapping[str, Any]) -> dict[str, Any]:
        """Indented, so that it can be read."""
        return {"payload_json": json.dumps(payload, indent=2, ensure_ascii=False)}


class TypedJsonFields(JsonFields):
    """The same, for any type."""

    plan_type = forms.ChoiceField(
        label=_("Type"), choices=lambda: [(plan_type.name, plan_type.label) for plan_type in registered()]
    )
    field_order = ("plan_type", "payload_json")


_fields: dict[str, type[PayloadFields]] = {}


def register_fields(plan_type: str, fields: type[PayloadFields]) -> None:
    """Let plans of this type be drafted by form."""
    _fields[plan_type] = fields


def _time(label: Text, help_text: Text) -> forms.DateTimeField:
    return forms.DateTimeField(
        label=label,
        required=False,
        help_text=help_text,
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
    not_before = _time(_("Not before"), _("Nobody can execute it earlier. In UTC; empty for no limit."))
    not_after = _time(_("Not after"), _("Nobody can execute it later. In UTC; empty for no limit."))

    def payload(self) -> dict[str, Any]:
        """The type's own part."""
        raise NotImplementedError

    def keep_to(self, actor: Actor) -> None:
        """As the type's own fields do it."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        """The type's own fields as one payload."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            cleaned["payload"] = self.payload()
        return cleaned


def form_for(plan_type: str) -> type[CommonFields]:
    """The form of a plan type: its own fields between the name and the rest."""
    return _form_of(fields_of(plan_type))


def fields_of(plan_type: str) -> type[PayloadFields]:
    """The fields of a plan type's payload."""
    return _fields.get(plan_type, JsonFields)


def _form_of(own: type[PayloadFields]) -> type[CommonFields]:
    order = ["name", "external_id", "description", *own.base_fields]
    return type("DraftForm", (own, CommonFields), {"field_order": order})


class DraftPlan(Action[None]):
    """Write a new plan of one type down."""

    submit = _("Write the draft")
    icon = "add"
    group = _("New plan")
    tone = "primary"
    permission = "plans.create_plan"

    def __init__(self, plan_type: str) -> None:
        self.plan_type = plan_type
        self.name = f"new-{slugify(plan_type.replace('_', '-'))}"
        self.label = type_named(plan_type).label
        self.form = form_for(plan_type)

    def question(self, _row: None) -> Text:
        """What the type does."""
        return type_named(self.plan_type).summary

    def sections(self, _actor: Actor, _row: None) -> Sequence[Section]:
        """What a draft is, and who comes after it."""
        return [Notice(_what_follows(self.plan_type))]

    def initial(self, _row: None) -> dict[str, Any]:
        """An external id that nobody has, and a name."""
        plan_type = type_named(self.plan_type)
        payload = JsonFields.initial_of(plan_type.example) if self.plan_type not in _fields else {}
        return payload | {
            "name": f"{plan_type.label} {timezone.now():%Y-%m-%d}",
            "external_id": _fresh_id(str(plan_type.label)),
        }

    def perform(self, press: Press[None]) -> Answer:
        """Write it down."""
        return _write(press, self.plan_type)


class DraftAsJson(Action[None]):
    """Write a new plan of any type down, its payload as JSON."""

    name = "new-json"
    label = _("From JSON")
    submit = _("Write the draft")
    icon = "data_object"
    group = _("New plan")
    tone = "primary"
    permission = "plans.create_plan"
    form = _form_of(TypedJsonFields)

    def question(self, _row: None) -> Text:
        """For whom it is."""
        return _("A plan of any type, its payload written as the API takes it.")

    def initial(self, _row: None) -> dict[str, Any]:
        """An external id that nobody has."""
        return {"external_id": _fresh_id("plan")}

    def perform(self, press: Press[None]) -> Answer:
        """Write it down."""
        return _write(press, press.data["plan_type"])


class DuplicatePlan(Action[Plan]):
    """Begin a new draft with what an ended plan had."""

    name = "duplicate"
    label = _("Duplicate")
    submit = _("Write the draft")
    icon = "content_copy"
    permission = "plans.create_plan"

    def offered(self, _actor: Actor, row: Plan) -> bool:
        """One that has ended: one that has not is taken back and edited."""
        return row.status not in (PlanState.DRAFT, PlanState.STAGED, PlanState.APPROVED) and live_run(row) is None

    def question(self, row: Plan) -> Text:
        """That it is another plan."""
        return now_("A new plan that begins with what “%(name)s” had; it is approved and executed for itself.") % {
            "name": row.name
        }

    def make_form(self, _actor: Actor, row: Plan, data: Any = None, files: Any = None) -> ActionForm:
        """The form of its type, filled in."""
        return form_for(row.plan_type)(data, files, initial=self.initial(row))

    def initial(self, row: Plan) -> dict[str, Any]:
        """What the plan had; not its window, which has passed, and not its id."""
        known = _filled_in(row)
        return known | {
            "name": now_("%(name)s (again)") % {"name": row.name},
            "external_id": _fresh_id(row.external_id[:SHORT_ID]),
            "not_before": None,
            "not_after": None,
        }

    def perform(self, press: Press[Plan]) -> Answer:
        """Write it down."""
        return _write(press, press.row.plan_type)


def _write(press: Press[Any], plan_type: str) -> Answer:
    def render(made: tuple[Plan, bool]) -> Answer:
        plan, new = made
        if new:
            return done(now_("The draft is written. Stage it to see what it would do."), to=display.row_url(plan))
        return done(now_("This very plan was drafted before: here it is."), to=display.row_url(plan))

    draft = Draft(external_id=press.data["external_id"], plan_type=plan_type, **_editable(press.data))
    return drafts.create_plan.once(press.key, render, draft=draft, actor=press.actor)


def _what_follows(plan_type: str) -> str:
    """Who must agree to a plan of this type, and that a draft does nothing yet."""
    policy = active_policy(f"plan.{plan_type}")
    if policy is None:
        return now_("A draft does nothing. Staging it shows what it would do.")
    return now_(
        "A draft does nothing. Staging it shows what it would do and asks others to approve it: %(slots)s; then"
        " %(executors)s can execute it."
    ) % {"slots": slots_as_text(policy.slots), "executors": roles_as_text(policy.executors)}


def _fresh_id(begin: str) -> str:
    """An external id that nobody has."""
    return f"{slugify(begin) or 'plan'}-{timezone.now():%Y%m%d}-{token_hex(3)}"


def _filled_in(plan: Plan) -> dict[str, Any]:
    """The fields of a plan's form as they stand."""
    known = {name: getattr(plan, name) for name in EDITABLE if name not in ("payload", "required_approvals")}
    return known | {"required_approvals": plan.asked_approvals} | fields_of(plan.plan_type).initial_of(plan.payload)


class EditPlan(PlanAction[Plan]):
    """Change a draft."""

    name = "edit"
    label = _("Edit")
    submit = _("Change the draft")
    icon = "edit"
    permission = "plans.create_plan"

    def offered(self, _actor: Actor, row: Plan) -> bool:
        """A draft."""
        return row.status == PlanState.DRAFT

    def question(self, row: Plan) -> Text:
        """What follows for the editor."""
        return now_("Edit “%(name)s”. Whoever edits a plan cannot approve it.") % {"name": row.name}

    def make_form(self, actor: Actor, row: Plan, data: Any = None, files: Any = None) -> ActionForm:
        """The form of its type, filled in; the external id stands, and only what the editor may see is offered."""
        form = form_for(row.plan_type)(data, files, initial=self.initial(row))
        form.fields.pop("external_id")
        form.keep_to(actor)
        return form

    def initial(self, row: Plan) -> dict[str, Any]:
        """The plan as it is."""
        return _filled_in(row)

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
    """A button for each plan type, and one for JSON."""
    return [*(DraftPlan(plan_type.name) for plan_type in registered()), DraftAsJson()]


def _editable(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in EDITABLE}
