"""The buttons on a run: pause, resume, retry, cancel."""

from __future__ import annotations

from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import OptionalReasonForm, Press, ReasonForm, then
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.plans import selectors
from opsconsole.plans.admin.rows import PlanAction, why_not_new_run, why_nothing_left
from opsconsole.plans.models import Run
from opsconsole.plans.services import control, execution
from opsconsole.plans.states import Direction, PlanState, RunState, StepState


def _size(run: Run) -> dict[str, str]:
    progress = selectors.progress_of(run)
    return {
        "name": run.plan.name,
        "done": display.number(progress.done),
        "rest": display.number(progress.total - progress.done),
    }


class PauseRun(PlanAction[Run]):
    """Stop at the next step boundary."""

    name = "pause"
    label = _("Pause")
    icon = "pause"
    tone = "primary"
    permission = "plans.execute_plan"
    form = OptionalReasonForm

    def offered(self, _actor: Actor, row: Run) -> bool:
        """Going, or about to, and not asked yet."""
        return row.status in (RunState.QUEUED, RunState.RUNNING) and not row.pause_asked_at

    def question(self, row: Run) -> Text:
        """How much is left."""
        return now_(
            "Pause the run of “%(name)s” at its next step boundary? %(done)s steps are done, %(rest)s are left."
        ) % _size(row)

    def perform(self, press: Press[Run]) -> Answer:
        """Ask for it."""
        return control.pause_run.once(
            press.key,
            then(lambda _run: now_("It was asked to pause."), display.row_url),
            plan_id=press.row.plan_id,
            run_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class ResumeRun(PlanAction[Run]):
    """Let it go on."""

    name = "resume"
    label = _("Resume")
    icon = "play_arrow"
    tone = "primary"
    permission = "plans.execute_plan"
    form = OptionalReasonForm

    def offered(self, _actor: Actor, row: Run) -> bool:
        """Paused, or asked to."""
        return row.is_live and (row.status == RunState.PAUSED or row.pause_asked_at is not None)

    def question(self, row: Run) -> Text:
        """How much is left."""
        return now_("Let the run of “%(name)s” go on? %(done)s steps are done, %(rest)s are left.") % _size(row)

    def perform(self, press: Press[Run]) -> Answer:
        """Let it."""
        return control.resume_run.once(
            press.key,
            then(lambda _run: now_("It goes on."), display.row_url),
            plan_id=press.row.plan_id,
            run_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class CancelRun(PlanAction[Run]):
    """End it at the next step boundary."""

    name = "cancel"
    label = _("End the run")
    icon = "stop_circle"
    tone = "danger"
    permission = "plans.execute_plan"
    form = ReasonForm

    def offered(self, _actor: Actor, row: Run) -> bool:
        """Live, and not asked yet."""
        return row.is_live and not row.cancel_asked_at

    def question(self, row: Run) -> Text:
        """What stays."""
        return now_(
            "End the run of “%(name)s” at its next step boundary? %(done)s steps are done and stay done;"
            " %(rest)s are left, to be retried or rolled back."
        ) % _size(row)

    def perform(self, press: Press[Run]) -> Answer:
        """Ask for it."""
        return control.cancel_run.once(
            press.key,
            then(lambda run: now_("The run is %(state)s.") % {"state": run.state.label}, display.row_url)
            if press.row.status != RunState.RUNNING
            else then(lambda _run: now_("It was asked to end."), display.row_url),
            plan_id=press.row.plan_id,
            run_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class RetryRun(PlanAction[Run]):
    """Go on from the failed step, in a new run."""

    name = "retry"
    label = _("Retry")
    icon = "replay"
    tone = "primary"
    permission = "plans.execute_plan"

    def offered(self, _actor: Actor, row: Run) -> bool:
        """Ended without success, and the plan still stands where this run left it."""
        wanted = PlanState.EXECUTING if row.direction == Direction.EXECUTE else PlanState.ROLLING_BACK
        return (
            row.status in (RunState.FAILED, RunState.PARTIAL, RunState.CANCELLED)
            and wanted.value in row.plan.state.following
        )

    def obstacle(self, actor: Actor, row: Run) -> Text:
        """A run under way, steps in doubt, another role, nothing left to do."""
        return why_not_new_run(row.plan, actor) or why_nothing_left(row.plan, Direction(row.direction))

    def question(self, row: Run) -> Text:
        """How much is tried again."""
        by_state = selectors.progress_of(row).by_state
        return now_(
            "Retry “%(name)s” in a new run, under the same approval: %(failed)s failed and %(pending)s pending steps?"
        ) % {
            "name": row.plan.name,
            "failed": display.number(by_state[StepState.FAILED]),
            "pending": display.number(by_state[StepState.PENDING]),
        }

    def perform(self, press: Press[Run]) -> Answer:
        """Queue it."""
        return execution.retry_run.once(
            press.key,
            then(lambda _run: now_("A new run is queued."), display.row_url),
            plan_id=press.row.plan_id,
            run_id=press.row.pk,
            actor=press.actor,
        )
