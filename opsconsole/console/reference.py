"""The reference pages that are made from the code itself, so that they cannot say something else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from opsconsole.approvals.defaults import POLICIES
from opsconsole.approvals.states import RequestState, ReviewState
from opsconsole.changes.states import ChangeState
from opsconsole.core import metrics
from opsconsole.core.roles import ROLES
from opsconsole.core.states import States
from opsconsole.plans.states import PlanState, RunState, StepState
from opsconsole.plans.types import registered
from opsconsole.treasury.states import AccountState, BankState, InstructionState, PayoutState

HEADER = "<!-- Written by `manage.py write_docs`; change the code, not this page. -->\n\n"

MACHINES: dict[str, type[States]] = {
    "Plan": PlanState,
    "Run": RunState,
    "Step": StepState,
    "Approval request": RequestState,
    "Review": ReviewState,
    "Change": ChangeState,
    "Payout": PayoutState,
    "Instruction": InstructionState,
    "Bank": BankState,
    "Account": AccountState,
}


def pages() -> dict[str, str]:
    """Each page by its file name."""
    makers: dict[str, Callable[[], str]] = {
        "roles.md": roles,
        "plan-types.md": plan_types,
        "states.md": states,
        "metrics.md": known_metrics,
    }
    return {name: HEADER + make().rstrip() + "\n" for name, make in makers.items()}


def roles() -> str:
    """The table role -> permissions."""
    names = sorted({permission for held in ROLES.values() for permission in held})
    lines = ["# Roles", "", "A role is a group; its permissions are these, everywhere in the product.", ""]
    lines += _table(
        ["permission", *ROLES],
        ([f"`{name}`", *("yes" if name in ROLES[role] else "" for role in ROLES)] for name in names),
    )
    return "\n".join(lines)


def plan_types() -> str:
    """The plan types with an example, and who must agree by default."""
    lines = ["# Plan types", ""]
    for plan_type in registered():
        policy = POLICIES[f"plan.{plan_type.name}"]
        lines += [
            f"## `{plan_type.name}`",
            "",
            str(plan_type.summary),
            "",
            "```json",
            json.dumps(plan_type.example, indent=2),
            "```",
            "",
            f"By default {_slots(policy['slots'])} must agree, and {_either(policy['executors'])} may execute.",
            "",
        ]
        if reviewers := policy.get("reviewers"):
            lines += [f"Afterwards {reviewers} people who had no part in it review it.", ""]
        if plan_type.break_glass:
            lines += ["In an emergency one person may execute it alone (break-glass).", ""]
        for threshold in policy.get("thresholds", ()):
            signed = ", everybody signed" if threshold["signature_required"] else ""
            lines += [
                f"Above {int(threshold['over']):,} ({threshold['of'].replace('_', ' ')}):"
                f" at least {_slots(threshold['slots'])}{signed}.",
                "",
            ]
    return "\n".join(lines)


def states() -> str:
    """Every table of transitions."""
    lines = ["# States", "", "A trigger in the database refuses every other transition, to everyone.", ""]
    for name, machine in MACHINES.items():
        lines += [f"## {name}", "", f"Starts as {_either(sorted(map(str, machine.starts())))}.", ""]
        lines += _table(
            ["from", "to"],
            (
                [f"`{state.value}`", ", ".join(f"`{value}`" for value in sorted(state.following)) or "(final)"]
                for state in machine
            ),
        )
        lines.append("")
    return "\n".join(lines)


def known_metrics() -> str:
    """Every fact that /metrics tells."""
    lines = [
        "# Metrics",
        "",
        "Told at `/metrics`, read from the database when it is asked; beside these the latencies of HTTP requests.",
        "",
    ]
    lines += _table(
        ["metric", "kind", "labels", "what it says"],
        (
            [f"`{fact.name}`", fact.kind, ", ".join(f"`{label}`" for label in fact.labels), fact.help]
            for fact in metrics.registered()
        ),
    )
    return "\n".join(lines)


def _table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _slots(slots: list[dict[str, object]]) -> str:
    return " and ".join(f"{slot['count']} {_either(slot['roles'])}" for slot in slots)  # type: ignore[arg-type] # roles


def _either(names: list[str]) -> str:
    return " or ".join(names)
