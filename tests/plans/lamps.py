"""A plan type to test the engine with: it switches lamps, and one person may execute it in an emergency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from opsconsole.approvals.models import Policy
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.operations import operation
from opsconsole.plans import types
from opsconsole.plans.models import Plan, Step
from opsconsole.plans.outcomes import Answered, CannotTell, Done, NeverHappened, NoAnswer, Outcome, Probed, Unclear
from opsconsole.plans.services import decisions, drafts, staging
from opsconsole.plans.services.drafts import Draft
from opsconsole.plans.states import Direction
from opsconsole.plans.types import Impact, PlanType, StepDraft

EVERYBODY = ["finance_ops", "ops", "pay_admin"]


class Lamps(PlanType):
    """One step for each lamp of the payload; `answers` says what comes of calls and probes, key by key."""

    name = "lamps"
    label = "Lamps"
    summary = "Switch lamps on."
    example: ClassVar[dict[str, Any]] = {"lamps": ["red"]}
    break_glass = True

    def __init__(self) -> None:
        self.lit: list[str] = []
        self.calls: list[str] = []
        self.probes: list[str] = []
        self.unclear = False
        self.probed: Callable[[Step], Probed] = lambda step: Done({"reference": step.key})
        self.before_call: Callable[[], object] = lambda: None
        self.recorded: list[tuple[Direction, list[str]]] = []
        self.drifted: list[str] = []

    def parse(self, payload: dict[str, Any]) -> dict[str, Any]:
        return payload

    def steps(self, plan: Plan) -> Iterable[StepDraft]:
        for lamp in _names(plan):
            yield StepDraft("lamp", {"lamp": lamp}, {"off": lamp})

    def impact(self, plan: Plan) -> Impact:
        return Impact(count=len(_names(plan)))

    def drift(self, plan: Plan) -> list[str]:
        return self.drifted

    def execute(self, steps: Sequence[Step]) -> list[Outcome]:
        self.before_call()
        self.calls += [step.key for step in steps]
        if self.unclear:
            return [Unclear("no answer") for _ in steps]
        self.lit += [step.payload["lamp"] for step in steps]
        return [Done({"reference": step.key}) for step in steps]

    def compensate(self, steps: Sequence[Step]) -> list[Outcome]:
        for step in steps:
            self.lit.remove(step.payload["off"])
        return [Done({}) for _ in steps]

    def probe(self, steps: Sequence[Step]) -> list[Probed]:
        self.probes += [step.key for step in steps]
        return [self.probed(step) for step in steps]

    def record(self, direction: Direction, answers: Sequence[tuple[Step, Answered]], starting: Sequence[Step]) -> None:
        self.recorded.append((direction, [answer.state.value for _, answer in answers]))


def _names(plan: Plan) -> list[str]:
    """The lamps by name, or as many as are wanted."""
    return [*plan.payload.get("lamps", []), *(f"lamp-{n}" for n in range(plan.payload.get("many", 0)))]


@operation
def _policies(*, reviewers: int, rollback: bool, actor: Actor) -> None:
    ttl = timedelta(hours=24)
    slots = [{"roles": ["pay_admin"], "count": 1}]
    Policy.objects.create(action="plan.lamps", slots=slots, executors=EVERYBODY, ttl=ttl, reviewers=reviewers)
    if rollback:
        slots = [{"roles": ["finance_ops"], "count": 1}, {"roles": ["pay_admin"], "count": 1}]
        Policy.objects.create(action="plan.lamps.rollback", slots=slots, executors=EVERYBODY, ttl=ttl)


@pytest.fixture
def lamps(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Lamps]:
    """Register the type and its policies; it is gone after the test."""

    def make(*, reviewers: int = 0, rollback: bool = False) -> Lamps:
        plan_type = Lamps()
        monkeypatch.setitem(types._types, plan_type.name, plan_type)
        _policies(reviewers=reviewers, rollback=rollback, actor=SYSTEM("test"))
        return plan_type

    return make


def drafted(actor: Actor, *names: str, external_id: str = "lamps-1", **changes: Any) -> Plan:
    """A draft of the type."""
    fields: dict[str, Any] = {
        "external_id": external_id,
        "name": "Light them",
        "plan_type": "lamps",
        "payload": {"lamps": list(names) or ["red", "green"]},
    } | changes
    return drafts.create_plan(draft=Draft(**fields), actor=actor)[0]


def staged(actor: Actor, *names: str, **changes: Any) -> Plan:
    """A staged one."""
    plan = drafted(actor, *names, **changes)
    return staging.stage_plan(plan_id=plan.pk, actor=actor)


def approved(actor: Actor, approver: Actor, *names: str, **changes: Any) -> Plan:
    """An approved one."""
    plan = staged(actor, *names, **changes)
    return decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=approver)


__all__ = ["CannotTell", "Lamps", "NeverHappened", "NoAnswer", "approved", "drafted", "lamps", "staged"]
