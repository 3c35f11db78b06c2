"""`manage.py demo`: the main job of the console, played in the terminal on the running console."""

from __future__ import annotations

import base64
import json
import os
import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from opsconsole.console.caller import Caller, Refused
from opsconsole.core.commands import ConsoleCommand, demo_tokens
from opsconsole.core.errors import Invalid, RuleBroken, Unavailable

LIVE = ("queued", "running", "paused")
PATIENCE = 600.0  # seconds a run may take in a demonstration
SEALED_WITHIN = 60.0  # seconds until an entry is under a seal; one or two, unless the machine is busy
LOOK_EVERY = 0.25
JOURNAL_LINES = 12


class Command(ConsoleCommand):
    """Draft, stage, approve by two people, execute once, watch, prove, roll back: over the public API."""

    help = "Play the main job on the running console: a payout plan from draft to rollback."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where, how much, and how far."""
        parser.add_argument("--url", help="the console's address (default: the one `make up` serves)")
        parser.add_argument("--total", default="250000", help="total of the plan (default: 250000)")
        parser.add_argument("--currency", default="EUR", help="currency of the plan (default: EUR)")
        parser.add_argument("--no-rollback", action="store_true", help="stop once it is executed")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Play; every refusal that belongs to the story is shown, any other ends it with exit status 1."""
        self.screen = self.console
        address = options["url"] or running_address()
        tokens = demo_tokens()
        try:
            people = {
                name: Caller(address, name, tokens[name])
                for name in ("ops", "finance_ops", "pay_admin", "auditor", "admin")
            }
        except KeyError as missing:
            raise Invalid(f"There is no demo user {missing}: `make up` makes them.") from missing
        plan = self.draft_and_stage(people["ops"], options)
        self.approve(people, plan)
        run = self.carry_out(people["finance_ops"], plan)
        self.prove(people["auditor"], plan)
        if not options["no_rollback"] and run["status"] in ("succeeded", "partial"):
            self.roll_back(people["pay_admin"], plan)
        self.screen.print(f"\nLook at it: {address}/admin/plans/plan/{plan['id']}/change/", soft_wrap=True)

    def draft_and_stage(self, ops: Caller, options: dict[str, Any]) -> dict[str, Any]:
        """Steps 1 and 2 of the runbook."""
        self.title("1. ops drafts a plan")
        stamp = datetime.now(UTC)
        plan: dict[str, Any] = ops.post(
            "/api/ops/plans",
            {
                "external_id": f"demo-{stamp:%Y%m%d-%H%M%S}-{uuid4().hex[:6]}",
                "name": "Demonstration payouts",
                "description": "Played by manage.py demo",
                "plan_type": "payout_batch",
                "payload": {
                    "currency": options["currency"],
                    "cutoff_date": f"{stamp:%Y-%m-%d}",
                    "total_amount": options["total"],
                    "simulate_before_execute": True,
                },
                "required_approvals": 2,
            },
        )
        self.screen.print(f"   {plan['external_id']}: {plan['status']}")
        self.title("2. ops stages it, and sees what it would do")
        plan = ops.post(f"/api/ops/plans/{plan['id']}/stage")
        self.screen.print(impact_table(plan["estimated_impact"]))
        for warning in plan["estimated_impact"]["warnings"]:
            self.screen.print(f"   [yellow]! {warning['message']}[/]")
        self.screen.print(f"   digest {plan['digest'][:16]}…   approvals needed: {plan['required_approvals']}")
        return plan

    def approve(self, people: dict[str, Caller], plan: dict[str, Any]) -> None:
        """Step 3: two people, one of them by signature, and two who may not."""
        self.title("3. Two other people approve; some may not")
        for name in ("ops", "auditor"):
            try:
                people[name].post(f"/api/ops/plans/{plan['id']}/approve")
            except Refused as refusal:
                self.screen.print(f"   [dim]{name} is refused ({refusal.http_status} {refusal.problem})[/]")
            else:
                raise RuleBroken(f"{name} could approve, and must not be able to.")
        request = self.request_of(people["finance_ops"], plan)
        signature = self.sign(people, request["signing_text"])
        people["finance_ops"].post(f"/api/ops/plans/{plan['id']}/approve", {"signature": signature})
        self.screen.print("   finance_ops approves, signed with an Ed25519 key")
        answer = people["pay_admin"].post(f"/api/ops/plans/{plan['id']}/approve")
        self.screen.print(f"   pay_admin approves: the plan is [bold]{answer['status']}[/]")

    def request_of(self, caller: Caller, plan: dict[str, Any]) -> dict[str, Any]:
        """The approval request of the plan."""
        for request in caller.get("/api/approvals?mine=1&page_size=200")["results"]:
            if request["subject_id"] == plan["id"]:
                found: dict[str, Any] = caller.get(f"/api/approvals/{request['id']}")
                return found
        raise Unavailable("The approval request of the plan is not to be found.")

    def sign(self, people: dict[str, Caller], text: str) -> str:
        """finance_ops signs the text with a new key, once two others have agreed that it is theirs.

        The private half never leaves this process.
        """
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        named = {"name": f"demo {datetime.now(UTC):%H:%M:%S}", "public_key": public}
        change = people["finance_ops"].post("/api/signer-keys", named)
        for name in ("admin", "pay_admin"):
            change = people[name].post(f"/api/changes/{change['id']}/approve")
        self.screen.print(f"   admin and pay_admin agree to a new key of finance_ops: {change['status']}")
        return base64.b64encode(key.sign(text.encode())).decode()

    def carry_out(self, caller: Caller, plan: dict[str, Any]) -> dict[str, Any]:
        """Steps 4 and 5: once, whatever is sent twice, and watched."""
        self.title("4. finance_ops executes it, twice with one Idempotency-Key")
        key = f"demo-{uuid4()}"
        first, second = (caller.post(f"/api/ops/plans/{plan['id']}/execute", key=key)["run_id"] for _ in range(2))
        if first != second:
            raise RuleBroken("One key made two runs.")
        self.screen.print(f"   run {first}, the same both times")
        self.title("5. The worker pays")
        run = self.watch(caller, plan, first)
        for line in run["result"].get("payments", []):
            self.screen.print(f"   {line['count']} {line['status']}, {money(line['sum'])} {line['currency']}")
        return run

    def watch(self, caller: Caller, plan: dict[str, Any], run_id: str) -> dict[str, Any]:
        """Follow a run until it has ended or waits for a person."""
        deadline = time.monotonic() + PATIENCE
        columns = (TextColumn("  "), BarColumn(40), MofNCompleteColumn(), TextColumn("{task.description}"))
        with Progress(*columns, TimeElapsedColumn(), console=self.screen) as progress:
            bar = progress.add_task("queued", total=None)
            while True:
                run: dict[str, Any] = caller.get(f"/api/ops/plans/{plan['id']}/runs/{run_id}")
                steps = run["progress"]
                progress.update(bar, total=steps["total"], completed=steps["done"], description=run["status"])
                if run["status"] not in LIVE:
                    return run
                if run["waiting_for"] == "person":
                    raise RuleBroken("A step is unknown, and a person must resolve it: see the admin.")
                if time.monotonic() > deadline:
                    raise Unavailable(f"The run is still {run['status']}; is a worker running?")
                time.sleep(LOOK_EVERY)

    def prove(self, auditor: Caller, plan: dict[str, Any]) -> None:
        """The journal, as the auditor reads it, and the proof of its newest sealed entry."""
        self.title("6. The auditor reads the journal")
        entries = auditor.get(f"/api/ops/plans/{plan['id']}/journal")["results"]
        table = Table(box=None, padding=(0, 2))
        for column in ("when (UTC)", "who", "what"):
            table.add_column(column)
        for entry in reversed(entries[:JOURNAL_LINES]):
            table.add_row(entry["at"][11:19], entry["actor"]["name"], entry["verb"])
        self.screen.print(table)
        proof = self.proof_of(auditor, entries[0]["id"])
        self.screen.print(
            f"   the newest is leaf {proof['leaf_index']} of {proof['tree_size']}, and its proof is at hand"
            " (tools/verify_journal.py)"
        )

    def proof_of(self, auditor: Caller, entry: str) -> dict[str, Any]:
        """The inclusion proof of an entry, once it is sealed."""
        deadline = time.monotonic() + SEALED_WITHIN
        while True:
            try:
                proof: dict[str, Any] = auditor.get(f"/api/journal/{entry}/proof")
                return proof
            except Refused:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_EVERY)

    def roll_back(self, caller: Caller, plan: dict[str, Any]) -> None:
        """Step 6 of the runbook."""
        self.title("7. pay_admin rolls it back")
        run = self.watch(caller, plan, caller.post(f"/api/ops/plans/{plan['id']}/rollback")["run_id"])
        for line in run["result"].get("payments", []):
            self.screen.print(f"   {line['count']} {line['status']}, {money(line['sum'])} {line['currency']}")
        for line in run["result"].get("not_undone", [])[:5]:
            self.screen.print(f"   [yellow]not undone: {line['payout']} {money(line['amount'])} ({line['reason']})[/]")

    def title(self, text: str) -> None:
        """A heading."""
        self.screen.print(f"\n[bold]{text}[/]")


