"""Photographs the console, on one of its own with demo data and a morning's history.

    python -m tools.screenshots                 the pictures of README and docs, into docs/img/
    python -m tools.screenshots --out DIR       every page: light and dark, desk and phone, English and French
    python -m tools.screenshots --out DIR --only plan --only home

Needs Chromium, which `make test-deps` installs. A page that is wider than its window is named; the status is 1 then.
"""

from __future__ import annotations

import argparse
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
from itertools import product
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, sync_playwright

from opsconsole.console.caller import Caller, Refused

ROOT: Final = Path(__file__).resolve().parent.parent
SHOWN: Final = ROOT / "docs" / "img"
PATIENCE: Final = 180.0
ARGUMENTS: Final = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb"]
DESK, PHONE = 1400, 390
QUALITY: Final = 82
WAYS: Final = ((DESK, "light", "en"), (DESK, "dark", "fr"), (PHONE, "dark", "en"), (PHONE, "light", "fr"))

Json = dict[str, Any]
OF_ADMIN: Final = frozenset(("channels", "deliveries"))  # the others are seen by a pay_admin
# Of what README and docs show: name, page, theme.
IN_DOCS: Final = (("home", "home", "light"), ("plan", "plan-staged", "light"), ("run", "run-going", "dark"))


class Failed(Exception):
    """There is no console to photograph."""


@dataclass
class Console:
    """The console that runs, its people, and the bank it practises on."""

    address: str
    bank: str
    people: dict[str, Json]
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
        made = Console(address, bank, people)
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
    talk(here)
    payouts(here)
    closings(here)
    paper(here)
    here.post("finance_ops", "incidents", {"title": "Northern payees report late payouts", "severity": "warning"})
    failed = next(one for one in here.get("incidents")["results"] if one["subject_kind"])
    here.post("ops2", f"incidents/{failed['id']}/acknowledge")
    here.post("ops2", f"incidents/{failed['id']}/comment", {"comment": "The bank says the payee's account is closed."})


def talk(here: Console) -> None:
    """Somebody is told, by a bank of news that answers and one that does not."""
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    hook = {"name": "on-call", "kind": "webhook", "target": "http://127.0.0.1:9/hook", "secret": secret}
    asked = here.post("admin", "changes", {"kind": "channel_set_up", "payload": hook, "reason": "the rota"})
    for approver in ("admin2", "pay_admin"):
        here.post(approver, f"changes/{asked['id']}/approve", {})
    channel = here.get("notifications/channels", "admin")["results"][0]
    wanted = {"role": "ops", "channel": channel["id"], "patterns": ["plan.*"], "minimum": "warning"}
    here.post("admin", "notifications/subscriptions", wanted)


def batch(total: str) -> Json:
    """What a payout batch asks for."""
    return {"currency": "EUR", "cutoff_date": "2025-08-01", "total_amount": total, "simulate_before_execute": True}


def payouts(here: Console) -> None:
    """One that was paid, one rolled back, one that failed, one cancelled, one a draft, one with two revisions."""
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
    here.post("ops2", "ops/plans", body | {"payload": batch("90000")})
    revised = here.staged("staged", "Payouts of August", "payout_batch", batch("250000"))
    here.callers["ops"]._call("PATCH", f"/api/ops/plans/{revised}", {"status": "draft", "payload": batch("380000")}, {})
    here.post("ops", f"ops/plans/{revised}/stage")
    here.post("finance_ops", f"ops/plans/{revised}/approve")


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
    """A bank file with a line that nothing explains, and a change that waits for somebody else."""
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


def going(here: Console) -> Json:
    """A run that takes its time, at a third of its way when it is looked at."""
    here.tell_bank("faults", {"kind": "delay", "seconds": 20, "after": 16, "times": None})
    plan = here.staged("going", "Payouts of July", "payout_batch", batch("500000"))
    run = here.executed(plan, "finance_ops", "pay_admin", wait=False)
    wait_for("a run that is going", lambda: here.get(f"ops/plans/{plan}/runs/{run}")["progress"]["done"] > 0)
    return {"plan": plan, "run": run}


# --- the pages ---


