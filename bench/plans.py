"""A plan of 10,000 payouts through the sandbox bank by a real worker, beside the bare call between two commits."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from bench import durable
from bench.figures import Figure
from bench.payouts import german_iban, write
from bench.processes import process, sandbox_bank, seed
from bench.signing import approve_signed

PAYOUTS = 10_000
FLOOR_CALLS = 3_000
PEER_CALLS = 2_000
IN_FLIGHT = 16
PATIENCE = 600.0


def run(*, scale: float) -> list[Figure]:
    """Steps a second from the claim of the run to its end."""
    with sandbox_bank() as url:
        seed(url)
        path = write(settings.VAR / "plans.csv", rows=int(PAYOUTS * scale), prefix="PLAN")
        call_command("import_payouts", str(path), verbosity=0)
        with process("manage.py", "worker", "plans"), process("manage.py", "scheduler"):
            steps, taken = paid()
        alone = _bare_calls(int(FLOOR_CALLS * scale), workers=1)
        together = _bare_calls(int(FLOOR_CALLS * scale), workers=IN_FLIGHT)
        peer = durable.rate(int(PEER_CALLS * scale), IN_FLIGHT)
    again = "make bench ARGS=plans"
    return [
        Figure(
            f"plan steps, {steps:,} payouts", steps / taken, alone, "steps/s",
            "commit, HTTP call, commit, one after the other", 0.5, again,
        ),
        Figure(
            f"plan steps, {steps:,} payouts", steps / taken, together, "steps/s",
            f"the same by {IN_FLIGHT} threads with a connection each", 0.25, again,
        ),
        Figure(
            f"plan steps, {steps:,} payouts", steps / taken, peer, "steps/s",
            f"DBOS: a durable workflow of one step for each call, {IN_FLIGHT} at a time", 3.0, again,
        ),
    ]  # fmt: skip


def analyze() -> None:
    """As autovacuum leaves a database within a minute: this one is seconds old, and its planner knows of no rows."""
    with psycopg.connect(settings.DATABASE_OWNER_URL, autocommit=True) as owner:
        owner.execute("analyze")


def paid() -> tuple[int, float]:
    from opsconsole.core.actors import Actor
    from opsconsole.core.models import User
    from opsconsole.plans.models import Run, Step
    from opsconsole.plans.services import drafts, execution, staging
    from opsconsole.plans.services.drafts import Draft

    people = {name: Actor.of(User.objects.get(username=name)) for name in ("ops", "finance_ops")}
    payload = {"currency": "EUR", "cutoff_date": datetime.now(UTC).date().isoformat()}
    draft = Draft(external_id="bench", name="Bench", plan_type="payout_batch", payload=payload)
    plan, _ = drafts.create_plan(draft=draft, actor=people["ops"])
    plan = staging.stage_plan(plan_id=plan.pk, actor=people["ops"])
    approve_signed(plan)
    analyze()
    run = execution.execute_plan(plan_id=plan.pk, actor=people["finance_ops"])
    deadline = time.monotonic() + PATIENCE
    while True:
        run = Run.objects.get(pk=run.pk)
        if run.status not in ("queued", "running"):
            break
        if time.monotonic() > deadline:
            raise RuntimeError(f"the run is still {run.status}")
        time.sleep(0.5)
    if run.status != "succeeded":
        raise RuntimeError(f"the run {run.status}: {run.result}")
    connections.close_all()
    return Step.objects.filter(plan=plan).count(), (run.finished_at - run.started_at).total_seconds()


def _bare_calls(calls: int, *, workers: int) -> float:
    from opsconsole.treasury.bank_gateways import payment_gateway
    from opsconsole.treasury.gateways.base import PaymentOrder
    from opsconsole.treasury.models import Account

    account = Account.objects.select_related("bank").filter(kind="settlement", bank__gateway="http").earliest("id")
    gateway = payment_gateway(account.bank)
    with psycopg.connect(settings.DATABASE_OWNER_URL, autocommit=True) as owner:
        owner.execute("create table if not exists bench_steps (key text primary key, status text)")
        owner.execute(f"grant insert, update on bench_steps to {settings.DB_APP_ROLE}")
        owner.execute(f"grant select on bench_steps to {settings.DB_APP_ROLE}")
    local = threading.local()

    def one(number: int) -> None:
        if not hasattr(local, "db"):
            local.db = psycopg.connect(settings.DATABASE_URL, autocommit=True)
        key = f"floor-{workers}-{number}"
        local.db.execute("insert into bench_steps values (%s, 'running')", [key])
        order = PaymentOrder(
            key=key, end_to_end_id=f"E2E{workers:02d}{number:030d}"[:35], amount=Decimal("1.00"), currency="EUR",
            debtor_name=account.name, debtor_iban=account.iban or "", debtor_bic=account.bank.bic,
            creditor_name="Payee", creditor_iban=german_iban(number + 1), creditor_bic="COBADEFFXXX",
            remittance="", requested_on=datetime.now(UTC).date(),
        )  # fmt: skip
        outcome = gateway.submit(order)
        if type(outcome).__name__ != "Accepted":
            raise RuntimeError(f"the bank did not accept: {outcome}")
        local.db.execute("update bench_steps set status = 'succeeded' where key = %s", [key])

    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, range(calls)))
    return calls / (time.perf_counter() - started)
