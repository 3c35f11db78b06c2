"""What people do to a member: freeze and let go on, lock and unlock points, flag, adjust by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty.admin.dispute_buttons import settled, who_agrees
from loyalty.ledger import MOST_POINTS
from loyalty.models import Balance
from loyalty.services import members, points
from opsconsole.approvals.admin.deeds import CarryOut, asked_or
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, Press, ReasonForm, then
from opsconsole.core.admin.pages import Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text


class FreezeForm(ReasonForm):
    """Why, and whether the points are locked as well."""

    flag = forms.CharField(
        label=_("flag"), help_text=_("For whoever looks into it; may be left empty."), max_length=100, required=False
    )
    lock_points = forms.BooleanField(label=_("Lock all points too"), required=False)


class UnfreezeForm(ReasonForm):
    """Why, and whether the points are unlocked as well."""

    unlock_points = forms.BooleanField(label=_("Unlock all points too"), required=False)


class PointsForm(ReasonForm):
    """How many points, and why."""

    points = forms.IntegerField(
        label=_("Points"), help_text=_("Empty: all of them."), min_value=1, max_value=MOST_POINTS, required=False
    )
    field_order = ("points", "reason")


class FlagForm(ReasonForm):
    """A flag, and why."""

    flag = forms.CharField(label=_("flag"), max_length=100, initial="under_investigation")
    field_order = ("flag", "reason")


class AdjustForm(ReasonForm):
    """How many points to give or take, and why."""

    amount = forms.IntegerField(
        label=_("Points"), help_text=_("Negative to take some."), min_value=-MOST_POINTS, max_value=MOST_POINTS
    )
    field_order = ("amount", "reason")


class _OnMember(Action[Balance]):
    """Something done to one member; the right to it may be granted on their program alone."""

    def allowed(self, actor: Actor, row: Balance) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.program)


class Freeze(_OnMember):
    """Stop them."""

    name = "freeze"
    label = _("Freeze the member")
    icon = "ac_unit"
    tone = "danger"
    permission = "loyalty.freeze_member"
    form = FreezeForm

    def offered(self, _actor: Actor, row: Balance) -> bool:
        """Who is not frozen."""
        return not row.is_frozen

    def question(self, row: Balance) -> Text:
        """Who, and what stops."""
        return now_("Freeze %(member)s? They earn and redeem nothing until they are let go on.") % {
            "member": row.user_id
        }

    def perform(self, press: Press[Balance]) -> Answer:
        """Freeze."""
        return members.freeze_members.once(
            press.key,
            then(lambda _rows: now_("The member is frozen."), lambda rows: display.row_url(rows[0])),
            balance_ids=[press.row.pk],
            reason=press.data["reason"],
            flag=press.data["flag"],
            lock_all=press.data["lock_points"],
            actor=press.actor,
        )


class Unfreeze(_OnMember):
    """Let them go on."""

    name = "unfreeze"
    label = _("Unfreeze")
    icon = "lock_open"
    tone = "go"
    permission = "loyalty.unfreeze_member"
    form = UnfreezeForm

    def offered(self, _actor: Actor, row: Balance) -> bool:
        """Who is frozen, and not because they were erased."""
        return row.is_frozen and row.erased_at is None

    def question(self, row: Balance) -> Text:
        """Who."""
        return now_("Let %(member)s earn and redeem again?") % {"member": row.user_id}

    def perform(self, press: Press[Balance]) -> Answer:
        """Unfreeze."""
        return members.unfreeze_members.once(
            press.key,
            then(lambda _rows: now_("The member may go on."), lambda rows: display.row_url(rows[0])),
            balance_ids=[press.row.pk],
            reason=press.data["reason"],
            unlock=press.data["unlock_points"],
            actor=press.actor,
        )


class Lock(_OnMember):
    """Keep points from being redeemed."""

    name = "lock"
    label = _("Lock points")
    icon = "lock"
    permission = "loyalty.freeze_member"
    form = PointsForm

    def offered(self, _actor: Actor, row: Balance) -> bool:
        """Who has some that are not locked."""
        return row.available > 0

    def question(self, row: Balance) -> Text:
        """Whose, and how many there are."""
        return now_("Lock points of %(member)s? %(free)s are not locked.") % {
            "member": row.user_id,
            "free": display.number(row.available),
        }

    def perform(self, press: Press[Balance]) -> Answer:
        """Lock."""
        return members.lock_points.once(
            press.key,
            then(lambda _row: now_("The points are locked."), display.row_url),
            balance_id=press.row.pk,
            points=press.data["points"],
            reason=press.data["reason"],
            actor=press.actor,
        )


class Unlock(_OnMember):
    """Let points be redeemed again."""

    name = "unlock"
    label = _("Unlock points")
    icon = "no_encryption"
    permission = "loyalty.unfreeze_member"
    form = PointsForm

    def offered(self, _actor: Actor, row: Balance) -> bool:
        """Who has locked ones."""
        return row.locked > 0

    def question(self, row: Balance) -> Text:
        """Whose, and how many there are."""
        return now_("Unlock points of %(member)s? %(locked)s are locked.") % {
            "member": row.user_id,
            "locked": display.number(row.locked),
        }

    def perform(self, press: Press[Balance]) -> Answer:
        """Unlock."""
        return members.unlock_points.once(
            press.key,
            then(lambda _row: now_("The points are unlocked."), display.row_url),
            balance_id=press.row.pk,
            points=press.data["points"],
            reason=press.data["reason"],
            actor=press.actor,
        )


class FlagMember(_OnMember):
    """Mark them for whoever investigates."""

    name = "flag"
    label = _("Flag")
    icon = "flag"
    permission = "loyalty.freeze_member"
    form = FlagForm

    def question(self, row: Balance) -> Text:
        """Who."""
        return now_("Put a flag on %(member)s? It stops nothing.") % {"member": row.user_id}

    def perform(self, press: Press[Balance]) -> Answer:
        """Flag."""
        return members.flag_members.once(
            press.key,
            then(lambda _rows: now_("The member is flagged."), lambda rows: display.row_url(rows[0])),
            balance_ids=[press.row.pk],
            flags=[press.data["flag"]],
            reason=press.data["reason"],
            actor=press.actor,
        )


class Adjust(_OnMember):
    """Give or take points by hand."""

    name = "adjust"
    label = _("Adjust points")
    icon = "exposure"
    permission = "loyalty.adjust_points"
    form = AdjustForm

    def question(self, row: Balance) -> Text:
        """Whose; and from when on others must agree."""
        return now_(
            "Adjust the points of %(member)s? Above %(most)s points in 24 hours, others must agree before it happens."
        ) % {"member": row.user_id, "most": display.number(points.ADJUST_ALONE)}

    def sections(self, _actor: Actor, _row: Balance) -> Sequence[Section]:
        """Who must agree to a large one."""
        return who_agrees()

    def perform(self, press: Press[Balance]) -> Answer:
        """Adjust, or ask."""
        return _adjusted(press, press.data, None)


def _adjusted(press: Press[Balance], asked: Mapping[str, Any], approval_id: UUID | None) -> Answer:
    if "dispute" in asked:  # what was agreed to ends that dispute, and does nothing else
        return settled(press, UUID(asked["dispute"]), int(asked["amount"]), approval_id)
    to = display.row_url(press.row)
    return points.adjust_points.once(
        press.key,
        asked_or(lambda _made: now_("The points are adjusted."), lambda _made: to),
        balance_id=press.row.pk,
        amount=int(asked["amount"]),
        reason=press.data["reason"],
        approval_id=approval_id,
        actor=press.actor,
    )


class CarryOutOnMember(CarryOut[Balance]):
    """An adjustment that was agreed to, that of a dispute included."""

    def __init__(self) -> None:
        super().__init__("loyalty.adjust_points", {"loyalty.adjust": _adjusted})

    def allowed(self, actor: Actor, row: Balance) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.program)
