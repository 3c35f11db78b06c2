"""Steps: the list, the page of one with what its target said, and the form that resolves an unknown one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import MAX_REASON, ActionForm, Press, then
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.filters import StatusWithin
from opsconsole.core.admin.pages import Column, Facts, Link, Notice, Section, Table
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.plans.admin.rows import PlanAction, visible_steps
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.services import resolution
from opsconsole.plans.states import Direction, StepState

# What tells a step from the next one, for people; a step of another shape shows its first few members.
TELLING: Final = (
    *(("payout", "beneficiary"), ("format", "account", "count"), ("account", "target"), ("recall",)),
    *(("bank", "withdraw"), ("corridor", "from_bank", "to_bank"), ("corridor", "bank")),
    *(("subject", "of"), ("name", "reason")),
)
MEMBERS_SHOWN: Final = 3
DOUBTFUL_SHOWN: Final = 10
SUMS: Final = ("amount", "control_sum")


def summary_of(step: Step) -> str:
    """What the step is about, in a line."""
    payload: dict[str, Any] = step.payload
    names = next((names for names in TELLING if all(name in payload for name in names)), ())
    told = [payload[name] for name in names] or list(islice(payload.values(), MEMBERS_SHOWN))
    return " · ".join(str(value) for value in told) or step.kind


def money_of(step: Step) -> SafeString | str:
    """The money it moves."""
    for name in SUMS:
        if name in step.payload:
            return display.money(str(step.payload[name]), str(step.payload.get("currency", "")))
    return display.NOTHING


def with_reason(step: Step) -> SafeString | str:
    """The same, and under it why the step failed, was skipped or is in doubt, where somebody said so."""
    reason = (step.result or {}).get("reason", "") if step.status != StepState.SUCCEEDED else ""
    if not reason:
        return summary_of(step)
    return format_html('{}<br><span class="ops-subtle">{}</span>', summary_of(step), reason)


def steps_url(plan: Plan, direction: str, revision: int, **narrowed: str) -> str:
    """The list of the steps of one direction of a plan."""
    return display.list_url(
        Step, plan__id__exact=plan.pk, revision__exact=revision, direction__exact=direction, **narrowed
    )


def steps_table(steps: Iterable[Step], *, more: Link | None, empty: Text = "", title: Text = "") -> Table:
    """Steps, a line each."""
    return Table(
        title or _("Steps"),
        ["#", _("what"), Column(_("amount"), right=True), _("state"), Column(_("attempts"), right=True)],
        [
            [
                display.row_link(step, str(step.seq)),
                with_reason(step),
                money_of(step),
                step_state(step),
                step.attempt,
            ]
            for step in steps
        ],
        empty=empty,
        more=more,
    )


def in_doubt(actor: Actor, plan: Plan) -> list[Section]:
    """The steps of a plan that wait for somebody to say what became of them, with what is asked of that person."""
    steps = list(Step.objects.filter(plan=plan, status=StepState.UNKNOWN).order_by("seq")[: DOUBTFUL_SHOWN + 1])
    if not steps:
        return []
    may = actor.may(ResolveStep.permission, plan)
    every = display.list_url(Step, plan__id__exact=plan.pk, status=StepState.UNKNOWN.value)
    return [
        Notice(
            _(
                "The target did not answer, and nobody knows whether these steps happened. Ask the target by other"
                " means, then say what became of each: with who said so, when, and where it can be looked up."
            ),
            "bad",
            _("Steps in doubt"),
        ),
        Table(
            _("Steps in doubt"),
            ["#", _("what"), Column(_("amount"), right=True), _("under the key"), _("since"), _("state"), ""],
            [
                [
                    display.row_link(step, str(step.seq)),
                    summary_of(step),
                    money_of(step),
                    display.copyable(step.key, display.short_id(step.key)),
                    display.moment(step.started_at),
                    step_state(step),
                    _resolve_link(step) if may else display.NOTHING,
                ]
                for step in steps[:DOUBTFUL_SHOWN]
            ],
            more=Link(every, _("All of them")) if len(steps) > DOUBTFUL_SHOWN else None,
        ),
    ]


def _resolve_link(step: Step) -> SafeString:
    return format_html(
        '<a class="ops-button ops-button-danger" href="{}">{}</a>',
        reverse("admin:plans_step_resolve", args=[step.pk]),
        ResolveStep.label,
    )


def step_state(step: Step) -> SafeString:
    """Its state; an unknown one says when it waits for a person."""
    if step.status == StepState.UNKNOWN and step.needs_person:
        return display.state_label(step.status, _("unknown: resolve it"))
    return display.state_of(step)


class ResolutionForm(ActionForm):
    """What became of it, and how one knows."""

    outcome = forms.ChoiceField(
        label=_("What became of it?"),
        choices=[("succeeded", _("It happened")), ("failed", _("It did not happen, and will not"))],
        widget=forms.RadioSelect,
    )
    evidence = forms.CharField(
        label=_("How do you know?"),
        max_length=MAX_REASON,
        widget=forms.Textarea({"rows": 3}),
        help_text=_("Who said so, when, where it can be looked up. It goes into the journal."),
    )
    reference = forms.CharField(
        label=_("Reference"), required=False, max_length=200, help_text=_("The target's own id of what happened.")
    )


class ResolveStep(PlanAction[Step]):
    """Say what became of a step."""

    name = "resolve"
    label = _("Resolve")
    icon = "fact_check"
    tone = "danger"
    permission = "plans.resolve_step"
    form = ResolutionForm

    def offered(self, _actor: Actor, row: Step) -> bool:
        """An unknown one."""
        return row.status == StepState.UNKNOWN

    def question(self, row: Step) -> Text:
        """Which one."""
        return now_("Step %(seq)s of “%(plan)s”: %(what)s. Nobody knows what became of it; the run waits for you.") % {
            "seq": row.seq,
            "plan": row.plan.name,
            "what": summary_of(row),
        }

    def sections(self, _actor: Actor, row: Step) -> Sequence[Section]:
        """What was sent, under which key."""
        return [_sent(row)]

    def perform(self, press: Press[Step]) -> Answer:
        """Settle it."""
        return resolution.resolve_step.once(
            press.key,
            then(lambda step: now_("Resolved as %(state)s.") % {"state": step.state.label}, display.row_url),
            plan_id=press.row.plan_id,
            step_id=press.row.pk,
            outcome=press.data["outcome"],
            evidence=press.data["evidence"],
            reference=press.data["reference"],
            actor=press.actor,
        )


@admin.register(Step)
class StepAdmin(ConsoleAdmin[Step]):
    """Steps: in their order within one plan, else the newest first."""

    list_display = ("number", "what", "money_moved", "state", "attempt", "way", "of_plan", "ended")
    nothing = _("No plan has steps yet: staging one writes them down.")
    list_filter = (
        StatusWithin.of(
            StepState,
            indexed=(StepState.UNKNOWN, StepState.RUNNING),
            parents=("plan__id__exact", "run__id__exact"),
        ),
    )
    list_select_related = ("plan",)
    row_actions = (ResolveStep(),)

    def visible(self, actor: Actor) -> QuerySet[Step]:
        """The steps of the plans the actor may see."""
        return visible_steps(actor)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """By the plan's order where the list is of one plan."""
        if "plan__id__exact" in request.GET:
            return ("seq", "id")
        return ("-plan_id", "-revision", "-direction", "-seq", "-id")  # as the index has them

    @admin.display(description="#")
    def number(self, step: Step) -> str:
        """Its place in the plan."""
        return display.number(step.seq)

    @admin.display(description=_("what"))
    def what(self, step: Step) -> str:
        """What it is about."""
        return summary_of(step)

    @admin.display(description=_("amount"))
    def money_moved(self, step: Step) -> SafeString | str:
        """The money it moves."""
        return money_of(step)

    @admin.display(description=_("state"))
    def state(self, step: Step) -> SafeString:
        """Its state."""
        return step_state(step)

    @admin.display(description=_("way"))
    def way(self, step: Step) -> str:
        """Doing or undoing."""
        return str(Direction(step.direction).label)

    @admin.display(description=_("plan"))
    def of_plan(self, step: Step) -> SafeString | str:
        """Its plan."""
        return display.row_link(step.plan)

    @admin.display(description=_("finished"))
    def ended(self, step: Step) -> SafeString | str:
        """When."""
        return display.moment(step.finished_at)

    def heading(self, row: Step) -> Text:
        """Its number and what it is about."""
        return now_("Step %(seq)s: %(what)s") % {"seq": row.seq, "what": summary_of(row)}

    def badge(self, row: Step) -> SafeString:
        """Its state."""
        return step_state(row)

    def sections(self, _request: HttpRequest, row: Step) -> Sequence[Section]:
        """What was sent, what was answered, how it would be undone."""
        sections: list[Section] = []
        if row.status == StepState.UNKNOWN:
            text = (
                _("The target cannot tell. Find out by other means, then resolve it; the run waits for that.")
                if row.needs_person
                else _("No answer came back. The target is being asked what became of it.")
            )
            sections.append(Notice(text, "bad", _("Nobody knows what became of this")))
        sections.append(_answer(row))
        sections.append(_sent(row))
        if row.compensation:
            sections.append(Facts(_("How it would be undone"), display.members(row.compensation)))
        elif row.direction == Direction.EXECUTE:
            sections.append(Notice(_("This step cannot be undone."), "warn"))
        return sections

    def side(self, _request: HttpRequest, row: Step) -> Sequence[Section]:
        """Where it belongs, and its times."""
        undone_by = row.undone_by.first()
        rows: list[tuple[Any, Any]] = [
            (_("plan"), display.row_link(row.plan)),
            (_("run"), display.row_link(row.run, _run_name(row.run)) if row.run else display.NOTHING),
            (_("revision"), row.revision),
            (_("kind"), row.kind),
            (_("attempts"), row.attempt),
            (_("started"), display.moment(row.started_at)),
            (_("finished"), display.moment(row.finished_at)),
        ]
        if row.undoes:
            rows.append((_("undoes"), display.row_link(row.undoes, str(row.undoes.seq))))
        if undone_by:
            rows.append((_("undone by"), display.row_link(undone_by, str(undone_by.seq))))
        return [Facts(_("Step"), rows)]


def _run_name(run: Run) -> str:
    return f"{Direction(run.direction).label} {run.run_at:%Y-%m-%d %H:%M}"


def _sent(step: Step) -> Facts:
    return Facts(_("What it sends"), [*display.members(step.payload), (_("under the key"), display.code(step.key))])


def _answer(step: Step) -> Facts:
    return Facts(_("What came back"), display.members(step.result or {}) or [(_("answer"), _("none yet"))])
