"""Tiers: defined, changed, and evaluated.

A tier's multiplier does what the earn rate does, so giving one takes the same two teams, and so does changing who
reaches a tier that multiplies; a tier that multiplies by one is a name and is made at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import access, standing
from loyalty.errors import NothingToDo, TierInvalid, TimeRefused
from loyalty.ledger import MOST_POINTS
from loyalty.models import Program, Tier
from loyalty.reasons import said
from loyalty.selectors import database_clock
from loyalty.standing import Evaluation
from loyalty.states import ProgramState
from loyalty.workers import Outcome, Worker, count_execution
from opsconsole.approvals import gate
from opsconsole.approvals.gate import Asked, Deed
from opsconsole.approvals.models import Request
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.core.queue import after_commit
from opsconsole.core.texts import Text
from opsconsole.journal.record import record

EVALUATE: Final = "loyalty.evaluate_tiers"
EVALUATION: Final = "loyalty.jobs.tiers.evaluate"
ASKED: Final = "tiers.evaluation_asked"
EVALUATED: Final = "tiers.evaluated"
CHANGE: Final = "loyalty.change_program"
RATE: Final = "loyalty.earn_rate"
PLAIN: Final = Decimal(1)  # a multiplier that changes nothing
HARMLESS: Final = frozenset({"name"})  # who earns how much does not hang on it
MAX_NAME: Final = 100
MOST_MONTHS: Final = 120
MOST_RANK: Final = 1_000
MOST_MULTIPLIER: Final = Decimal(100)


@dataclass(frozen=True, slots=True)
class TierFacts:
    """What makes a tier: its rank among the others, and what must be earned in so many months."""

    name: str
    rank: int
    threshold: int
    window_months: int = 12
    multiplier: Decimal = Decimal(1)


@operation
def define_tier(
    *, program_id: UUID, facts: TierFacts, reason: str = "", approval_id: UUID | None = None, actor: Actor
) -> Tier | Asked:
    """Give a program another tier; members reach it when they are evaluated.

    One that multiplies takes a reason, and approval. Raises ProgramNotFound, Denied, TierInvalid, and what `gate`
    refuses.
    """
    program = access.program_for(actor, program_id, CHANGE)
    _require_fitting(program, facts)
    why, trace = reason.strip(), {}
    if facts.multiplier != PLAIN:
        why = said(reason)
        title = f"Tier {facts.name} of {program.name}: times {_plain(facts.multiplier)}"
        answer = _ask(program, title, asdict(facts), why, approval_id, actor)
        if isinstance(answer, Asked):
            return answer
        trace = {"approval": answer.pk}
    tier = Tier.objects.create(program=program, **asdict(facts))
    record(actor, "tier.defined", program, after={"tier": tier.pk, **asdict(facts), **trace}, reason=why)
    return tier


@operation
def change_tier(
    *, tier_id: UUID, changes: Mapping[str, Any], reason: str, approval_id: UUID | None = None, actor: Actor
) -> Tier | Asked:
    """Change a tier: what is named of its facts; raises TierNotFound, Denied, TierInvalid, NothingToDo, as `gate` does.

    Approval is needed where the multiplier changes, or who reaches a tier that multiplies; it is bound to all facts of
    the tier as they were. Nobody moves by it at once: members do when they are evaluated, and who falls below has
    their grace.
    """
    tier = access.tier_for(actor, tier_id, CHANGE)
    program = tier.program
    why, before = said(reason), _facts_of(tier)
    after = TierFacts(**{**asdict(before), **changes})
    if after == before:
        raise NothingToDo(_("Everything is as it is asked for already."))
    _require_fitting(program, after, tier)
    new = {name: value for name, value in asdict(after).items() if value != getattr(before, name)}
    trace: dict[str, Any] = {}
    if _moves_points(before, after, new):
        deed = {"tier": tier.pk, "from": asdict(before), "to": asdict(after)}
        answer = _ask(program, _title(program, before, after), deed, why, approval_id, actor)
        if isinstance(answer, Asked):
            return answer
        trace = {"approval": answer.pk}
    Tier.objects.filter(pk=tier.pk).update(**new)
    old = {name: getattr(before, name) for name in new}
    record(actor, "tier.changed", program, before={"tier": tier.pk, **old}, after={**new, **trace}, reason=why)
    tier.refresh_from_db()
    return tier


@operation
def request_evaluation(*, program_id: UUID | None = None, actor: Actor) -> list[Program]:
    """Have a worker evaluate the tiers of a program, or of every active one the actor may have evaluated (runbook 6).

    Raises ProgramNotFound, and Denied for one who may do it nowhere. An ask that is lost is found by the sweeper.
    """
    if program_id is not None:
        programs = [access.program_to_use(actor, program_id, EVALUATE)]
    else:
        active = access.visible_programs(actor).filter(status=ProgramState.ACTIVE).order_by("pk")
        programs = [program for program in active if actor.may(EVALUATE, program)]
        if not programs:
            actor.require(EVALUATE)
    for program in programs:
        record(actor, ASKED, program)
        after_commit(EVALUATION, program.pk)
    return programs


@operation
def evaluate_tiers(*, program_id: UUID, as_of: datetime | None = None, actor: Actor) -> Evaluation:
    """Give every member of a program the tier they have earned by now, or by a time that is past.

    Up at once; down only after `standing.GRACE` below. Raises ProgramNotFound, Denied, TimeRefused. A second
    evaluation at the same time changes nothing.
    """
    program = access.program_to_use(actor, program_id, EVALUATE)
    now = database_clock()
    at = as_of or now
    if at > now:
        raise TimeRefused(_("Nobody knows yet what will be earned by then."), errors={"asOf": [_("is in the future")]})
    standing.take_turn(program.pk)
    tiers = list(Tier.objects.filter(program=program))
    if tiers:
        standing.judge(program.pk, tiers, at)
        done = standing.apply(program.pk, tiers, at)
    else:
        done = Evaluation(program.balances.filter(erased_at=None).count(), 0, 0, 0, standing.version_of(tiers))
    facts = {"as_of": at, **asdict(done)}
    record(actor, EVALUATED, program, after=facts)
    if done.upgraded or done.downgraded:
        about = {"program": program.name, "upgraded": done.upgraded, "downgraded": done.downgraded}
        emit(EVALUATED, kind=Program._meta.db_table, id=program.pk, data=about)
    count_execution(Worker.TIER_EVALUATOR, Outcome.SUCCEEDED)
    return done


def _moves_points(before: TierFacts, after: TierFacts, new: Mapping[str, Any]) -> bool:
    """Whether somebody earns otherwise by this change."""
    multiplies = before.multiplier != PLAIN or after.multiplier != PLAIN
    return multiplies and not new.keys() <= HARMLESS


def _title(program: Program, before: TierFacts, after: TierFacts) -> str:
    if before.multiplier == after.multiplier:
        return f"Who reaches the tier {before.name} of {program.name}, times {_plain(before.multiplier)}"
    return f"Tier {before.name} of {program.name}: times {_plain(before.multiplier)} to {_plain(after.multiplier)}"


def _plain(multiplier: Decimal) -> str:
    return f"{multiplier.normalize():f}"


def _ask(
    program: Program, title: str, facts: Mapping[str, Any], reason: str, approval_id: UUID | None, actor: Actor
) -> Request | Asked:
    deed = Deed(action=RATE, row=program, title=title, facts={"program": program.name, **facts}, reason=reason)
    return gate.pass_or_ask(deed, approval_id=approval_id, actor=actor)


def _facts_of(tier: Tier) -> TierFacts:
    return TierFacts(tier.name, tier.rank, tier.threshold, tier.window_months, tier.multiplier)


def _require_fitting(program: Program, facts: TierFacts, tier: Tier | None = None) -> None:
    """Raise TierInvalid unless the tier can stand beside the program's others; the program is locked."""
    problems = _problems(facts)
    others = Tier.objects.filter(program=program)
    for other in others.exclude(pk=tier.pk) if tier else others:
        problems |= _clashes(facts, other)
    if problems:
        raise TierInvalid(_("This is no tier of this program."), errors=problems)


