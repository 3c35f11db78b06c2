"""What people do to a program: set one up, give it another budget or rate, stop it and let it go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty.admin import earn_rate
from loyalty.models import Program
from loyalty.serializers.programs import MAX_NAME, MOST_BUDGET, MOST_RATE
from loyalty.services import programs
from loyalty.states import ProgramState
from opsconsole.approvals.admin.deeds import CarryOut, asked_or, must_agree
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, then
from opsconsole.core.admin.pages import Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text


def _budget() -> forms.DecimalField:
    return forms.DecimalField(
        label=_("Budget, in points"), min_value=1, max_value=MOST_BUDGET, max_digits=20, decimal_places=2
    )


def _rate(**options: Any) -> forms.DecimalField:
    return forms.DecimalField(
        label=_("Earn rate"),
        help_text=_("Points per unit that is spent."),
        min_value=0,
        max_value=MOST_RATE,
        max_digits=14,
        decimal_places=6,
        **options,
    )


class ProgramForm(ActionForm):
    """A program to be."""

    name = forms.CharField(label=_("Name"), max_length=MAX_NAME)
    budget_limit = _budget()
    earn_rate = _rate(initial=Decimal(1))
    points_valid_months = forms.IntegerField(
        label=_("Points are valid for, in months"),
        help_text=_("Empty: for ever."),
        min_value=1,
        max_value=600,
        required=False,
    )
    description = forms.CharField(
        label=_("Description"), max_length=2000, required=False, widget=forms.Textarea({"rows": 2})
    )


class BudgetForm(ReasonForm):
    """Another budget, and why."""

    budget_limit = _budget()
    field_order = ("budget_limit", "reason")


class RateForm(ReasonForm):
    """Another rate, and why."""

    earn_rate = _rate()
    field_order = ("earn_rate", "reason")


class NewProgram(Action[None]):
    """Set a program up."""

    name = "new"
    label = _("New program")
    icon = "add"
    permission = "loyalty.create_program"
    form = ProgramForm

    def question(self, _row: None) -> Text:
        """What comes of it."""
        return now_("Set up a program? Members earn points in it at once.")

    def perform(self, press: Press[None]) -> Answer:
        """Set it up."""
        facts = {name: value for name, value in press.data.items() if name != "key"}
        return programs.create_program.once(
            press.key,
            then(lambda program: now_("The program %(name)s is set up.") % {"name": program.name}, display.row_url),
            **facts,
            actor=press.actor,
        )


class _OnProgram(Action[Program]):
    """Something done to one program; the right to it may be granted on that program alone."""

    def allowed(self, actor: Actor, row: Program) -> bool:
        """By role, or by a grant on this program."""
        return actor.may(self.permission, row)


class ChangeBudget(_OnProgram):
    """Another budget."""

    name = "budget"
    label = _("Change the budget")
    icon = "savings"
    permission = "loyalty.change_program"
    form = BudgetForm

    def initial(self, row: Program) -> dict[str, Any]:
        """As it is."""
        return {"budget_limit": row.budget_limit}

    def question(self, row: Program) -> Text:
        """What it is now."""
        return now_("Give %(name)s another budget? %(spent)s points are spent and %(reserved)s reserved.") % {
            "name": row.name,
            "spent": display.number(int(row.budget_spent)),
            "reserved": display.number(int(row.budget_reserved)),
        }

    def sections(self, _actor: Actor, _row: Program) -> Sequence[Section]:
        """Who must agree to an increase."""
        return must_agree("loyalty.budget")

    def perform(self, press: Press[Program]) -> Answer:
        """Ask, or lower it at once."""
        return _budget_of(press, {"budget_limit": press.data["budget_limit"]}, None)


class ChangeRate(_OnProgram):
    """Another earn rate."""

    name = "earn-rate"
    label = _("Change the earn rate")
    icon = "speed"
    permission = "loyalty.change_program"
    form = RateForm

    def initial(self, row: Program) -> dict[str, Any]:
        """As it is."""
        return {"earn_rate": f"{row.earn_rate.normalize():f}"}

    def question(self, row: Program) -> Text:
        """Whose."""
        return now_("Give %(name)s another earn rate? What was earned stays as it is.") % {"name": row.name}

    def sections(self, _actor: Actor, _row: Program) -> Sequence[Section]:
        """Who must agree."""
        return earn_rate.who_agrees()

    def perform(self, press: Press[Program]) -> Answer:
        """Ask."""
        return _rate_of(press, {"earn_rate": press.data["earn_rate"]}, None)


class Suspend(_OnProgram):
    """Stop it."""

    name = "suspend"
    label = _("Suspend")
    icon = "pause_circle"
    tone = "danger"
    permission = "loyalty.suspend_program"
    form = ReasonForm

    def offered(self, _actor: Actor, row: Program) -> bool:
        """While it is active."""
        return row.status == ProgramState.ACTIVE

    def question(self, row: Program) -> Text:
        """What stops."""
        return now_(
            "Suspend %(name)s? Nothing is earned or redeemed in it, and its campaigns stop at their next chunk."
        ) % {"name": row.name}

    def sections(self, _actor: Actor, _row: Program) -> Sequence[Section]:
        """Who must agree."""
        return must_agree("loyalty.suspend")

    def typed(self, row: Program) -> str:
        """Its name."""
        return row.name

    def perform(self, press: Press[Program]) -> Answer:
        """Ask."""
        return _suspended(press, {}, None)


class Resume(_OnProgram):
    """Let it go on."""

    name = "resume"
    label = _("Resume")
    icon = "play_circle"
    tone = "go"
    permission = "loyalty.suspend_program"
    form = ReasonForm

    def offered(self, _actor: Actor, row: Program) -> bool:
        """While it is suspended."""
        return row.status == ProgramState.SUSPENDED

    def question(self, row: Program) -> Text:
        """What goes on."""
        return now_("Resume %(name)s? Members earn and redeem again.") % {"name": row.name}

    def sections(self, _actor: Actor, _row: Program) -> Sequence[Section]:
        """Who must agree."""
        return must_agree("loyalty.resume")

    def perform(self, press: Press[Program]) -> Answer:
        """Ask."""
        return _resumed(press, {}, None)


def _common(press: Press[Program], approval_id: UUID | None) -> dict[str, Any]:
    return {
        "program_id": press.row.pk,
        "reason": press.data["reason"],
        "approval_id": approval_id,
        "actor": press.actor,
    }


def _budget_of(press: Press[Program], asked: Mapping[str, Any], approval_id: UUID | None) -> Answer:
    wanted = asked["budget_limit"]
    return programs.change_budget.once(
        press.key,
        asked_or(lambda _program: now_("The budget is changed."), display.row_url),
        budget_limit=Decimal(wanted["to"] if isinstance(wanted, Mapping) else wanted),
        **_common(press, approval_id),
    )


def _rate_agreed(press: Press[Program], asked: Mapping[str, Any], approval_id: UUID) -> Answer:
    """Another rate, or a rule or tier that does as one."""
    if "earn_rate" not in asked:
        return earn_rate.redo(press, asked, approval_id)
    return _rate_of(press, asked, approval_id)


def _rate_of(press: Press[Program], asked: Mapping[str, Any], approval_id: UUID | None) -> Answer:
    wanted = asked["earn_rate"]
    return programs.change_earn_rate.once(
        press.key,
        asked_or(lambda _program: now_("The earn rate is changed."), display.row_url),
        earn_rate=Decimal(wanted["to"] if isinstance(wanted, Mapping) else wanted),
        **_common(press, approval_id),
    )


def _suspended(press: Press[Program], _asked: Mapping[str, Any], approval_id: UUID | None) -> Answer:
    return programs.suspend_program.once(
        press.key,
        asked_or(lambda _program: now_("The program is suspended."), display.row_url),
        **_common(press, approval_id),
    )


def _resumed(press: Press[Program], _asked: Mapping[str, Any], approval_id: UUID | None) -> Answer:
    return programs.resume_program.once(
        press.key,
        asked_or(lambda _program: now_("The program is active again."), display.row_url),
        **_common(press, approval_id),
    )


class CarryOutOnProgram(CarryOut[Program]):
    """What was agreed to about a program, each by the right it took to ask."""

    rights: ClassVar[dict[str, str]] = {
        "loyalty.budget": "loyalty.change_program",
        "loyalty.earn_rate": "loyalty.change_program",
        "loyalty.suspend": "loyalty.suspend_program",
        "loyalty.resume": "loyalty.suspend_program",
    }

    def __init__(self) -> None:
        super().__init__(
            "loyalty.view_program",
            {
                "loyalty.budget": _budget_of,
                "loyalty.earn_rate": _rate_agreed,
                "loyalty.suspend": _suspended,
                "loyalty.resume": _resumed,
            },
        )

    def allowed(self, actor: Actor, row: Program) -> bool:
        """Whoever may do any of them."""
        return any(actor.may(permission, row) for permission in set(self.rights.values()))