def running_address() -> str:
    """The address of the console that `make up` serves; raises Unavailable when it does not run."""
    path = settings.VAR / "up.json"
    if "PORT" in os.environ and not path.exists():
        return f"http://localhost:{os.environ['PORT']}"
    try:
        return str(json.loads(path.read_text())["address"])
    except (OSError, ValueError, KeyError) as error:
        raise Unavailable("The console does not run here: start it with `make up`, or name its --url.") from error


def money(amount: str) -> str:
    """An amount with its thousands apart."""
    return f"{Decimal(amount):,.2f}"


def impact_table(impact: dict[str, Any]) -> Table:
    """What the plan will do, by account."""
    table = Table(box=None, padding=(0, 2))
    for column in ("bank", "account", "payments", "sum", "balance after"):
        table.add_column(column, justify="left" if column in ("bank", "account") else "right", no_wrap=True)
    for line in impact["accounts"]:
        table.add_row(
            line["bank"],
            line["account"],
            str(line["count"]),
            f"{money(line['sum'])} {line['currency']}",
            money(line["balance_after"]),
        )
    rest = ", ".join(f"{money(amount)} {currency}" for currency, amount in impact["remainder"].items())
    table.caption = f"{impact['payees']} payees; remainder {rest or 'none'}"
    return table
