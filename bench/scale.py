"""Pages, lists and /metrics of a console with 100,000 plans, 1,000,000 steps and 5,000,000 journal entries, each beside
the same page of the same console before they were there.

Plans, runs, steps and requests are loaded past their triggers by a superuser, in the shape in which operations leave
them; journal entries go the journal's own way, so that they are hashed and sealed like any other.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import urllib3
from django.conf import settings

from bench.figures import Figure
from bench.payouts import write
from bench.processes import free_port, process, sandbox_bank, seed, wait_for

PLANS = 100_000
STEPS_PER_PLAN = 10
ENTRIES = 5_000_000
CHUNK = 100_000
CALLS = 15
WARM_UP = 3
STAGED = 40

LOAD = """
create temp table model as select p.*, r.result as run_result, s.payload as step_payload, s.kind as step_kind,
    s.compensation as step_compensation
  from ops_plans p join ops_plan_runs r on r.plan_id = p.id join ops_plan_steps s on s.plan_id = p.id and s.seq = 1
  where p.external_id = 'bench' limit 1;
create temp table fresh as
  select n, uuid7() as id, uuid7() as run_id,
    now() - make_interval(secs => (%(plans)s - n) * 86400.0 * 300 / %(plans)s) as at,
    case when n > %(plans)s - %(staged)s then 'staged' when n %% 50 = 0 then 'failed' when n %% 70 = 0 then 'partial'
      when n %% 90 = 0 then 'draft' else 'succeeded' end as status
  from generate_series(1, %(plans)s) n;
insert into ops_plans (id, external_id, name, description, plan_type, payload, status, on_failure, required_approvals,
    approvals, estimated_impact, digest, body_digest, revision, created_by_id, edited_by, created_at, updated_at,
    staged_at)
  select f.id, 'scale-' || n, 'Payouts of day ' || n, '', m.plan_type, m.payload, f.status, m.on_failure,
    m.required_approvals, m.approvals, m.estimated_impact, m.digest, m.body_digest, 1, m.created_by_id, m.edited_by,
    f.at, f.at, f.at
  from fresh f, model m;
insert into ops_plan_runs (id, plan_id, direction, status, run_at, result, requested_by, revision, started_at,
    finished_at, deadline_at, lease_owner, lease_epoch, waiting_for, stalls)
  select f.run_id, f.id, 'execute', f.status, f.at, m.run_result, 'finance_ops', 1, f.at, f.at + interval '1 minute',
    f.at + interval '1 hour', '', 1, '', 0
  from fresh f, model m where f.status in ('succeeded', 'failed', 'partial');
insert into ops_plan_steps (id, plan_id, revision, direction, seq, kind, key, payload, compensation, run_id, status,
    attempt, needs_person, started_at, finished_at)
  select uuid7(), f.id, 1, 'execute', seq, m.step_kind, f.id || ':1:' || seq || ':execute', m.step_payload,
    m.step_compensation, case when f.status in ('staged', 'draft') then null else f.run_id end,
    case when f.status in ('staged', 'draft') then 'pending' else 'succeeded' end, 1, false, f.at, f.at
  from fresh f, model m, generate_series(1, %(steps)s) seq;
insert into approvals_requests (id, action, subject_kind, subject_id, title, digest, content, policy, requested_by_id,
    editors, status, created_at, expires_at, decided_at, ended_at)
  select uuid7(), q.action, q.subject_kind, f.id::text, 'Payouts of day ' || n, q.digest, q.content, q.policy,
    q.requested_by_id, q.editors, case when f.status = 'staged' then 'pending' else 'consumed' end, f.at,
    case when f.status = 'staged' then now() + interval '1 day' else f.at + interval '3 days' end,
    case when f.status = 'staged' then null else f.at + interval '1 hour' end,
    case when f.status = 'staged' then null else f.at + interval '2 hours' end
  from fresh f, (select * from approvals_requests where subject_id = (select id::text from model) limit 1) q
  where f.status <> 'draft';
insert into ops_run_totals (status, runs, seconds) select status, count(*), count(*) * 60 from fresh
  where status in ('succeeded', 'failed', 'partial') group by 1
  on conflict (status) do update set runs = ops_run_totals.runs + excluded.runs;
