"""A desk with a telephone to the console: people with tokens, curl, and what the API tells of the world."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any, Final

from tests.api.servers import Curl, wait_for

Json = dict[str, Any]

ROLES: Final = {
    "ops": "ops",
    "ops2": "ops",
    "finance_ops": "finance_ops",
    "pay_admin": "pay_admin",
    "pay_admin2": "pay_admin",
    "auditor": "auditor",
    "ops_marketing": "ops_marketing",
}
# What a rollback must bring back, whoever looks at it.
TOLD: Final = ("banks", "accounts", "routes", "freezes?live=true", "payouts")


class Desk:
    """Calls the console as one of these people; each call is one curl, as docs/api.md has it."""

    def __init__(self, curl: Curl, token: Callable[..., str]) -> None:
        self.curl = curl
        self.tokens = {name: token(name, role) for name, role in ROLES.items()}
        self.keys = itertools.count(1)

    def ask(self, who: str, method: str, path: str, body: Json | None = None, key: str = "") -> tuple[int, Any]:
        """One call; its status, and what was answered."""
        command = f'curl -X {method} "http://ops.molam.com/api$WHERE" -H "Authorization: Bearer $TOKEN"'
        if key:
            command += ' -H "Idempotency-Key: $KEY"'
        if body is not None:
            command += ' -H "Content-Type: application/json" --data-binary "$BODY"'
        return self.curl(command, TOKEN=self.tokens[who], WHERE=path, KEY=key, BODY=json.dumps(body))

    def get(self, who: str, path: str) -> Any:
        """What is there."""
        status, answer = self.ask(who, "GET", path)
        assert status == 200, answer
        return answer

    def do(self, who: str, path: str, body: Json | None = None, key: str = "") -> Any:
        """A POST that does what it asks for."""
        status, answer = self.ask(who, "POST", path, body, key)
        assert status in (200, 201, 202), answer
        return answer

    def refused(self, who: str, path: str, *why: Any, body: Json | None = None, key: str = "") -> Json:
        """A POST that is refused with this status and code."""
        status, problem = self.ask(who, "POST", path, body, key)
        assert (status, problem.get("code")) == why, problem
        return dict(problem)

    def world(self) -> dict[str, Any]:
        """Banks, accounts with balances, routes, freezes that stand, and the state of every payout."""
        told = {path: self.get("auditor", f"/ops/{path}{'&' if '?' in path else '?'}page_size=200") for path in TOLD}
        assert all(page["next"] is None for page in told.values())
        world = {path: page["results"] for path, page in told.items()}
        # Which plan had a payout last is history, and stays.
        world["payouts"] = [{**payout, "plan_id": None} for payout in world["payouts"]]
        return world

    def plan(self, plan_type: str, payload: Json, *, author: str = "ops", **more: Any) -> Json:
        """A draft, staged by its author."""
        name = f"{plan_type}-{next(self.keys)}"
        body = {"external_id": name, "name": name, "plan_type": plan_type, "payload": payload} | more
        draft = self.do(author, "/ops/plans", body)
        assert draft["status"] == "draft"
        return dict(self.do(author, f"/ops/plans/{draft['id']}/stage"))

    def execute(self, who: str, plan: Json) -> str:
        """Set it going; the id of its run."""
        answer = self.do(who, f"/ops/plans/{plan['id']}/execute", key=f"go-{next(self.keys)}")
        assert list(answer) == ["run_id"]
        return str(answer["run_id"])

    def run(self, plan: Json, run_id: str) -> Json:
        """How far a run is."""
        return dict(self.get("auditor", f"/ops/plans/{plan['id']}/runs/{run_id}"))

    def watch(self, plan: Json, run_id: str) -> Json:
        """A run, once it has ended."""

        def ended() -> Json | None:
            run = self.run(plan, run_id)
            return run if run["finished_at"] else None

        return dict(wait_for("the end of the run", ended))

    def status(self, plan: Json) -> str:
        """What the plan is now."""
        return str(self.get("auditor", f"/ops/plans/{plan['id']}")["status"])

    def verbs(self, plan: Json) -> list[str]:
        """What the journal tells of the plan, in order."""
        entries = self.get("auditor", f"/ops/plans/{plan['id']}/journal?page_size=200")["results"]
        return [entry["verb"] for entry in reversed(entries)]

    def open_again(self, plan: Json, asker: str = "ops") -> Json:
        """Roll back what takes two others to undo: asked for, refused to the wrong ones, approved, done."""
        where = f"/ops/plans/{plan['id']}/rollback"
        asked = self.refused(asker, where, 409, "approval_required", key=f"undo-{next(self.keys)}")
        assert [slot["roles"] for slot in asked["open"]] == [["finance_ops"], ["pay_admin"]]
        request = f"/approvals/{asked['approval_id']}"
        yes = {"approved": True}
        self.refused("auditor", f"{request}/approve", 403, "denied", body=yes)
        self.refused(asker, f"{request}/approve", 403, "separation_of_duties", body=yes)
        self.do("finance_ops", f"{request}/approve", yes)
        again = self.refused(asker, where, 409, "approval_required", key=f"undo-{next(self.keys)}")
        assert again["approval_id"] == asked["approval_id"]
        self.refused("finance_ops", f"{request}/approve", 409, "already_approved", body=yes)
        assert self.status(plan) == "succeeded"
        self.do("pay_admin2", f"{request}/approve", yes)
        started = self.do(asker, where, key=f"undo-{next(self.keys)}")
        run = self.watch(plan, started["run_id"])
        assert (run["direction"], run["status"]) == ("rollback", "succeeded")
        assert self.status(plan) == "rolled_back"
        assert self.get("auditor", request)["status"] == "consumed"
        return run
