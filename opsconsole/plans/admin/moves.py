"""The buttons that move a plan: stage, back to draft, cancel, execute, roll back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from opsconsole.approvals import moves, selectors
from opsconsole.approvals.admin.panel import approvals_panel
from opsconsole.approvals.admin.verdicts import require_seen
from opsconsole.approvals.states import LIVE, RequestState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import ActionForm, OptionalReasonForm, Press, ReasonForm, done, refused, then
from opsconsole.core.admin.pages import Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.plans import calendars
from opsconsole.plans.admin.impact import impact_sections, irreversible_sections
from opsconsole.plans.admin.rows import (
    PlanAction,
    latest_request,
    size_of,
    undo_request,
    undoing_takes,
    why_frozen,
    why_not_execute,
    why_not_new_run,
    why_nothing_left,
    window_closed,
)
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.services import drafts, execution, staging
from opsconsole.plans.services.execution import ApprovalWanted, Drifted
from opsconsole.plans.states import Direction, PlanState, StepState
from opsconsole.plans.transitions import live_run

UNDOING = _("Approvals to undo it")


class SeenForm(ActionForm):
    """The digest of what was seen."""

    digest = forms.CharField(widget=forms.HiddenInput, max_length=64)


class StagePlan(PlanAction[Plan]):
    """Make the draft exactly what will be done."""

    name = "stage"
    label = _("Stage")
    icon = "playlist_add_check"
    tone = "primary"
    permission = "plans.stage_plan"

    def offered(self, _actor: Actor, row: Plan) -> bool:
        """A draft."""
        return row.status == PlanState.DRAFT

    def obstacle(self, _actor: Actor, row: Plan) -> Text:
        """A window that is over: what people would approve, nobody could execute."""
        closed = window_closed(row)
        return now_("%(closed)s Edit the draft to move it.") % {"closed": closed} if closed else ""

    def question(self, row: Plan) -> Text:
        """What staging does."""
        return now_(
            "Stage “%(name)s”? Its steps are written down, what it uses is reserved, and approvals are asked for."
        ) % {"name": row.name}

    def perform(self, press: Press[Plan]) -> Answer:
        """Stage it."""
        return staging.stage_plan.once(
            press.key,
            then(_what_staging_came_to, display.row_url),
            plan_id=press.row.pk,
            actor=press.actor,
        )


class BackToDraft(PlanAction[Plan]):
    """Take it back to be edited."""

    name = "draft"
    label = _("Back to draft")
    icon = "edit_note"
    permission = "plans.create_plan"
    form = OptionalReasonForm

    def offered(self, _actor: Actor, row: Plan) -> bool:
        """Staged or approved."""
        return row.status in (PlanState.STAGED, PlanState.APPROVED)

    def question(self, row: Plan) -> Text:
        """What becomes of approvals."""
        return now_(
            "Take “%(name)s” back to draft (%(size)s)? Unless exactly the same is staged again, its approvals are void."
        ) % {"name": row.name, "size": size_of(row)}

    def perform(self, press: Press[Plan]) -> Answer:
        """Take it back."""
        return drafts.return_to_draft.once(
            press.key,
            then(lambda _plan: now_("The plan is a draft again."), display.row_url),
            plan_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class CancelPlan(PlanAction[Plan]):
    """Give it up."""

    name = "cancel"
    label = _("Cancel the plan")
    icon = "cancel"
    tone = "danger"
    permission = "plans.stage_plan"
    form = ReasonForm

    def offered(self, _actor: Actor, row: Plan) -> bool:
        """Not begun."""
        return row.status in (PlanState.DRAFT, PlanState.STAGED, PlanState.APPROVED)

    def question(self, row: Plan) -> Text:
        """What is given up."""
        return now_("Cancel “%(name)s” for good (%(size)s)? What it had reserved is free again.") % {
            "name": row.name,
            "size": size_of(row),
        }

    def perform(self, press: Press[Plan]) -> Answer:
        """Give it up."""
        return drafts.cancel_plan.once(
            press.key,
            then(lambda _plan: now_("The plan is cancelled."), display.row_url),
            plan_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class ExecutePlan(PlanAction[Plan]):
    """Do it."""

    name = "execute"
    label = _("Execute")
    icon = "play_arrow"
    tone = "go"
    permission = "plans.execute_plan"
    form = SeenForm

    def offered(self, _actor: Actor, row: Plan) -> bool:
        """On its way there."""
        return row.status in (PlanState.STAGED, PlanState.APPROVED)

    def obstacle(self, actor: Actor, row: Plan) -> Text:
        """Who is still needed, or which hour, or which role."""
        if row.status != PlanState.APPROVED:
            return _still_needed(row)
        now = timezone.now()
        if row.not_before and now < row.not_before:
            return now_("Not before %(time)s UTC.") % {"time": f"{row.not_before:%Y-%m-%d %H:%M}"}
        if closed := window_closed(row):
            return closed
        if freeze := calendars.freeze_of(row, now):
            return why_frozen(freeze)
        return why_not_execute(row, actor)

    def question(self, row: Plan) -> Text:
        """How much goes out."""
        return now_("Execute “%(name)s” now: %(size)s?") % {"name": row.name, "size": size_of(row)}

    def sections(self, _actor: Actor, row: Plan) -> Sequence[Section]:
        """The impact again."""
        return impact_sections(row.estimated_impact)

    def typed(self, row: Plan) -> str:
        """The number of items."""
        return str((row.estimated_impact or {}).get("count", ""))

    def initial(self, row: Plan) -> dict[str, Any]:
        """What was approved."""
        return {"digest": row.digest}

    def perform(self, press: Press[Plan]) -> Answer:
        """Queue the run, if the plan is still what was seen."""

        def render(outcome: Run | Drifted) -> Answer:
            if isinstance(outcome, Drifted):
                return refused(outcome.error(), to=display.row_url(outcome.plan))
            require_seen(press.data["digest"], outcome.plan.digest)
            return done(now_("The run is queued; a worker takes it from here."), to=display.row_url(outcome))

        return execution.execute_plan.once(press.key, render, plan_id=press.row.pk, actor=press.actor)


class RollBackPlan(PlanAction[Plan]):
    """Undo what can be undone."""

    name = "rollback"
    label = _("Roll back")
    icon = "settings_backup_restore"
    tone = "danger"
    permission = "plans.execute_plan"
    form = ReasonForm

    def offered(self, _actor: Actor, row: Plan) -> bool:
        """Something was done."""
        return PlanState.ROLLING_BACK.value in row.state.following or live_run(row) is not None

    def obstacle(self, actor: Actor, row: Plan) -> Text:
        """A run under way, steps in doubt, another role, nothing left to undo."""
        if told := why_not_new_run(row, actor):
            return told
        return why_nothing_left(row, Direction.ROLLBACK) if row.status == PlanState.ROLLBACK_PARTIAL else ""

    def question(self, row: Plan) -> Text:
        """How many steps are undone."""
        count = _done_steps(row)
        asked = ngettext(
            "Roll back “%(name)s”: undo %(count)s step (%(size)s in all)?",
            "Roll back “%(name)s”: undo %(count)s steps (%(size)s in all)?",
            count,
        ) % {"name": row.name, "count": display.number(count), "size": size_of(row)}
        return " ".join(filter(None, (asked, _asked_first(row))))

    def sections(self, actor: Actor, row: Plan) -> Sequence[Section]:
        """How far the approvals to undo it are, and what it cannot do."""
        undoing = undo_request(row) if undoing_takes(row) else None
        live = undoing is not None and undoing.status in LIVE
        panel = [approvals_panel(undoing, actor, linked=True, title=UNDOING)] if undoing and live else []
        return [*panel, *irreversible_sections(row.estimated_impact or {})]

    def typed(self, row: Plan) -> str:
        """The number of steps that were done."""
        return str(_done_steps(row))

    def perform(self, press: Press[Plan]) -> Answer:
        """Queue the run, or ask for the approvals that undoing needs."""

        def render(outcome: Run | ApprovalWanted) -> Answer:
            if isinstance(outcome, ApprovalWanted):
                return done(
                    now_(
                        "Undoing this takes approvals of its own, which are asked for. Roll back again once they are"
                        " complete: %(slots)s."
                    )
                    % {"slots": moves.wanted(selectors.tally(outcome.request).quorum)},
                    to=display.row_url(outcome.request),
                )
            return done(now_("The rollback is queued; a worker takes it from here."), to=display.row_url(outcome))

        return execution.roll_back_plan.once(
            press.key, render, plan_id=press.row.pk, reason=press.data["reason"], actor=press.actor
        )


def _what_staging_came_to(plan: Plan) -> str:
    """How much it is, and who is asked next."""
    request = latest_request(plan)
    wanted = moves.wanted(selectors.tally(request).quorum) if request else ""
    if not wanted:
        return now_("Staged: %(size)s.") % {"size": size_of(plan)}
    return now_("Staged: %(size)s. Others are asked to approve it now: %(slots)s.") % {
        "size": size_of(plan),
        "slots": wanted,
    }


def _asked_first(plan: Plan) -> str:
    """What pressing does where undoing takes approvals of its own; empty where it takes none."""
    takes = undoing_takes(plan)
    if not takes:
        return ""
    asked = undo_request(plan)
    if asked is None or asked.status not in LIVE:
        return now_(
            "Undoing this takes approvals of its own: %(slots)s. Pressing now asks for them and undoes nothing yet;"
            " once they have agreed, roll back again from here."
        ) % {"slots": takes}
    if asked.status == RequestState.APPROVED:
        return now_("Undoing this is approved: pressing does it, unless what it would undo has changed since.")
    return now_("Its approvals were asked for and are not complete: until they are, pressing undoes nothing.")


def _done_steps(plan: Plan) -> int:
    return Step.objects.filter(
        plan=plan, revision=plan.revision, direction=Direction.EXECUTE, status=StepState.SUCCEEDED
    ).count()


def _still_needed(plan: Plan) -> str:
    request = latest_request(plan)
    if request is None:
        return now_("The plan is %(state)s.") % {"state": plan.state.label}
    return now_("Still needed: %(slots)s.") % {"slots": moves.wanted(selectors.tally(request).quorum)}
