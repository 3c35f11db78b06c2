"""The addresses of plans, under /api/ops/."""

from django.urls import path

from opsconsole.plans.api import calendars, evidence, plans, runs

urlpatterns = [
    path("calendars", calendars.Calendars.as_view(), name="calendars"),
    path("calendars/<uuid:calendar_id>/end", calendars.EndCalendar.as_view(), name="calendar-end"),
    path("plan-types", plans.PlanTypes.as_view(), name="plan-types"),
    path("plans", plans.Plans.as_view(), name="plans"),
    path("plans/<uuid:plan_id>", plans.OnePlan.as_view(), name="plan"),
    path("plans/<uuid:plan_id>/stage", plans.Stage.as_view(), name="plan-stage"),
    path("plans/<uuid:plan_id>/approve", plans.Approve.as_view(), name="plan-approve"),
    path("plans/<uuid:plan_id>/reject", plans.Reject.as_view(), name="plan-reject"),
    path("plans/<uuid:plan_id>/revoke", plans.Revoke.as_view(), name="plan-revoke"),
    path("plans/<uuid:plan_id>/cancel", plans.Cancel.as_view(), name="plan-cancel"),
    path("plans/<uuid:plan_id>/execute", runs.Execute.as_view(), name="plan-execute"),
    path("plans/<uuid:plan_id>/break-glass", runs.BreakGlass.as_view(), name="plan-break-glass"),
    path("plans/<uuid:plan_id>/evidence", evidence.Evidence.as_view(), name="plan-evidence"),
    path("plans/<uuid:plan_id>/rollback", runs.Rollback.as_view(), name="plan-rollback"),
    path("plans/<uuid:plan_id>/steps", plans.Steps.as_view(), name="plan-steps"),
    path("plans/<uuid:plan_id>/steps/<uuid:step_id>/resolve", runs.Resolve.as_view(), name="step-resolve"),
    path("plans/<uuid:plan_id>/runs", runs.Runs.as_view(), name="plan-runs"),
    path("plans/<uuid:plan_id>/runs/<uuid:run_id>", runs.OneRun.as_view(), name="plan-run"),
    path("plans/<uuid:plan_id>/runs/<uuid:run_id>/steps", runs.RunSteps.as_view(), name="run-steps"),
    path("plans/<uuid:plan_id>/runs/<uuid:run_id>/pause", runs.Pause.as_view(), name="run-pause"),
    path("plans/<uuid:plan_id>/runs/<uuid:run_id>/resume", runs.Resume.as_view(), name="run-resume"),
    path("plans/<uuid:plan_id>/runs/<uuid:run_id>/retry", runs.Retry.as_view(), name="run-retry"),
    path("plans/<uuid:plan_id>/runs/<uuid:run_id>/cancel", runs.CancelRun.as_view(), name="run-cancel"),
    path("plans/<uuid:plan_id>/runs/<uuid:run_id>/force-fail", runs.ForceFail.as_view(), name="run-force-fail"),
    path("plans/<uuid:plan_id>/journal", plans.PlanJournal.as_view(), name="plan-journal"),
]
