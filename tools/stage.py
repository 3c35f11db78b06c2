"""A console of one's own with a bank, demo data and a morning's history: what the pictures are taken of."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from opsconsole.console.caller import Caller, Refused

ROOT: Final = Path(__file__).resolve().parent.parent
PATIENCE: Final = 180.0

Json = dict[str, Any]


class Failed(Exception):
    """There is no console to photograph."""


@dataclass
class Console:
    """The console that runs, its people, and the bank it practises on."""

    address: str
    bank: str
    people: dict[str, Json]
    environment: dict[str, str]
    callers: dict[str, Caller] = field(init=False)
    plans: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """A caller for each person."""
        self.callers = {name: Caller(self.address, name, one["token"]) for name, one in self.people.items()}

    def get(self, path: str, who: str = "pay_admin") -> Any:
        """What is there."""
        return self.callers[who].get(f"/api/{path}")

    def post(self, who: str, path: str, body: Json | None = None) -> Any:
        """Have somebody do something."""
        return self.callers[who].post(f"/api/{path}", body, key=f"{path}-{time.monotonic_ns()}")

    def tell_bank(self, path: str, body: Json | None = None, method: str = "POST") -> None:
        """The control plane of the sandbox bank."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.bank}/sandbox/{path}", data=data, method=method)  # noqa: S310 - ours
        urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 - ours

    def invitation(self, name: str) -> str:
        """The address at which a person to be chooses a password."""
        command = [sys.executable, "manage.py", "invite", name]
        return subprocess.run(  # noqa: S603 - ours
            command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    def staged(self, name: str, title: str, plan_type: str, payload: Json, **more: Any) -> str:
        """Draft and stage a plan as `ops`; its id, which is remembered under the name."""
        body = {"external_id": slug(title), "name": title, "plan_type": plan_type, "payload": payload} | more
        plan = self.post("ops", "ops/plans", body)
        self.plans[name] = self.post("ops", f"ops/plans/{plan['id']}/stage")
        return str(plan["id"])

    def executed(self, plan: str, *approvers: str, by: str = "pay_admin", wait: bool = True) -> str:
        """Approve and execute it; the id of the run."""
        for who in approvers:
            self.post(who, f"ops/plans/{plan}/approve")
        run = str(self.post(by, f"ops/plans/{plan}/execute")["run_id"])
        if wait:
            self.ended(plan, run)
        return run

    def ended(self, plan: str, run: str) -> Json:
        """The run, once it has ended."""

        def look() -> Json | None:
            found: Json = self.get(f"ops/plans/{plan}/runs/{run}")
            return found if found["finished_at"] else None

        return dict(wait_for("the end of a run", look))


def slug(title: str) -> str:
    """A plan's name as its external id."""
    return title.lower().replace(",", "").replace(" ", "-")


def wait_for(what: str, condition: Callable[[], Any]) -> Any:
    """The first true value; raises Failed when none comes."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.2)
    raise Failed(f"{what} did not come within {PATIENCE:g} s")


def ready(address: str) -> bool:
    """Whether the console at this address can work."""
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=5):  # noqa: S310 - ours
            return True
    except OSError:
        return False


@contextmanager
def console() -> Iterator[Console]:
    """A console with a bank, in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="opsconsole-pictures-"))
    command = [sys.executable, "-m", "sandbox_bank", "--port", "0", "--store", str(folder / "bank")]
    command += ["--execute-after", "2", "--settle-after", "2"]
    processes: list[subprocess.Popen[Any]] = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)]  # noqa: S603 - ours
    try:
        assert processes[0].stdout is not None
        bank = f"http://127.0.0.1:{processes[0].stdout.readline().rpartition(':')[2].strip()}"
        environment = os.environ | {"PORT": "0", "OPS_VAR": str(folder), "SANDBOX_BANK_URL": bank}
        with (folder / "up.log").open("wb") as log:
            up = [sys.executable, "manage.py", "up"]
            processes.append(subprocess.Popen(up, cwd=ROOT, env=environment, stdout=log, stderr=log))  # noqa: S603 - ours
        told = folder / "up.json"
        wait_for("the console", lambda: told.exists() or processes[1].poll() is not None)
        if processes[1].poll() is not None:
            raise Failed((folder / "up.log").read_text())
        address = str(json.loads(told.read_text())["address"])
        wait_for("a console that is ready", lambda: ready(address))
        people = {one["username"]: one for one in json.loads((folder / "demo" / "credentials.json").read_text())}
        made = Console(address, bank, people, environment)
        made.tell_bank("accounts", json.loads((folder / "demo" / "bank-accounts.json").read_text()))
        yield made
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        shutil.rmtree(folder)


# --- what has happened here ---


def history(here: Console) -> None:
    """A morning: plans of each type in several states, an incident, a break, a change, a review, notifications."""
    here.post("ops2", "backups", {"reason": "before the next version"})
    talk(here)
    payouts(here)
    closings(here)
    paper(here)
    here.post("finance_ops", "incidents", {"title": "Northern payees report late payouts", "severity": "warning"})
    failed = next(one for one in here.get("incidents")["results"] if one["subject_kind"])
    here.post("ops2", f"incidents/{failed['id']}/acknowledge")
    here.post("ops2", f"incidents/{failed['id']}/comment", {"comment": "The bank says the payee's account is closed."})


