"""What people do about rules of earning: make a multiplier or a cap, change it, switch it off and on."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty.admin.earn_rate import rule_made, who_agrees
from loyalty.admin.in_program import InProgram, InProgramReasonForm, moment
from loyalty.ledger import MOST_POINTS
from loyalty.models import Rule
from loyalty.services import rules
from loyalty.services.rules import MAX_NAME, MOST_DAYS, MOST_TIMES, PERMISSION
from loyalty.states import RuleKind
from opsconsole.approvals.admin.deeds import asked_or
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, RevisionForm
from opsconsole.core.admin.pages import Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text

TIMES = ("starts_at", "ends_at")
OF_MULTIPLIER = ("name", "multiplier", *TIMES)
OF_CAP = ("name", "cap_points", "period_days", *TIMES)


class _RuleFields(ActionForm):
    name = forms.CharField(label=_("Name"), max_length=MAX_NAME)
    starts_at = moment(_("Holds from"), help_text=_("In UTC. Empty: at once."))
    ends_at = moment(_("Holds until"), help_text=_("In UTC. Empty: until it is switched off."))


class _MultiplierFields(_RuleFields):
    multiplier = forms.DecimalField(
        label=_("Times"),
        help_text=_("2 doubles what is earned, 1.5 adds half of it."),
        min_value=Decimal("0.001"),
        max_value=MOST_TIMES,
        max_digits=6,
        decimal_places=3,
    )


class _CapFields(_RuleFields):
    cap_points = forms.IntegerField(label=_("At most, in points"), min_value=1, max_value=MOST_POINTS)
    period_days = forms.IntegerField(label=_("In so many days"), min_value=1, max_value=MOST_DAYS)


class NewMultiplierForm(_MultiplierFields, InProgramReasonForm):
    """In which program, how much, and why."""

    field_order = ("program", *OF_MULTIPLIER, "reason")


class NewCapForm(_CapFields, InProgramReasonForm):
    """In which program, how much, and why."""

    field_order = ("program", *OF_CAP, "reason")


class MultiplierForm(RevisionForm, _MultiplierFields, ReasonForm):
    """How much, and why."""

    field_order = (*OF_MULTIPLIER, "reason")


class CapForm(RevisionForm, _CapFields, ReasonForm):
    """How much, and why."""

    field_order = (*OF_CAP, "reason")


class NewMultiplier(InProgram):
    """Multiply what is earned."""

    name = "new-multiplier"
    label = _("New multiplier")
    icon = "trending_up"
    permission = PERMISSION
    form = NewMultiplierForm

    def question(self, _row: None) -> Text:
        """What it does."""
        return now_("Have a program multiply what is earned in it? It does so on top of its earn rate.")

    def sections(self, _actor: Actor, _row: None) -> Sequence[Section]:
        """Who must agree."""
        return who_agrees()

    def perform(self, press: Press[None]) -> Answer:
        """Ask."""
        return _made(press, RuleKind.MULTIPLIER, OF_MULTIPLIER)


class NewCap(InProgram):
    """Hold back what is earned."""

    name = "new-cap"
    label = _("New cap")
    icon = "vertical_align_top"
    permission = PERMISSION
    form = NewCapForm

    def question(self, _row: None) -> Text:
        """That it counts at once."""
        return now_("Cap what a member earns in a period? It holds at once; what was earned stays.")

    def perform(self, press: Press[None]) -> Answer:
        """Make it."""
        return _made(press, RuleKind.CAP, OF_CAP)


def _made(press: Press[None], kind: RuleKind, facts: Sequence[str]) -> Answer:
    return rules.create_rule.once(
        press.key,
        rule_made,
        program_id=press.data["program"].pk,
        kind=kind.value,
        **{name: press.data[name] for name in facts},
        reason=press.data["reason"],
        actor=press.actor,
    )


class _OnRule(Action[Rule]):
    """Something done to one rule; the right to it may be granted on its program alone."""

    permission = PERMISSION
    form: type[ActionForm] = ReasonForm

    def allowed(self, actor: Actor, row: Rule) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.program)

    def sections(self, _actor: Actor, row: Rule) -> Sequence[Section]:
        """Who must agree, if anybody."""
        return who_agrees() if row.kind == RuleKind.MULTIPLIER else ()


class ChangeRule(_OnRule):
    """Another factor, another cap, another time."""

    name = "edit"
    label = _("Change")
    icon = "edit"

    def make_form(self, actor: Actor, row: Rule, data: Any = None, files: Any = None) -> ActionForm:
        """Of its kind."""
        form = MultiplierForm if row.kind == RuleKind.MULTIPLIER else CapForm
        return form(data, files, initial=self.initial(row), typed=self.typed(row))

    def initial(self, row: Rule) -> dict[str, Any]:
        """As it is."""
        begun = {name: getattr(row, name) for name in _facts(row)}
        if row.multiplier is not None:
            begun["multiplier"] = f"{row.multiplier.normalize():f}"
        return begun

    def question(self, row: Rule) -> Text:
        """What stays."""
        return now_("Change %(name)s? What was earned stays as it is.") % {"name": row.name}

    def perform(self, press: Press[Rule]) -> Answer:
        """Ask, or change it at once."""
        changes = {name: press.data[name] for name in press.data["changed"]}
        return _changed(press, changes, now_("The rule is changed."))


class SwitchOff(_OnRule):
    """Have it hold no more."""

    name = "switch-off"
    label = _("Switch off")
    icon = "toggle_off"
    tone = "danger"

    def offered(self, _actor: Actor, row: Rule) -> bool:
        """While it holds."""
        return row.active

    def question(self, row: Rule) -> Text:
        """What comes of it."""
        return now_("Switch %(name)s off? What is earned from then on is earned without it.") % {"name": row.name}

    def perform(self, press: Press[Rule]) -> Answer:
        """Ask, or switch it off at once."""
        return _changed(press, {"active": False}, now_("The rule is switched off."))


class SwitchOn(_OnRule):
    """Have it hold again."""

    name = "switch-on"
    label = _("Switch on")
    icon = "toggle_on"
    tone = "go"

    def offered(self, _actor: Actor, row: Rule) -> bool:
        """While it does not."""
        return not row.active

    def question(self, row: Rule) -> Text:
        """What comes of it."""
        return now_("Switch %(name)s on? What is earned from then on is earned by it.") % {"name": row.name}

    def perform(self, press: Press[Rule]) -> Answer:
        """Ask, or switch it on at once."""
        return _changed(press, {"active": True}, now_("The rule holds again."))


def _facts(row: Rule) -> tuple[str, ...]:
    return OF_MULTIPLIER if row.kind == RuleKind.MULTIPLIER else OF_CAP


def _changed(press: Press[Rule], changes: dict[str, Any], said: str) -> Answer:
    return rules.change_rule.once(
        press.key,
        asked_or(lambda _rule: said, display.row_url),
        rule_id=press.row.pk,
        changes=changes,
        reason=press.data["reason"],
        actor=press.actor,
    )
