"""What people do about tiers: define one, change it, have everybody evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, cast

from django import forms
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from loyalty.admin.earn_rate import TIER_FACTS, tier_changed, tier_made, who_agrees
from loyalty.admin.in_program import InProgram, InProgramForm, InProgramReasonForm
from loyalty.ledger import MOST_POINTS
from loyalty.models import Program, Tier
from loyalty.services import tiers
from loyalty.services.tiers import (
    CHANGE,
    EVALUATE,
    MAX_NAME,
    MOST_MONTHS,
    MOST_MULTIPLIER,
    MOST_RANK,
    TierFacts,
)
from loyalty.standing import GRACE
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, RevisionForm, then
from opsconsole.core.admin.pages import Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text


class _TierFields(ActionForm):
    name = forms.CharField(label=_("Name"), max_length=MAX_NAME)
    rank = forms.IntegerField(label=_("Rank"), help_text=_("The higher the better."), min_value=1, max_value=MOST_RANK)
    threshold = forms.IntegerField(
        label=_("From, in points"),
        help_text=_("Points that were earned for purchases; a bonus does not count."),
        min_value=0,
        max_value=MOST_POINTS,
    )
    window_months = forms.IntegerField(
        label=_("Earned in so many months"), min_value=1, max_value=MOST_MONTHS, initial=12
    )
    multiplier = forms.DecimalField(
        label=_("Earns times"),
        help_text=_("1 is what everybody earns; anything else takes the approval of others."),
        min_value=Decimal("0.001"),
        max_value=MOST_MULTIPLIER,
        max_digits=6,
        decimal_places=3,
        initial=1,
    )


class NewTierForm(_TierFields, InProgramReasonForm):
    """In which program, what it takes, what it gives, and why."""

    field_order = ("program", *TIER_FACTS, "reason")


class TierForm(RevisionForm, _TierFields, ReasonForm):
    """What it takes, what it gives, and why."""

    field_order = (*TIER_FACTS, "reason")


class EvaluationForm(InProgramForm):
    """In one program, or in all of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = cast("forms.ModelChoiceField[Program]", self.fields["program"])
        choice.required, choice.empty_label = False, str(_("every active program"))


WHEN: Final = _("Must agree, where somebody earns otherwise by it")


class NewTier(InProgram):
    """Define one."""

    name = "new"
    label = _("New tier")
    icon = "add"
    permission = CHANGE
    form = NewTierForm

    def question(self, _row: None) -> Text:
        """When members have it."""
        return now_("Define a tier? Members reach it when they are evaluated.")

    def sections(self, _actor: Actor, _row: None) -> Sequence[Section]:
        """Who must agree where it multiplies."""
        return who_agrees(WHEN)

    def perform(self, press: Press[None]) -> Answer:
        """Define it, or ask."""
        return tiers.define_tier.once(
            press.key,
            tier_made,
            program_id=press.data["program"].pk,
            facts=TierFacts(**{name: press.data[name] for name in TIER_FACTS}),
            reason=press.data["reason"],
            actor=press.actor,
        )


class Evaluate(InProgram):
    """Have the members' tiers worked out again."""

    name = "evaluate"
    label = _("Evaluate tiers")
    icon = "sync"
    permission = EVALUATE
    form = EvaluationForm

    def question(self, _row: None) -> Text:
        """That it does no harm."""
        return now_(
            "Have a worker evaluate every member's tier now? Who has earned a better one gets it at once; who has"
            " fallen below keeps theirs for %(days)s days. It does no harm to do it twice."
        ) % {"days": GRACE.days}

    def perform(self, press: Press[None]) -> Answer:
        """Wake the worker, as the API does."""
        program = press.data["program"]
        return tiers.request_evaluation.once(
            press.key,
            then(_asked, lambda _programs: display.list_url(Tier)),
            program_id=program.pk if program else None,
            actor=press.actor,
        )


def _asked(programs: list[Program]) -> Text:
    return ngettext(
        "A worker evaluates the tiers of %(count)s program.",
        "A worker evaluates the tiers of %(count)s programs.",
        len(programs),
    ) % {"count": len(programs)}


class ChangeTier(Action[Tier]):
    """Another threshold, another multiplier."""

    name = "edit"
    label = _("Change")
    icon = "edit"
    permission = CHANGE
    form = TierForm

    def allowed(self, actor: Actor, row: Tier) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.program)

    def initial(self, row: Tier) -> dict[str, Any]:
        """As it is."""
        return {name: getattr(row, name) for name in TIER_FACTS} | {"multiplier": f"{row.multiplier.normalize():f}"}

    def question(self, row: Tier) -> Text:
        """That nobody moves at once."""
        return now_("Change %(name)s? Nobody moves at once: members do when they are evaluated.") % {"name": row.name}

    def sections(self, _actor: Actor, _row: Tier) -> Sequence[Section]:
        """Who must agree where it multiplies."""
        return who_agrees(WHEN)

    def perform(self, press: Press[Tier]) -> Answer:
        """Change it, or ask."""
        return tiers.change_tier.once(
            press.key,
            tier_changed,
            tier_id=press.row.pk,
            changes={name: press.data[name] for name in press.data["changed"]},
            reason=press.data["reason"],
            actor=press.actor,
        )
