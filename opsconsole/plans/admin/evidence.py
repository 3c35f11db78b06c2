"""The evidence of a plan among its downloads, and the button that ends a stuck run."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import HttpRequest
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Press, ReasonForm, then
from opsconsole.core.admin.base import actor_of
from opsconsole.core.admin.pages import Notice, Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.journal.selectors import last_checkpoint
from opsconsole.plans import evidence
from opsconsole.plans.admin.downloads import Download, register_downloads
from opsconsole.plans.admin.rows import PlanAction
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import force_fail


@register_downloads
def evidence_of(request: HttpRequest, plan: Plan) -> Sequence[Download]:
    """The pack, for whoever may take it; nothing before the journal was ever sealed."""
    actor = actor_of(request)
    if not actor.may("plans.export_evidence", plan) or last_checkpoint() is None:
        return ()

    return (
        Download(
            f"evidence-{plan.pk}.zip",
            _("Evidence: content, decisions, signatures, runs, steps, files, journal entries with their proof"),
            lambda: evidence.export(plan_id=plan.pk, actor=actor).file,
            content_type="application/zip",
        ),
    )


class ForceFailRun(PlanAction[Run]):
    """End a run that hangs, as failed."""

    name = "force-fail"
    label = _("Force to fail")
    icon = "dangerous"
    tone = "danger"
    permission = "plans.force_fail_run"
    form = ReasonForm

    def offered(self, _actor: Actor, row: Run) -> bool:
        """While it has not ended."""
        return row.is_live

    def question(self, row: Run) -> Text:
        """What it does, and what is milder."""
        return now_(
            "End the run of “%(name)s” as failed now, whoever has it? Pause or end it instead, if it still answers:"
            " those wait for the step boundary."
        ) % {"name": row.plan.name}

    def sections(self, _actor: Actor, _row: Run) -> Sequence[Section]:
        """What becomes of the steps under way."""
        return [
            Notice(
                _(
                    "A worker that is alive after all stops at its next write. Steps that are under way become"
                    " unknown, and their target is asked within two minutes; nothing is rolled back by itself."
                ),
                "warn",
            )
        ]

    def typed(self, row: Run) -> str:
        """The plan's external id."""
        return row.plan.external_id

    def perform(self, press: Press[Run]) -> Answer:
        """End it."""
        return force_fail.force_fail_run.once(
            press.key,
            then(
                lambda run: now_("The run is failed; the plan is %(state)s.") % {"state": run.plan.state.label},
                display.row_url,
            ),
            plan_id=press.row.plan_id,
            run_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )
