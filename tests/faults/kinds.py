"""The kinds of steps that the crash matrix is run over: how to get a plan of each, and how to count what it did.

A new kind is one description here. What its steps do is counted where they do it: in the bank's own store, in the
trays of files, or in our records and the journal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import UUID

from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry
from opsconsole.journal.record import Subject, record
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.services import decisions, drafts, execution, staging
from opsconsole.plans.services.drafts import Draft
from opsconsole.plans.services.execution import ApprovalWanted
from opsconsole.treasury.models import Account, Alteration, Bank, Freeze, Route
from opsconsole.treasury.states import AccountKind
from tests.faults.payouts import TESTER, Lane, iban_of, person, steps_of
from tests.faults.sweeping import open_by_file, open_sweeping

EXECUTE, ROLLBACK = "execute", "rollback"
SECOND = 1_000_000  # accounts beyond those of lanes

_numbers = itertools.count(1)


class Scene(Protocol):
    """Where one plan of a kind lives, and what is to be seen of it afterwards."""

    def plan(self) -> Plan:
        """A plan that is approved."""

    def allow_rollback(self, plan: Plan) -> None:
        """Have its rollback approved, where that asks for approvals of its own."""

    def execute(self, plan: Plan) -> Run:
        """Ask for it to be executed."""

    def roll_back(self, plan: Plan) -> Run:
        """Ask for it to be rolled back."""

    def assert_done(self, plan: Plan) -> None:
        """Each step had its effect exactly once, and nothing is open."""

    def assert_undone(self, plan: Plan) -> None:
        """And each was undone exactly once: everything is as it was before."""


@dataclass(frozen=True, slots=True)
class StepKind:
    """One kind: where its plans live, the crash points that only it has, who may have it executed and rolled back.

    `everywhere` is False for a kind that goes the way of another but for its own points.
    """

    name: str
    open: Callable[[Callable[..., Lane]], Scene]
    own: Mapping[str, Sequence[str]] = field(default_factory=dict)
    everywhere: bool = True
    askers: Mapping[str, str] = field(default_factory=lambda: {EXECUTE: "finance_ops", ROLLBACK: "pay_admin"})


@dataclass(slots=True)
class Records:
    """A plan whose steps change records of ours."""

    plan_type: str
    payload: dict[str, Any]
    approvers: tuple[str, ...]
    verbs: tuple[str, str]  # what a step writes into the journal, done and undone
    look: Callable[[], Any]  # the records as they are
    before: Any = None

    def plan(self) -> Plan:
        """Drafted by one, approved by others."""
        self.before = self.look()
        draft = Draft(f"{self.plan_type}-{next(_numbers)}", self.plan_type, self.plan_type, self.payload)
        plan, _ = drafts.create_plan(draft=draft, actor=person("ops"))
        staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
        for name in self.approvers:
            plan = decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=person(name))
        assert plan.status == "approved", plan.status
        return plan

    def allow_rollback(self, plan: Plan) -> None:
        """Two people, neither of them who asks."""
        if self.plan_type == "failover":
            return  # undoing it was approved together with it
        wanted = execution.roll_back_plan(plan_id=plan.pk, actor=person("ops"))
        assert isinstance(wanted, ApprovalWanted), "this rollback must ask for approvals"
        for name in ("finance_ops", "pay_admin"):
            decide_request(request_id=wanted.request.pk, approved=True, comments="", signature="", actor=person(name))

    def execute(self, plan: Plan) -> Run:
        """By who has drafted it."""
        run = execution.execute_plan(plan_id=plan.pk, actor=person("ops"))
        assert isinstance(run, Run), run
        return run

    def roll_back(self, plan: Plan) -> Run:
        """By the same."""
        run = execution.roll_back_plan(plan_id=plan.pk, actor=person("ops"))
        assert isinstance(run, Run), run
        return run

    def assert_done(self, plan: Plan) -> None:
        """Each step is in the records and in the journal once."""
        plan.refresh_from_db()
        assert plan.status == "succeeded", plan.status
        self._assert_once(plan, EXECUTE)
        assert self.look() != self.before

    def assert_undone(self, plan: Plan) -> None:
        """Each was done once and undone once, and the records are what they were."""
        plan.refresh_from_db()
        assert plan.status == "rolled_back", plan.status
        self._assert_once(plan, EXECUTE)
        self._assert_once(plan, ROLLBACK)
        assert self.look() == self.before

    def _assert_once(self, plan: Plan, direction: str) -> None:
        keys = list(Step.objects.filter(plan=plan, direction=direction).values_list("key", flat=True))
        assert steps_of(plan, direction) == {"succeeded": len(keys)}
        assert len(keys) > 0
        assert sorted(Alteration.objects.filter(key__in=keys).values_list("key", flat=True)) == sorted(keys)
        entries = Entry.objects.filter(verb=self.verbs[direction == ROLLBACK])
        told = [entry.content["after"].get("step") for entry in entries]
        assert sorted(key for key in told if key in keys) == sorted(keys), "each step is in the journal once"


def _freeze(open_lane: Callable[..., Lane]) -> Records:
    lane = open_lane()

    def look() -> Any:
        live = Freeze.objects.filter(subject=str(lane.account.pk), lifted_at=None).count()
        return live, Account.objects.get(pk=lane.account.pk).status

    payload = {"subject": "account", "id": lane.iban, "reason": "case 2025-118"}
    return Records("freeze", payload, ("pay_admin",), ("freeze.set", "freeze.lifted"), look)


def _pause_bank(open_lane: Callable[..., Lane]) -> Records:
    lane = open_lane()
    payload = {"bank": lane.bank.code, "reason": "It answers errors since 08:40."}
    return Records(
        "pause_bank",
        payload,
        ("pay_admin",),
        ("bank.paused", "bank.resumed"),
        lambda: Bank.objects.get(pk=lane.bank.pk).status,
    )


def _failover(open_lane: Callable[..., Lane]) -> Records:
    here, there = open_lane(), open_lane()
    _open_second_account(bank=there.bank.pk, currency=here.currency, actor=TESTER)
    payload = {"from_bank": here.bank.code, "to_bank": there.bank.code}
    return Records(
        "failover",
        payload,
        ("ops2", "pay_admin"),
        ("route.changed", "route.changed"),
        lambda: list(Route.objects.filter(currency=here.currency).values_list("bank__code", "account_id")),
    )


@operation
def _open_second_account(*, bank: UUID, currency: str, actor: Actor) -> None:
    made = Account.objects.create(
        bank_id=bank,
        name=f"{currency} as well",
        iban=iban_of(SECOND + next(_numbers)),
        currency=currency,
        kind=AccountKind.SETTLEMENT,
    )
    record(actor, "account.made", Subject.of(made))


PAYMENTS = StepKind(
    "payment",
    lambda open_lane: open_lane("payment"),
    {
        EXECUTE: [
            "treasury.post.before_reply",
            "treasury.post.after_reply",
            "treasury.post.after_reply:7",
            "plans.run.in_claim",
            "plans.steps.in_mark:2",
        ],
        ROLLBACK: ["treasury.post.before_reply", "treasury.post.after_reply", "treasury.post.after_reply:7"],
    },
)
# Enough for a run that goes well to mark more than it sends at a time: 16, then 44 in three lots.
MANY_PAYMENTS = StepKind(
    "many payments",
    lambda open_lane: replace(open_lane("payment"), usual=60),
    {
        EXECUTE: ["plans.steps.before_call:3", "plans.steps.after_call:3", "treasury.post.after_reply:30"],
        ROLLBACK: ["plans.steps.before_call:3"],
    },
    everywhere=False,
)
FILES = StepKind(
    "file",
    lambda open_lane: open_lane("file"),
    {
        EXECUTE: ["treasury.file.after_prepare", "treasury.file.after_key", "treasury.file.after_layout"],
        ROLLBACK: ["treasury.file.after_withdrawal"],
    },
)
SWEEPS = StepKind("sweep", open_sweeping, PAYMENTS.own)
SWEEP_FILES = StepKind("sweep file", open_by_file, FILES.own, everywhere=False)
BY_OPS = {EXECUTE: "ops", ROLLBACK: "ops"}
ALTERATIONS = {
    direction: ["treasury.alteration.before_change", "treasury.alteration.after_change"]
    for direction in (EXECUTE, ROLLBACK)
}
FREEZES = StepKind("freeze", _freeze, ALTERATIONS, askers=BY_OPS)
PAUSES = StepKind("pause_bank", _pause_bank, ALTERATIONS, askers=BY_OPS)
FAILOVERS = StepKind("failover", _failover, ALTERATIONS, askers=BY_OPS)
