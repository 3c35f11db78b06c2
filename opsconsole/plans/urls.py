"""The addresses of plans, under /api/ops/."""

from django.urls import path

from opsconsole.plans import api

urlpatterns = [
    path("plan-types", api.PlanTypes.as_view(), name="plan-types"),
    path("plans", api.Plans.as_view(), name="plans"),
    path("plans/<uuid:plan_id>", api.OnePlan.as_view(), name="plan"),
    path("plans/<uuid:plan_id>/stage", api.Stage.as_view(), name="plan-stage"),
    path("plans/<uuid:plan_id>/approve", api.Approve.as_view(), name="plan-approve"),
    path("plans/<uuid:plan_id>/reject", api.Reject.as_view(), name="plan-reject"),
    path("plans/<uuid:plan_id>/revoke", api.Revoke.as_view(), name="plan-revoke"),
    path("plans/<uuid:plan_id>/cancel", api.Cancel.as_view(), name="plan-cancel"),
    path("plans/<uuid:plan_id>/execute", api.Execute.as_view(), name="plan-execute"),
    path("plans/<uuid:plan_id>/rollback", api.Rollback.as_view(), name="plan-rollback"),
    path("plans/<uuid:plan_id>/steps", api.Steps.as_view(), name="plan-steps"),
    path("plans/<uuid:plan_id>/steps/<uuid:step_id>/resolve", api.Resolve.as_view(), name="step-resolve"),
    path("plans/<uuid:plan_id>/runs", api.Runs.as_view(), name="plan-runs"),
    path("plans/<uuid:plan_id>/runs/<uuid:run_id>", api.OneRun.as_view(), name="plan-run"),
    path("plans/<uuid:plan_id>/runs/<uuid:run_id>/steps", api.RunSteps.as_view(), name="run-steps"),
    path("plans/<uuid:plan_id>/runs/<uuid:run_id>/pause", api.Pause.as_view(), name="run-pause"),
    path("plans/<uuid:plan_id>/runs/<uuid:run_id>/resume", api.Resume.as_view(), name="run-resume"),
    path("plans/<uuid:plan_id>/runs/<uuid:run_id>/retry", api.Retry.as_view(), name="run-retry"),
    path("plans/<uuid:plan_id>/runs/<uuid:run_id>/cancel", api.CancelRun.as_view(), name="run-cancel"),
    path("plans/<uuid:plan_id>/journal", api.PlanJournal.as_view(), name="plan-journal"),
]