def pages(here: Console) -> dict[str, str]:
    """Name -> address."""
    plan = {name: f"/admin/plans/plan/{one['id']}" for name, one in here.plans.items()}
    staged, failed = here.plans["staged"]["id"], here.plans["failed"]["id"]
    request = here.get(f"ops/plans/{staged}")["approval_id"]
    entry = here.get(f"ops/plans/{here.plans['paid']['id']}/journal")["results"][-1]["id"]
    payout = here.get(f"ops/payouts?plan={here.plans['paid']['id']}")["results"][0]["id"]
    bank, account = (here.get(f"ops/{name}")["results"][0]["id"] for name in ("banks", "accounts"))
    change = here.get("changes")["results"][0]["id"]
    incident = next(one["id"] for one in here.get("incidents")["results"] if one["subject_kind"])
    review = here.get("ops/reviews")["results"][0]["id"]
    went = here.get(f"ops/plans/{failed}/runs")["results"][0]["id"]
    return {
        "home": "/admin/",
        "plans": "/admin/plans/plan/",
        "plan-staged": f"{plan['staged']}/change/",
        "plan-content": f"{plan['staged']}/content/",
        "plan-paid": f"{plan['paid']}/change/",
        "plan-failed": f"{plan['failed']}/change/",
        "plan-sweep": f"{plan['sweep']}/change/",
        "plan-failover": f"{plan['failover']}/change/",
        "plan-freeze": f"{plan['freeze']}/change/",
        "plan-pause": f"{plan['pause']}/change/",
        "plan-new-sweep": "/admin/plans/plan/new-sweep/",
        "plan-new-freeze": "/admin/plans/plan/new-freeze/",
        "plan-rollback": f"{plan['paid']}/rollback/",
        "run-failed": f"/admin/plans/run/{went}/change/",
        "inbox": "/admin/approvals/request/?mine=1",
        "request": f"/admin/approvals/request/{request}/change/",
        "bank": f"/admin/treasury/bank/{bank}/change/",
        "account": f"/admin/treasury/account/{account}/change/",
        "payouts": "/admin/treasury/payout/",
        "payout": f"/admin/treasury/payout/{payout}/change/",
        "breaks": "/admin/treasury/break/",
        "freezes": "/admin/treasury/freeze/",
        "journal": "/admin/journal/entry/",
        "entry": f"/admin/journal/entry/{entry}/change/",
        "incidents": "/admin/monitoring/incident/",
        "incident": f"/admin/monitoring/incident/{incident}/change/",
        "checklist": "/admin/monitoring/check/",
        "changes": "/admin/changes/change/",
        "change": f"/admin/changes/change/{change}/change/",
        "review": f"/admin/approvals/review/{review}/change/",
        "notifications": "/admin/notifications/subscription/",
        "deliveries": "/admin/notifications/delivery/",
        "channels": "/admin/notifications/channel/",
    }


@contextmanager
def seat(browser: Browser, here: Console, *, who: str, width: int, theme: str, language: str = "en") -> Iterator[Page]:
    """A page in which somebody has logged in."""
    context = browser.new_context(
        base_url=here.address,
        viewport={"width": width, "height": 900 if width > PHONE else 844},
        color_scheme="dark" if theme == "dark" else "light",
        locale={"en": "en-GB", "fr": "fr-FR"}[language],
    )
    page = context.new_page()
    page.goto("/admin/")
    page.fill("#id_username", who)
    page.fill("#id_password", here.people[who]["password"])
    page.click("#login-form button[type=submit]")
    page.wait_for_url("**/admin/")
    yield page
    context.close()


def photograph(page: Page, url: str, path: Path, *, whole: bool) -> int:
    """Write one WebP; by how many pixels the page is wider than the window."""
    page.goto(url)
    page.wait_for_timeout(400)  # charts draw themselves a moment later
    devtools = page.context.new_cdp_session(page)
    wanted: Json = {"format": "webp", "quality": QUALITY}
    if whole:
        size = devtools.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 4000), "scale": 1}
        wanted |= {"captureBeyondViewport": True, "clip": clip}
    path.write_bytes(base64.b64decode(devtools.send("Page.captureScreenshot", wanted)["data"]))
    devtools.detach()
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def for_looking(browser: Browser, here: Console, out: Path, only: list[str]) -> list[str]:
    """Every page, every way; those that are too wide."""
    wide = []
    found = pages(here) | (under_way(here) if not only or {"run-going", "plan-going"} & set(only) else {})
    for (width, theme, language), who in product(WAYS, ("pay_admin", "admin")):
        wanted = [name for name in found if (name in OF_ADMIN) == (who == "admin") and (not only or name in only)]
        if not wanted:
            continue
        with seat(browser, here, who=who, width=width, theme=theme, language=language) as page:
            for name in wanted:
                path = out / f"{name}-{width}-{theme}-{language}.webp"
                if over := photograph(page, found[name], path, whole=True):
                    wide.append(f"{path.name}: {over} px wider than the window")
    return wide


def for_docs(browser: Browser, here: Console) -> list[str]:
    """The few that README and docs show."""
    wide = []
    found = pages(here) | under_way(here)
    for name, page_name, theme in IN_DOCS:
        with seat(browser, here, who="pay_admin", width=DESK, theme=theme) as page:
            if over := photograph(page, found[page_name], SHOWN / f"{name}.webp", whole=False):
                wide.append(f"{name}: {over} px wider than the window")
    return wide


def under_way(here: Console) -> dict[str, str]:
    """A run that goes on while it is photographed."""
    run = going(here)
    addresses = {"run-going": f"run/{run['run']}", "plan-going": f"plan/{run['plan']}"}
    return {name: f"/admin/plans/{address}/change/" for name, address in addresses.items()}


def main() -> int:
    """Status 1 when a page does not fit."""
    parser = argparse.ArgumentParser(prog="python -m tools.screenshots", description="Photograph the console.")
    parser.add_argument("--out", type=Path, metavar="DIR", help="every page, into this folder")
    parser.add_argument("--only", action="append", default=[], metavar="PAGE", help="with --out: only this one")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("Chromium is not installed: see `make test-deps`.", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no process of ours is left
    with console() as here, sync_playwright() as playwright:
        history(here)
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        if options.out is None:
            wide = for_docs(browser, here)
        else:
            options.out.mkdir(parents=True, exist_ok=True)
            wide = for_looking(browser, here, options.out, options.only)
        browser.close()
    print("\n".join(wide) or "Every page fits.")
    return 1 if wide else 0


if __name__ == "__main__":
    sys.exit(main())
