"""How people end a campaign: give it up, have it failed, take back what it gave."""

from __future__ import annotations

from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty.admin.campaign_buttons import OnCampaign
from loyalty.admin.words import in_members, in_points
from loyalty.campaigns import progress
from loyalty.models import Campaign
from loyalty.services import campaigns, undoing
from loyalty.states import CampaignState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Press, ReasonForm, then
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text


class _Ending(OnCampaign):
    """What nobody takes back: with a reason, and the campaign's name typed."""

    tone = "danger"
    form = ReasonForm

    def typed(self, row: Campaign) -> str:
        """Its name."""
        return row.name


class Cancel(_Ending):
    """Give it up."""

    name = "cancel"
    label = _("Cancel the campaign")
    icon = "cancel"
    permission = "loyalty.launch_campaign"
    during = (CampaignState.DRAFT, CampaignState.SCHEDULED, CampaignState.RUNNING, CampaignState.PAUSED)

    def question(self, row: Campaign) -> Text:
        """That it is for good."""
        return now_("Give %(name)s up for good? What is reserved is free again; what was awarded stays.") % {
            "name": row.name
        }

    def perform(self, press: Press[Campaign]) -> Answer:
        """Give it up."""
        return campaigns.cancel_campaign.once(
            press.key,
            then(lambda _row: now_("The campaign is cancelled."), display.row_url),
            campaign_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class MarkFailed(_Ending):
    """Have it failed."""

    name = "fail"
    label = _("Mark as failed")
    icon = "report"
    permission = "loyalty.launch_campaign"
    during = (CampaignState.SCHEDULED, CampaignState.RUNNING, CampaignState.PAUSED)

    def question(self, row: Campaign) -> Text:
        """That it is for good, and whether it is stuck at all."""
        told = now_(
            "Mark %(name)s as failed for good? Do so only if it cannot be mended: what it has reserved, %(points)s, is"
            " free again; what was awarded stays."
        ) % {"name": row.name, "points": in_points(row.points_reserved)}
        healthy = now_("It is not stuck.")
        return told if progress.is_stuck(row) else f"{told} {healthy}"

    def perform(self, press: Press[Campaign]) -> Answer:
        """Have it failed."""
        return campaigns.mark_campaign_failed.once(
            press.key,
            then(lambda _row: now_("The campaign is marked as failed."), display.row_url),
            campaign_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class Undo(_Ending):
    """Take its awards back."""

    name = "undo"
    label = _("Undo")
    icon = "undo"
    permission = "loyalty.undo_campaign"
    during = (CampaignState.COMPLETED, CampaignState.FAILED, CampaignState.CANCELLED)

    def offered(self, actor: Actor, row: Campaign) -> bool:
        """What has awarded somebody, and was not undone yet."""
        return super().offered(actor, row) and row.users_awarded > 0 and row.undo_asked_at is None

    def question(self, row: Campaign) -> Text:
        """What is taken back, and what is not to be had."""
        return now_(
            "Take back what %(name)s gave: %(points)s of %(users)s? Points that were spent stay spent, and are"
            " reported."
        ) % {
            "name": row.name,
            "points": in_points(row.total_points_awarded - row.points_reversed),
            "users": in_members(row.users_awarded),
        }

    def perform(self, press: Press[Campaign]) -> Answer:
        """Take them back."""
        return undoing.request_undo.once(
            press.key,
            then(lambda _row: now_("A worker takes them back."), display.row_url),
            campaign_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )
