"""Verdicts on fraud: on one hit from its page, on several that were ticked in the queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, cast
from uuid import UUID

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from loyalty import access_fraud
from loyalty.admin.hit_sections import gist_of, why_table
from loyalty.admin.in_program import programs_for
from loyalty.models import FraudHit
from loyalty.services import fraud
from loyalty.states import HitState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import MAX_REASON, Action, ActionForm, Press, done, then
from opsconsole.core.admin.pages import Section
from opsconsole.core.errors import Denied
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text

TICKED: Final = "hits"


class VerdictForm(ActionForm):
    """Why the verdict is as it is."""

    comment = forms.CharField(
        label=_("Comment"),
        help_text=_("It goes to SIRA and into the journal."),
        max_length=MAX_REASON,
        widget=forms.Textarea({"rows": 3}),
    )


class VerdictsForm(VerdictForm):
    """The same for several."""

    hits = forms.MultipleChoiceField(label=_("Hits"), widget=forms.CheckboxSelectMultiple)
    field_order = (TICKED, "comment")


class _Verdict(Action[FraudHit]):
    """A verdict on one hit; the right to it may be granted on the program of its member."""

    permission = fraud.DECIDE
    form = VerdictForm

    def allowed(self, actor: Actor, row: FraudHit) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.balance.program)

    def offered(self, _actor: Actor, row: FraudHit) -> bool:
        """Once."""
        return row.status == HitState.OPEN

    def sections(self, _actor: Actor, row: FraudHit) -> Sequence[Section]:
        """Why the rule hit."""
        return [why_table(row)]


class Confirm(_Verdict):
    """It is fraud."""

    name = "confirm"
    label = _("Confirm fraud")
    icon = "gpp_bad"
    tone = "danger"

    def question(self, row: FraudHit) -> Text:
        """What happens to the member."""
        return now_(
            "Confirm that %(member)s commits fraud? They are frozen, and all of their %(points)s points are locked."
        ) % {"member": row.balance.user_id, "points": display.number(row.balance.points_balance)}

    def perform(self, press: Press[FraudHit]) -> Answer:
        """Confirm it."""
        return fraud.confirm_hits.once(
            press.key,
            then(
                lambda _hits: now_("Fraud is confirmed; the member is frozen."), lambda hits: display.row_url(hits[0])
            ),
            hit_ids=[press.row.pk],
            comment=press.data["comment"],
            actor=press.actor,
        )


class Dismiss(_Verdict):
    """It is no fraud."""

    name = "dismiss"
    label = _("Dismiss")
    icon = "gpp_good"
    tone = "primary"

    def question(self, row: FraudHit) -> Text:
        """What comes off."""
        if not row.points_locked:
            return now_("Dismiss the hit on %(member)s? The flags of this hit come off.") % {
                "member": row.balance.user_id
            }
        return now_("Dismiss the hit on %(member)s? Its %(points)s locked points are unlocked, its flags come off.") % {
            "member": row.balance.user_id,
            "points": display.number(row.points_locked),
        }

    def perform(self, press: Press[FraudHit]) -> Answer:
        """Dismiss it."""
        return fraud.dismiss_hits.once(
            press.key,
            then(lambda _hits: now_("The hit is dismissed."), lambda hits: display.row_url(hits[0])),
            hit_ids=[press.row.pk],
            comment=press.data["comment"],
            actor=press.actor,
        )


class _Verdicts(Action[None]):
    """One verdict on several hits, all or none; the right to it may be granted on single programs."""

    permission = fraud.DECIDE
    form = VerdictsForm

    def allowed(self, actor: Actor, _row: None) -> bool:
        """By role, or by a grant on one program."""
        return actor.may(self.permission) or programs_for(actor, self.permission).exists()

    def make_form(self, actor: Actor, row: None, data: Any = None, files: Any = None) -> ActionForm:
        """With what was ticked, else with what waits."""
        form = super().make_form(actor, row, data, files)
        if data is None:
            offer(form, actor, None)
        else:  # one that was judged meanwhile is the service's to refuse, or its answer to give again
            offer(form, actor, data.getlist(TICKED), also_judged=True)
        return form


def offer(form: ActionForm, actor: Actor, ticked: Sequence[str] | None, *, also_judged: bool = False) -> None:
    """Have the form offer these hits, or those that wait, the most urgent first; only what the actor may judge."""
    try:
        rows: QuerySet[FraudHit] = access_fraud.hits_to_judge(actor, fraud.DECIDE)
    except Denied:
        rows = FraudHit.objects.none()
    if not also_judged:
        rows = rows.filter(status=HitState.OPEN)
    if ticked is not None:
        rows = rows.filter(pk__in=[pk for pk in ticked if display.UUID_FORM.fullmatch(pk)])
    field = cast("forms.MultipleChoiceField", form.fields[TICKED])
    field.choices = [
        (str(hit.pk), f"{hit.balance.user_id}, {hit.rule.code} · {gist_of(hit)}")
        for hit in rows.order_by("due_at", "pk")[: fraud.MOST_AT_ONCE]
    ]


def _judged(count: int, told: Callable[[int], str]) -> Answer:
    return done(told(count) % {"count": display.number(count)}, to=f"{display.list_url(FraudHit)}?standing=open")


class ConfirmSeveral(_Verdicts):
    """All of them are fraud."""

    name = "confirm-several"
    label = _("Confirm several")
    icon = "gpp_bad"
    tone = "danger"

    def question(self, _row: None) -> Text:
        """What happens to the members."""
        return now_("Confirm that all of these commit fraud? They are frozen, and all of their points are locked.")

    def perform(self, press: Press[None]) -> Answer:
        """Confirm them, all or none."""

        def told(count: int) -> str:
            return ngettext(
                "%(count)s hit is confirmed; the member is frozen.",
                "%(count)s hits are confirmed; the members are frozen.",
                count,
            )

        return fraud.confirm_hits.once(
            press.key,
            lambda hits: _judged(len(hits), told),
            hit_ids=[UUID(pk) for pk in press.data[TICKED]],
            comment=press.data["comment"],
            actor=press.actor,
        )


class DismissSeveral(_Verdicts):
    """None of them is fraud."""

    name = "dismiss-several"
    label = _("Dismiss several")
    icon = "gpp_good"

    def question(self, _row: None) -> Text:
        """What comes off."""
        return now_("Dismiss all of these? What these hits have locked is unlocked, their flags come off.")

    def perform(self, press: Press[None]) -> Answer:
        """Dismiss them, all or none."""

        def told(count: int) -> str:
            return ngettext("%(count)s hit is dismissed.", "%(count)s hits are dismissed.", count)

        return fraud.dismiss_hits.once(
            press.key,
            lambda hits: _judged(len(hits), told),
            hit_ids=[UUID(pk) for pk in press.data[TICKED]],
            comment=press.data["comment"],
            actor=press.actor,
        )