def _problems(facts: TierFacts) -> dict[str, list[Text]]:
    problems: dict[str, list[Text]] = {}
    if not 0 < len(facts.name.strip()) <= MAX_NAME:
        problems["name"] = [format_lazy(_("takes 1 to {most} characters"), most=MAX_NAME)]
    if not 1 <= facts.rank <= MOST_RANK:
        problems["rank"] = [format_lazy(_("is 1 to {most}"), most=MOST_RANK)]
    if not 0 <= facts.threshold <= MOST_POINTS:
        problems["threshold"] = [format_lazy(_("is 0 to {most} points"), most=MOST_POINTS)]
    if not 1 <= facts.window_months <= MOST_MONTHS:
        problems["window_months"] = [format_lazy(_("is 1 to {most} months"), most=MOST_MONTHS)]
    if not 0 < facts.multiplier <= MOST_MULTIPLIER:
        problems["multiplier"] = [format_lazy(_("is more than 0 and at most {most}"), most=MOST_MULTIPLIER)]
    return problems


def _clashes(facts: TierFacts, other: Tier) -> dict[str, list[Text]]:
    problems: dict[str, list[Text]] = {}
    if other.name == facts.name:
        problems["name"] = [_("is another tier's")]
    if other.rank == facts.rank:
        problems["rank"] = [_("is another tier's")]
    # Of two that look at the same months, the better one takes more.
    elif other.window_months == facts.window_months and (
        (other.rank < facts.rank) != (other.threshold < facts.threshold)
    ):
        problems["threshold"] = [format_lazy(_("does not fit its rank beside {other}"), other=other.name)]
    return problems