"""

PAGES = {
    "home": "/admin/",
    "plans": "/admin/plans/plan/",
    "plans, failed": "/admin/plans/plan/?status__exact=failed",
    "plans, page 40": "/admin/plans/plan/?p=40",
    "a plan": "/admin/plans/plan/{plan}/change/",
    "runs": "/admin/plans/run/",
    "a run": "/admin/plans/run/{run}/change/",
    "steps": "/admin/plans/step/",
    "approval requests": "/admin/approvals/request/",
    "journal": "/admin/journal/entry/",
    "journal of a plan": "/admin/journal/entry/?subject_kind=ops_plans&subject_id={plan}",
    "a journal entry": "/admin/journal/entry/{entry}/change/",
    "metrics": "/metrics",
    "API plans": "/api/ops/plans",
    "API plans, failed": "/api/ops/plans?status=failed",
    "API a plan": "/api/ops/plans/{plan}",
    "API journal": "/api/journal",
}
# The same page of a small console is the floor; what counts people's time is the figure itself.
AT_LEAST = 0.3


def run(*, scale: float) -> list[Figure]:
    """The median of each page, before and after."""
    port = free_port()
    with sandbox_bank() as url:
        seed(url)
        _one_plan()
        web = (
            "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--log-level", "error", "opsconsole.wsgi:application",
        )  # fmt: skip
        measured = settings.VAR / "metrics"
        measured.mkdir(parents=True, exist_ok=True)
        address = f"http://127.0.0.1:{port}"
        with process(*web, OPS_DB_POOL="1", PROMETHEUS_MULTIPROC_DIR=str(measured)):
            wait_for(f"{address}/healthz")
            before = _measure(address)
            _load(scale)
            after = _measure(address)
    return [
        Figure(
            f"{name}, {int(PLANS * scale):,} plans, {int(ENTRIES * scale):,} entries", after[name], before[name], "ms",
            "the same page with one plan", AT_LEAST, "make bench ARGS=scale", lower_is_better=True,
        )
        for name in PAGES
    ]  # fmt: skip


def _one_plan() -> None:
    from django.core.management import call_command

    from bench.plans import paid

    path = write(settings.VAR / "scale.csv", rows=STEPS_PER_PLAN, prefix="SCALE")
    call_command("import_payouts", str(path), verbosity=0)
    with process("manage.py", "worker", "plans"), process("manage.py", "scheduler"):
        paid()


def _load(scale: float) -> None:
    from opsconsole import embedded

    superuser = embedded.urls(Path(os.environ["OPS_VAR"])).superuser.replace("/postgres?", "/molam_connect?")
    started = time.perf_counter()
    with psycopg.connect(superuser) as db:
        db.execute("set session_replication_role = replica")
        for statement in LOAD.split(";\n"):
            if statement.strip():
                db.execute(
                    statement,
                    {"plans": int(PLANS * scale), "staged": STAGED, "steps": STEPS_PER_PLAN}
                    if "%(" in statement
                    else None,
                )
        db.commit()
        print(f"bench: plans loaded in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    _load_journal(int(ENTRIES * scale))
    with psycopg.connect(superuser, autocommit=True) as db:
        db.execute("vacuum (analyze)")


def _load_journal(entries: int) -> None:
    from django.db import connection

    from opsconsole.core.actors import SYSTEM
    from opsconsole.journal import services

    body = {
        "actor": {"kind": "user", "id": "0198c0de-0000-7000-8000-000000000000", "name": "finance_ops"},
        "verb": "plan.moved",
        "subject": {"kind": "ops_plans", "id": "{id}"},
        "before": {"status": "staged"},
        "after": {"status": "approved"},
        "reason": "",
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    started = time.perf_counter()
    for _ in range(max(1, entries // CHUNK)):
        with connection.cursor() as cursor:
            cursor.execute(
                "insert into journal_entries (body) select replace(%s, '{id}', p.id::text) from (select id,"
                " row_number() over () n from ops_plans limit 50000) p, generate_series(1, 40) g limit %s",
                [text, min(CHUNK, entries)],
            )
    while services.seal(actor=SYSTEM("bench"), most=50_000):
        pass
    print(f"bench: journal loaded and sealed in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


def _measure(address: str) -> dict[str, float]:
    from django.conf import settings as django_settings
    from django.test import Client

    from bench.processes import tokens
    from opsconsole.core.models import User
    from opsconsole.journal.models import Entry
    from opsconsole.plans.models import Run

    client = Client()
    client.force_login(User.objects.get(username="pay_admin"), "django.contrib.auth.backends.ModelBackend")
    cookie = f"{django_settings.SESSION_COOKIE_NAME}={client.cookies[django_settings.SESSION_COOKIE_NAME].value}"
    headers = {"Cookie": cookie, "Authorization": f"Bearer {tokens()['pay_admin']}"}
    run = Run.objects.order_by("-run_at").values_list("pk", "plan_id")[0]
    known: dict[str, Any] = {
        "run": run[0],
        "plan": run[1],
        "entry": list(Entry.objects.order_by("-at", "-seq").values_list("pk", flat=True)[:100])[-1],
    }
    pool = urllib3.PoolManager(retries=False)
    found: dict[str, list[float]] = {name: [] for name in PAGES}
    for number in range(CALLS + WARM_UP):
        for name, page in PAGES.items():
            started = time.perf_counter()
            answer = pool.request("GET", address + page.format(**known), headers=headers, redirect=False)
            taken = time.perf_counter() - started
            if answer.status != 200:
                raise RuntimeError(f"{name} ({page.format(**known)}) answered {answer.status}")
            if number >= WARM_UP:
                found[name].append(taken * 1000)
    return {name: statistics.median(taken) for name, taken in found.items()}
