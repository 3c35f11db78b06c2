"""What people do about rewards: offer one, change it, retire it; hand a redemption over, or take it back."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty.admin.in_program import InProgram, InProgramForm
from loyalty.admin.words import in_points
from loyalty.ledger import MOST_POINTS
from loyalty.models import Redemption, Reward
from loyalty.services import rewards
from loyalty.services.rewards import MAX_NAME, MOST_STOCK
from loyalty.states import RedemptionState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, RevisionForm, then
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text

CHANGE = "loyalty.change_program"
FULFIL = "loyalty.redeem_points"
TAKE_BACK = "loyalty.reverse_points"
FACTS = ("name", "points", "stock", "per_member")


class RewardFields(ActionForm):
    """What it is, what it costs, and how many there are."""

    name = forms.CharField(label=_("Name"), max_length=MAX_NAME)
    points = forms.IntegerField(label=_("Price, in points"), min_value=1, max_value=MOST_POINTS)
    stock = forms.IntegerField(
        label=_("In stock"), help_text=_("Empty: as many as are asked for."), min_value=0, max_value=MOST_STOCK,
        required=False,
    )  # fmt: skip
    per_member = forms.IntegerField(
        label=_("At most for one member"), help_text=_("Empty: no limit."), min_value=1, max_value=MOST_STOCK,
        required=False,
    )  # fmt: skip


class NewRewardForm(RewardFields, InProgramForm):
    """The same, and in which program."""

    field_order = ("program", *FACTS)


class RewardForm(RevisionForm, RewardFields, ReasonForm):
    """The same, and why. The stock goes down while somebody looks at it."""

    field_order = (*FACTS, "reason")


class NewReward(InProgram):
    """Offer one."""

    name = "new"
    label = _("New reward")
    icon = "add"
    permission = CHANGE
    form = NewRewardForm

    def question(self, _row: None) -> Text:
        """When it counts."""
        return now_("Offer a reward? Members have it from then on.")

    def perform(self, press: Press[None]) -> Answer:
        """Offer it."""
        return rewards.create_reward.once(
            press.key,
            then(lambda reward: now_("%(name)s is offered.") % {"name": reward.name}, display.row_url),
            program_id=press.data["program"].pk,
            **{name: press.data[name] for name in FACTS},
            actor=press.actor,
        )


class _OnReward(Action[Reward]):
    """Something done to one reward; the right to it may be granted on its program alone."""

    permission = CHANGE
    form = ReasonForm

    def allowed(self, actor: Actor, row: Reward) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.program)


class ChangeReward(_OnReward):
    """Another price, another stock."""

    name = "edit"
    label = _("Change")
    icon = "edit"
    form = RewardForm

    def initial(self, row: Reward) -> dict[str, Any]:
        """As it is."""
        return {name: getattr(row, name) for name in FACTS}

    def question(self, row: Reward) -> Text:
        """What stays."""
        return now_("Change %(name)s? What was redeemed stays as it was.") % {"name": row.name}

    def perform(self, press: Press[Reward]) -> Answer:
        """Change what was typed."""
        return rewards.change_reward.once(
            press.key,
            then(lambda _reward: now_("The reward is changed."), display.row_url),
            reward_id=press.row.pk,
            changes={name: press.data[name] for name in press.data["changed"]},
            reason=press.data["reason"],
            actor=press.actor,
        )


class Retire(_OnReward):
    """Give no more of it."""

    name = "retire"
    label = _("Retire")
    icon = "block"
    tone = "danger"

    def offered(self, _actor: Actor, row: Reward) -> bool:
        """While it is given."""
        return row.active

    def question(self, row: Reward) -> Text:
        """What stays."""
        return now_("Give %(name)s to nobody any more? What was redeemed stays.") % {"name": row.name}

    def perform(self, press: Press[Reward]) -> Answer:
        """Retire it."""
        return _switched(press, now_("The reward is given no more."), active=False)


class OfferAgain(_OnReward):
    """Give it again."""

    name = "offer-again"
    label = _("Offer again")
    icon = "restart_alt"
    tone = "go"

    def offered(self, _actor: Actor, row: Reward) -> bool:
        """While it is not given."""
        return not row.active

    def question(self, row: Reward) -> Text:
        """For how much."""
        return now_("Give %(name)s again, for %(points)s?") % {"name": row.name, "points": in_points(row.points)}

    def perform(self, press: Press[Reward]) -> Answer:
        """Offer it."""
        return _switched(press, now_("The reward is given again."), active=True)


def _switched(press: Press[Reward], said: str, *, active: bool) -> Answer:
    return rewards.change_reward.once(
        press.key,
        then(lambda _reward: said, display.row_url),
        reward_id=press.row.pk,
        changes={"active": active},
        reason=press.data["reason"],
        actor=press.actor,
    )


class _OnRedemption(Action[Redemption]):
    """Something done to one redemption; the right to it may be granted on its program alone."""

    def allowed(self, actor: Actor, row: Redemption) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.balance.program)

    def offered(self, _actor: Actor, row: Redemption) -> bool:
        """While it is neither handed over nor taken back."""
        return row.status == RedemptionState.CLAIMED


class Fulfil(_OnRedemption):
    """The member has it."""

    name = "fulfil"
    label = _("Handed over")
    icon = "check"
    permission = FULFIL

    def question(self, row: Redemption) -> Text:
        """What it means."""
        return now_("Has %(member)s got %(reward)s? From then on it is not taken back.") % _told(row)

    def perform(self, press: Press[Redemption]) -> Answer:
        """Note it."""
        return rewards.fulfil_redemption.once(
            press.key,
            then(lambda _row: now_("It is noted as handed over."), display.row_url),
            redemption_id=press.row.pk,
            actor=press.actor,
        )


class TakeBack(_OnRedemption):
    """The points come back."""

    name = "take-back"
    label = _("Take back")
    icon = "undo"
    tone = "danger"
    permission = TAKE_BACK
    form = ReasonForm

    def question(self, row: Redemption) -> Text:
        """What comes back."""
        return now_("Give %(member)s %(points)s back? %(reward)s goes back to the stock.") % _told(row)

    def perform(self, press: Press[Redemption]) -> Answer:
        """Take it back."""
        return rewards.take_redemption_back.once(
            press.key,
            then(lambda _row: now_("The redemption is taken back."), display.row_url),
            redemption_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


def _told(row: Redemption) -> dict[str, str]:
    return {
        "member": row.balance.user_id,
        "points": in_points(row.points),
        "reward": row.reward.name if row.reward else now_("the reward"),
    }
