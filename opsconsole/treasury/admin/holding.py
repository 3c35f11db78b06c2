"""Holding and releasing several payouts at once, for one reason: those that were ticked in the list, or named."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, OptionalReasonForm, Press, ReasonForm, done
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.treasury import access, selectors
from opsconsole.treasury.errors import PayoutInvalid
from opsconsole.treasury.models import Payout
from opsconsole.treasury.services import payouts

MOST: Final = 200
NAMED: Final = "payouts"
TICKED: Final = "payout"  # in the address of the form


def _payouts_field() -> forms.CharField:
    return forms.CharField(
        label=_("Payouts"),
        help_text=_("Their ids, one on a line."),
        widget=forms.Textarea({"rows": 8, "spellcheck": "false", "class": "ops-mono"}),
    )


def _listed(text: str) -> list[str]:
    """The ids, each once; raises ValidationError for too many."""
    named = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if len(named) > MOST:
        raise forms.ValidationError(
            now_("These are %(count)s; %(most)s at once are the most.") % {"count": len(named), "most": MOST}
        )
    return named


class HoldSeveralForm(ReasonForm):
    """Which ones, and why."""

    payouts = _payouts_field()
    field_order = (NAMED, "reason")

    def clean_payouts(self) -> list[str]:
        """As a list."""
        return _listed(self.cleaned_data[NAMED])


class ReleaseSeveralForm(OptionalReasonForm):
    """Which ones."""

    payouts = _payouts_field()
    field_order = (NAMED, "reason")

    def clean_payouts(self) -> list[str]:
        """As a list."""
        return _listed(self.cleaned_data[NAMED])


class HoldSeveral(Action[None]):
    """Keep several out of every plan."""

    name = "hold-several"
    label = _("Hold several")
    icon = "front_hand"
    tone = "danger"
    permission = "treasury.hold_payout"
    form = HoldSeveralForm

    def question(self, _row: None) -> Text:
        """What is held."""
        return now_("Hold these payouts, all of them for one reason? No plan takes them until they are released.")

    def perform(self, press: Press[None]) -> Answer:
        """Hold them, all or none."""
        return payouts.hold_payouts.once(
            press.key,
            lambda count: done(
                ngettext("%(count)s payout is held.", "%(count)s payouts are held.", count) % {"count": count},
                to=display.list_url(Payout, status__exact="held"),
            ),
            payout_ids=_ids(press.actor, press.data[NAMED]),
            reason=press.data["reason"],
            actor=press.actor,
        )


class ReleaseSeveral(Action[None]):
    """Let plans take several again."""

    name = "release-several"
    label = _("Release several")
    icon = "lock_open"
    permission = "treasury.hold_payout"
    form = ReleaseSeveralForm

    def question(self, _row: None) -> Text:
        """What is released."""
        return now_("Release these payouts? Plans may take them again.")

    def perform(self, press: Press[None]) -> Answer:
        """Release them, all or none."""
        return payouts.release_payouts.once(
            press.key,
            lambda count: done(
                ngettext("%(count)s payout is payable again.", "%(count)s payouts are payable again.", count)
                % {"count": count},
                to=display.list_url(Payout, status__exact="payable"),
            ),
            payout_ids=_ids(press.actor, press.data[NAMED]),
            reason=press.data["reason"],
            actor=press.actor,
        )


def _ids(actor: Actor, named: list[str]) -> list[UUID]:
    """The payouts of these ids; raises PayoutInvalid with those that are none."""
    found = selectors.ids_by_external_id(access.visible_payouts(actor), named)
    unknown: list[Any] = [name for name in named if name not in found]
    if unknown:
        names = ", ".join(unknown[:10])
        raise PayoutInvalid(
            format_lazy(_("There is no payout {names}."), names=names),
            errors={NAMED: [format_lazy(_("unknown: {names}"), names=names)]},
        )
    return [found[name] for name in named]
