"""What can go wrong with a plan."""

from __future__ import annotations

from opsconsole.core.errors import Conflict, Invalid, NotFound, RuleBroken


class PlanInvalid(Invalid):
    """The draft does not hold together; `errors` says which field and why."""

    code = "plan_invalid"


class PlanNotFound(NotFound):
    """No such plan, or none this actor may see."""

    code = "plan_not_found"


class RunNotFound(NotFound):
    """No such run of this plan."""

    code = "run_not_found"


class StepNotFound(NotFound):
    """No such step of this plan."""

    code = "step_not_found"


class ExternalIdTaken(Conflict):
    """Another plan bears this external_id."""

    code = "external_id_taken"


class NothingToDo(RuleBroken):
    """Staging found nothing that this plan would do."""

    code = "nothing_to_do"


class NoDecisionOpen(Conflict):
    """The plan waits for no decision now."""

    code = "no_decision_open"


class OutsideWindow(RuleBroken):
    """The plan's execution window is not open."""

    code = "outside_window"


class Frozen(Conflict):
    """A freeze calendar keeps the plan from being executed; `frozen_until` says until when, if there is an end."""

    code = "frozen"


class CalendarInvalid(Invalid):
    """The calendar does not hold together; `errors` says which field and why."""

    code = "calendar_invalid"


class CalendarNotFound(NotFound):
    """No such calendar, or none this actor may see."""

    code = "calendar_not_found"


class CalendarEnded(Conflict):
    """The calendar is over, by itself or by a person."""

    code = "calendar_ended"


class GlassForbidden(RuleBroken):
    """No emergency lets one person execute a plan of this type."""

    code = "glass_forbidden"


class GlassNotNeeded(Conflict):
    """Nothing stands in the way of executing the plan as usual."""

    code = "glass_not_needed"


class ApprovalRequired(Conflict):
    """Undoing this is the dangerous direction: it needs approvals of its own, which were asked for."""

    code = "approval_required"


class NoLiveApproval(Conflict):
    """The request that approved the plan has ended."""

    code = "no_live_approval"


class PlanDrifted(Conflict):
    """The world no longer matches what was approved; the plan was staged afresh and needs new approvals."""

    code = "plan_drifted"


class RunIsLive(Conflict):
    """A run of this plan is still going."""

    code = "run_is_live"


class StepsInDoubt(Conflict):
    """Steps whose outcome is unknown must be resolved first."""

    code = "steps_in_doubt"


class NothingToRetry(Conflict):
    """Every step of this run has been done."""

    code = "nothing_to_retry"


class StepNotUnknown(Conflict):
    """Only a step that is unknown can be resolved by a person."""

    code = "step_not_unknown"


class LeaseLost(Conflict):
    """Another worker has the run, or it ended: stop, and write nothing more."""

    code = "lease_lost"