def talk(here: Console) -> None:
    """Somebody is told, through a channel that does not answer; and somebody joins."""
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    hook = {"name": "on-call", "kind": "webhook", "target": "http://127.0.0.1:9/hook", "secret": secret}
    asked = here.post("admin", "changes", {"kind": "channel_set_up", "payload": hook, "reason": "the rota"})
    for approver in ("admin2", "pay_admin"):
        here.post(approver, f"changes/{asked['id']}/approve", {})
    channel = here.get("notifications/channels", "admin")["results"][0]
    wanted = {"role": "ops", "channel": channel["id"], "patterns": ["plan.*"], "minimum": "warning"}
    here.post("admin", "notifications/subscriptions", wanted)
    joins = {"username": "amina", "first_name": "Amina", "last_name": "Diop", "roles": ["ops"]}
    asked = here.post("admin", "changes", {"kind": "user", "payload": joins, "reason": "joins the night shift"})
    for approver in ("admin2", "pay_admin"):
        here.post(approver, f"changes/{asked['id']}/approve", {})


def batch(total: str) -> Json:
    """What a payout batch asks for."""
    return {"currency": "EUR", "cutoff_date": "2025-08-01", "total_amount": total, "simulate_before_execute": True}


def payouts(here: Console) -> None:
    """One that was paid, one rolled back, one that failed, one cancelled, a draft, one revised, one approved."""
    both = ("finance_ops", "pay_admin")
    here.executed(here.staged("paid", "Payouts of May", "payout_batch", batch("250000")), *both)
    undone = here.staged("undone", "Payouts of June, too early", "payout_batch", batch("300000"))
    here.executed(undone, *both)
    here.ended(undone, here.post("pay_admin", f"ops/plans/{undone}/rollback")["run_id"])
    here.tell_bank("faults", {"kind": "reject_account", "after": 3, "times": None})
    here.executed(here.staged("failed", "Payouts of June", "payout_batch", batch("300000")), *both)
    here.tell_bank("faults", method="DELETE")
    gone = here.staged("cancelled", "Payouts of June, by the old list", "payout_batch", batch("200000"))
    here.post("ops", f"ops/plans/{gone}/cancel", {"reason": "the list was last month's"})
    body = {"external_id": "payouts-of-september", "name": "Payouts of September", "plan_type": "payout_batch"}
    here.plans["draft"] = here.post("ops2", "ops/plans", body | {"payload": batch("90000")})
    revised = here.staged("staged", "Payouts of August", "payout_batch", batch("250000"))
    here.callers["ops"]._call("PATCH", f"/api/ops/plans/{revised}", {"status": "draft", "payload": batch("380000")}, {})
    here.post("ops", f"ops/plans/{revised}/stage")
    here.post("finance_ops", f"ops/plans/{revised}/approve")
    approved = here.staged("approved", "Payouts of October", "payout_batch", batch("60000"))
    for who in both:
        here.post(who, f"ops/plans/{approved}/approve")


def closings(here: Console) -> None:
    """A sweep, a failover, a freeze that stands, and a paused bank that somebody wants to open again."""
    sweep = {"currency": "EUR", "source_bank": "sandbox2", "target_account": "FR4030004000030000000000172"}
    here.executed(
        here.staged("sweep", "Evening sweep", "sweep", sweep | {"keep_minimum": "1099500000.00"}),
        "finance_ops",
        "pay_admin",
    )
    here.staged("failover", "Away from Sandbox Bank", "failover", {"from_bank": "sandbox", "to_bank": "sandbox2"})
    frozen = {"subject": "beneficiary", "id": "DE89370400440532013000", "reason": "Mailbox taken over; case 2025-118."}
    here.executed(here.staged("freeze", "Freeze a payee", "freeze", frozen), "ops2", by="ops2")
    paused = {"bank": "filebank", "reason": "Its files come back unread since 08:40."}
    plan = here.staged("pause", "Pause File Bank", "pause_bank", paused)
    here.executed(plan, "ops2", by="ops")
    try:
        here.post("ops", f"ops/plans/{plan}/rollback")
    except Refused as asked:
        if asked.problem != "approval_required":
            raise


def paper(here: Console) -> None:
    """A bank file with a line that nothing explains, a change that waits for others, a freeze calendar."""
    statement = """<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><GrpHdr>
      <MsgId>M1</MsgId></GrpHdr><Stmt><Id>S1</Id><Acct><Id><IBAN>FR4030004000030000000000172</IBAN></Id></Acct><Ntry>
      <Amt Ccy="EUR">1240.50</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><NtryDtls><TxDtls><Refs>
      <EndToEndId>FEE-2025-07</EndToEndId></Refs></TxDtls></NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"""
    request = urllib.request.Request(  # noqa: S310 - ours
        f"{here.address}/api/ops/bank-files?name=statement-2025-07.xml",
        data=statement.encode(),
        headers={"Authorization": f"Bearer {here.people['finance_ops']['token']}", "Content-Type": "application/xml"},
    )
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 - ours
    wanted = {"kind": "gateway", "subject": "sandbox2", "payload": {"fee_per_payment": "0.25", "priority": 5}}
    here.post("finance_ops", "changes", wanted | {"reason": "agreed with the bank, ticket OPS-1234"})
    night = {"name": "Month end", "reason": "The books are closed.", "plan_types": ["failover"], "weekdays": [7]}
    here.post("pay_admin", "ops/calendars", night | {"from_time": "20:00", "until_time": "06:00"})


def going(here: Console) -> Json:
    """A run that takes its time, at a third of its way when it is looked at."""
    here.tell_bank("faults", {"kind": "delay", "seconds": 20, "after": 16, "times": None})
    plan = here.staged("going", "Payouts of July", "payout_batch", batch("500000"))
    run = here.executed(plan, "finance_ops", "pay_admin", wait=False)
    wait_for("a run that is going", lambda: here.get(f"ops/plans/{plan}/runs/{run}")["progress"]["done"] > 0)
    return {"plan": plan, "run": run}
