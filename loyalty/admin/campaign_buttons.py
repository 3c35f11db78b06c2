"""What people do to a campaign: draft and edit it, try it out, schedule it, stop it, let it go on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from loyalty.admin.in_program import InProgram, InProgramForm, moment
from loyalty.admin.words import in_members, in_points
from loyalty.campaigns.definition import MAX_DESCRIPTION, MAX_NAME, MOST_BONUS
from loyalty.models import Campaign
from loyalty.services import campaigns, launches, trials
from loyalty.services.trials import MOST_MEMBERS
from loyalty.states import CampaignState, CampaignType
from opsconsole.approvals.admin.deeds import asked_or, must_agree
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, OptionalReasonForm, Press, ReasonForm, RevisionForm, then
from opsconsole.core.admin.pages import Section
from opsconsole.core.errors import DomainError
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text

EXAMPLE = '{">=": [{"var": "points_balance"}, 1000]}'


class CampaignForm(ActionForm):
    """What a campaign gives, to whom, and when."""

    name = forms.CharField(label=_("Name"), max_length=MAX_NAME)
    description = forms.CharField(
        label=_("Description"), max_length=MAX_DESCRIPTION, required=False, widget=forms.Textarea({"rows": 2})
    )
    campaign_type = forms.ChoiceField(label=_("Gives"), choices=CampaignType.choices)
    bonus_points = forms.IntegerField(
        label=_("Points, or percent"),
        help_text=_("Points for each member; of a multiplier, percent of what was earned in its window."),
        min_value=1,
        max_value=MOST_BONUS,
    )
    target_segment = forms.CharField(
        label=_("Segment"),
        help_text=format_lazy(
            _("A condition as JSON, for example {example}; empty for every member."), example=EXAMPLE
        ),
        required=False,
        widget=forms.Textarea({"rows": 6, "spellcheck": "false", "class": "ops-mono"}),
    )
    start_date = moment(_("Starts"), required=True, help_text=_("In UTC."))
    end_date = moment(_("Ends"), help_text=_("It is not launched after this; may be left empty."))
    window_start = moment(_("Window from"), help_text=_("Of a multiplier: what was earned since."))
    window_end = moment(_("Window to"))

    def clean_target_segment(self) -> dict[str, Any]:
        """The condition; raises ValidationError for what is no JSON object."""
        text = self.cleaned_data["target_segment"].strip()
        if not text:
            return {}
        try:
            read = json.loads(text)
        except ValueError as error:
            raise forms.ValidationError(now_("This is no JSON: %(problem)s") % {"problem": error}) from error
        if not isinstance(read, dict):
            raise forms.ValidationError(now_("A segment is a JSON object."))
        return read


class NewCampaignForm(CampaignForm, InProgramForm):
    """The same, and in which program."""

    field_order = ("program",)


class EditForm(RevisionForm, CampaignForm):
    """The same of a campaign that there is; `was` is the state in which it was shown."""

    was = forms.CharField(widget=forms.HiddenInput, required=False)

    def show(self, error: DomainError) -> None:
        """With the state that is shown beside the refusal: whoever sends it again knows of that."""
        super().show(error)
        sent = cast(QueryDict, self.data).copy()
        sent["was"] = error.fields.get("status", sent.get("was", ""))
        self.data = sent


class TestForm(ActionForm):
    """The members who are awarded."""

    members = forms.CharField(
        label=_("Members"),
        help_text=_("One or two, each on a line."),
        widget=forms.Textarea({"rows": 2, "spellcheck": "false", "class": "ops-mono"}),
    )

    def clean_members(self) -> list[str]:
        """As a list; raises ValidationError for more than a test run takes."""
        named = list(dict.fromkeys(line.strip() for line in self.cleaned_data["members"].splitlines() if line.strip()))
        if len(named) > MOST_MEMBERS:
            raise forms.ValidationError(now_("At most %(most)s.") % {"most": MOST_MEMBERS})
        return named


def _definition(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in ("key", "program", "reason", "typed")}


class NewCampaign(InProgram):
    """Draft one."""

    name = "new"
    label = _("New campaign")
    icon = "add"
    permission = "loyalty.draft_campaign"
    form = NewCampaignForm

    def question(self, _row: None) -> Text:
        """That nothing happens yet."""
        return now_("Draft a campaign? Nothing is awarded before it is scheduled and agreed to.")

    def perform(self, press: Press[None]) -> Answer:
        """Draft it."""
        return campaigns.create_campaign.once(
            press.key,
            then(lambda _made: now_("The campaign is drafted. Preview it, and try it out."), display.row_url),
            program_id=press.data["program"].pk,
            **_definition(press.data),
            actor=press.actor,
        )


class OnCampaign(Action[Campaign]):
    """Something done to one campaign; the right to it may be granted on its program alone."""

    during: Sequence[CampaignState] = ()

    def allowed(self, actor: Actor, row: Campaign) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.program)

    def offered(self, _actor: Actor, row: Campaign) -> bool:
        """In the states in which it has any sense."""
        return row.status in self.during


class EditCampaign(OnCampaign):
    """Change a draft."""

    name = "edit"
    label = _("Edit")
    icon = "edit"
    permission = "loyalty.draft_campaign"
    form = EditForm
    during = (CampaignState.DRAFT, CampaignState.SCHEDULED)

    def question(self, row: Campaign) -> Text:
        """What becomes of approvals."""
        if row.status == CampaignState.SCHEDULED:
            return now_("Take %(name)s back and change it? What was approved is void.") % {"name": row.name}
        return now_("Change %(name)s?") % {"name": row.name}

    def initial(self, row: Campaign) -> dict[str, Any]:
        """As it is."""
        segment = json.dumps(row.target_segment, ensure_ascii=False, indent=1) if row.target_segment else ""
        names = ("name", "description", "campaign_type", "bonus_points", "start_date", "end_date")
        windows = ("window_start", "window_end")
        shown = {name: getattr(row, name) for name in (*names, *windows)}
        return {**shown, "target_segment": segment, "was": row.status}

    def perform(self, press: Press[Campaign]) -> Answer:
        """Change it; what was approved is void only for whoever was told that it would be."""
        told = press.data["was"] == CampaignState.SCHEDULED
        return campaigns.edit_campaign.once(
            press.key,
            then(lambda _row: now_("The campaign is changed. Preview it again."), display.row_url),
            campaign_id=press.row.pk,
            changes={name: press.data[name] for name in press.data["changed"]},
            back_to_draft=told,
            actor=press.actor,
        )


class Preview(OnCampaign):
    """Work out what it would give."""

    name = "preview"
    label = _("Preview")
    icon = "visibility"
    permission = "loyalty.draft_campaign"
    during = (CampaignState.DRAFT,)

    def question(self, row: Campaign) -> Text:
        """What is worked out."""
        return now_("Work out whom %(name)s would reach now, and what it would cost?") % {"name": row.name}

    def perform(self, press: Press[Campaign]) -> Answer:
        """Work it out."""
        return campaigns.preview_campaign.once(
            press.key,
            then(_previewed, display.row_url),
            campaign_id=press.row.pk,
            actor=press.actor,
        )


class TestRun(OnCampaign):
    """Award one or two members for real."""

    name = "test"
    label = _("Test run")
    icon = "science"
    permission = "loyalty.launch_campaign"
    form = TestForm
    during = (CampaignState.DRAFT, CampaignState.SCHEDULED)

    def question(self, _row: Campaign) -> Text:
        """That it is for real."""
        return now_("Award these members now, for real? The launch then passes them over.")

    def perform(self, press: Press[Campaign]) -> Answer:
        """Award them."""
        to = display.row_url(press.row)
        return trials.award_test.once(
            press.key,
            then(_tested, lambda _tested: to),
            campaign_id=press.row.pk,
            user_ids=press.data["members"],
            actor=press.actor,
        )


class Schedule(OnCampaign):
    """Have it launched at its start."""

    name = "schedule"
    label = _("Schedule")
    icon = "event"
    tone = "go"
    permission = "loyalty.launch_campaign"
    form = OptionalReasonForm
    during = (CampaignState.DRAFT,)

    def obstacle(self, _actor: Actor, row: Campaign) -> Text:
        """It must be known what it costs."""
        return "" if row.preview is not None else now_("Preview it first: others agree to what the preview says.")

    def question(self, row: Campaign) -> Text:
        """When, and how much."""
        return now_("Launch %(name)s on %(start)s, once others agree? %(users)s, %(points)s.") % {
            "name": row.name,
            "start": f"{row.start_date:%Y-%m-%d %H:%M} UTC",
            "users": in_members(row.estimated_users or 0),
            "points": in_points(row.estimated_points or 0),
        }

    def sections(self, _actor: Actor, _row: Campaign) -> Sequence[Section]:
        """Who must agree."""
        return must_agree("loyalty.launch")

    def perform(self, press: Press[Campaign]) -> Answer:
        """Schedule it, and ask."""
        to = display.row_url(press.row)
        return launches.schedule_campaign.once(
            press.key,
            then(lambda _asked: now_("It is scheduled, and the others are asked."), lambda _asked: to),
            campaign_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class Execute(OnCampaign):
    """Have a worker go on with it now."""

    name = "execute"
    label = _("Execute now")
    icon = "bolt"
    permission = "loyalty.launch_campaign"
    during = (CampaignState.SCHEDULED, CampaignState.RUNNING)

    def question(self, row: Campaign) -> Text:
        """What the worker does."""
        return now_("Wake a worker for %(name)s? It launches what is due and approved, or goes on.") % {
            "name": row.name
        }

    def obstacle(self, _actor: Actor, row: Campaign) -> Text:
        """One whose start has not come yet."""
        if row.status == CampaignState.SCHEDULED and row.start_date > timezone.now():
            return now_("The campaign starts at {time}.").format(time=f"{row.start_date:%Y-%m-%d %H:%M} UTC")
        return ""

    def perform(self, press: Press[Campaign]) -> Answer:
        """Wake one."""
        to = display.row_url(press.row)
        return launches.request_execution.once(
            press.key,
            asked_or(lambda _row: now_("A worker is on its way."), lambda _row: to),
            campaign_id=press.row.pk,
            actor=press.actor,
        )


class Pause(OnCampaign):
    """Stop it."""

    name = "pause"
    label = _("Pause")
    icon = "pause"
    tone = "danger"
    permission = "loyalty.launch_campaign"
    form = ReasonForm
    during = (CampaignState.RUNNING,)

    def question(self, row: Campaign) -> Text:
        """What stops."""
        return now_("Pause %(name)s? Nothing is awarded from now on; what was awarded is kept.") % {"name": row.name}

    def perform(self, press: Press[Campaign]) -> Answer:
        """Stop it."""
        return campaigns.pause_campaign.once(
            press.key,
            then(lambda _row: now_("The campaign is paused."), display.row_url),
            campaign_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class ResumeCampaign(OnCampaign):
    """Let it go on."""

    name = "resume"
    label = _("Resume")
    icon = "play_arrow"
    tone = "go"
    permission = "loyalty.launch_campaign"
    form = ReasonForm
    during = (CampaignState.PAUSED,)

    def question(self, row: Campaign) -> Text:
        """Where it goes on."""
        return now_("Let %(name)s go on where it stopped?") % {"name": row.name}

    def perform(self, press: Press[Campaign]) -> Answer:
        """Let it."""
        return campaigns.resume_campaign.once(
            press.key,
            then(lambda _row: now_("The campaign goes on."), display.row_url),
            campaign_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


def _previewed(row: Campaign) -> str:
    users = row.estimated_users or 0
    told = ngettext("%(users)s member would get %(points)s.", "%(users)s members would get %(points)s.", users)
    return told % {"users": display.number(users), "points": in_points(row.estimated_points or 0)}


def _tested(awarded: Sequence[trials.Tested]) -> str:
    told = ", ".join(f"{one.user_id} {display.signed(one.points)}" for one in awarded)
    return now_("Awarded: %(members)s.") % {"members": told}
