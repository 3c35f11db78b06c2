"""The states of a plan, of its runs and of their steps, and which may follow which."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from opsconsole.core.states import States


class PlanState(States):
    """A plan is drafted, staged, approved by others, executed, and perhaps rolled back."""

    DRAFT = "draft", _("draft")
    STAGED = "staged", _("staged")
    APPROVED = "approved", _("approved")
    EXECUTING = "executing", _("executing")
    SUCCEEDED = "succeeded", _("succeeded")
    PARTIAL = "partial", _("partial")
    FAILED = "failed", _("failed")
    ROLLING_BACK = "rolling_back", _("rolling back")
    ROLLED_BACK = "rolled_back", _("rolled back")
    ROLLBACK_PARTIAL = "rollback_partial", _("rolled back in part")
    REJECTED = "rejected", _("rejected")
    CANCELLED = "cancelled", _("cancelled")
    EXPIRED = "expired", _("expired")

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Back to draft means the next revision; failed and partial plans may be retried or rolled back."""
        return {
            cls.DRAFT: frozenset({cls.STAGED, cls.CANCELLED}),
            cls.STAGED: frozenset({cls.APPROVED, cls.DRAFT, cls.REJECTED, cls.CANCELLED, cls.EXPIRED}),
            cls.APPROVED: frozenset({cls.EXECUTING, cls.STAGED, cls.DRAFT, cls.REJECTED, cls.CANCELLED, cls.EXPIRED}),
            cls.EXECUTING: frozenset({cls.SUCCEEDED, cls.PARTIAL, cls.FAILED}),
            cls.SUCCEEDED: frozenset({cls.ROLLING_BACK}),
            cls.PARTIAL: frozenset({cls.ROLLING_BACK, cls.EXECUTING}),
            cls.FAILED: frozenset({cls.ROLLING_BACK, cls.EXECUTING}),
            cls.ROLLING_BACK: frozenset({cls.ROLLED_BACK, cls.ROLLBACK_PARTIAL}),
            cls.ROLLBACK_PARTIAL: frozenset({cls.ROLLING_BACK}),
        }

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every plan is born a draft."""
        return frozenset({cls.DRAFT})


class RunState(States):
    """A run waits for a worker, runs under a lease, may be paused by a person, and ends in one of four ways."""

    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    PAUSED = "paused", _("paused")
    SUCCEEDED = "succeeded", _("succeeded")
    PARTIAL = "partial", _("partial")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Running to failed is also what the runbook's UPDATE does by hand."""
        return {
            cls.QUEUED: frozenset({cls.RUNNING, cls.CANCELLED, cls.FAILED}),
            cls.RUNNING: frozenset({cls.PAUSED, cls.SUCCEEDED, cls.PARTIAL, cls.FAILED, cls.CANCELLED}),
            cls.PAUSED: frozenset({cls.RUNNING, cls.CANCELLED, cls.FAILED}),
        }

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every run is born in the queue."""
        return frozenset({cls.QUEUED})


LIVE_RUNS = (RunState.QUEUED, RunState.RUNNING, RunState.PAUSED)


class StepState(States):
    """A step is one submission to the outside; `unknown` is one whose outcome nobody has seen yet."""

    PENDING = "pending", _("pending")
    RUNNING = "running", _("running")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")
    UNKNOWN = "unknown", _("unknown")
    SKIPPED = "skipped", _("skipped")

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Unknown is left only by an answer: the target's, or a person's with evidence."""
        return {
            cls.PENDING: frozenset({cls.RUNNING, cls.SKIPPED}),
            cls.RUNNING: frozenset({cls.SUCCEEDED, cls.FAILED, cls.UNKNOWN, cls.SKIPPED, cls.PENDING}),
            cls.UNKNOWN: frozenset({cls.SUCCEEDED, cls.FAILED, cls.SKIPPED, cls.PENDING}),
            cls.FAILED: frozenset({cls.PENDING}),
        }

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every step is born pending."""
        return frozenset({cls.PENDING})


class Direction(models.TextChoices):
    """Which way a run goes through the plan's steps."""

    EXECUTE = "execute", _("execute")
    ROLLBACK = "rollback", _("roll back")


class OnFailure(models.TextChoices):
    """What a run does when a step fails."""

    STOP = "stop", _("stop")
    ROLLBACK = "rollback", _("roll back")
    CONTINUE = "continue", _("continue")


class Waiting(models.TextChoices):
    """What a live run without a worker is waiting for."""

    NOTHING = "", _("nothing")
    TARGET = "target", _("the target to answer")
    PERSON = "person", _("a person to resolve a step")
