"""The peer of plan steps: DBOS on the same PostgreSQL, making the same HTTP calls to the same bank.

Run as a process of its own (`python -m bench.durable WORKFLOWS THREADS`), since DBOS brings its threads and pools; it
prints the rate as JSON. Each payout is a durable workflow of one step, as many at a time as the console has calls in
flight; starting them directly spares DBOS the polling of its queue.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
DATABASE = "bench_dbos"
WARM_UP = 32


def rate(workflows: int, threads: int) -> float:
    """Workflows a second of DBOS, measured in a process of its own."""
    from opsconsole import embedded

    superuser = embedded.urls(Path(os.environ["OPS_VAR"])).superuser
    with psycopg.connect(superuser, autocommit=True) as db:
        db.execute(f"drop database if exists {DATABASE} with (force)")
        db.execute(f"create database {DATABASE}")
    url = superuser.replace("/postgres?", f"/{DATABASE}?")
    try:
        told = subprocess.run(
            [sys.executable, "-m", "bench.durable", str(workflows), str(threads)],
            cwd=ROOT,
            env={**os.environ, "BENCH_DBOS_URL": url},
            check=True,
            capture_output=True,
            text=True,
        )
    finally:
        with psycopg.connect(superuser, autocommit=True) as db:
            db.execute(f"drop database if exists {DATABASE} with (force)")
    return float(json.loads(told.stdout.splitlines()[-1])["rate"])


def main() -> None:
    """Run the workflows and print their rate."""
    import django

    django.setup()
    from dbos import DBOS, DBOSConfig

    from bench.payouts import german_iban
    from opsconsole.treasury.bank_gateways import payment_gateway
    from opsconsole.treasury.gateways.base import PaymentOrder
    from opsconsole.treasury.models import Account

    workflows, threads = int(sys.argv[1]), int(sys.argv[2])
    account = Account.objects.select_related("bank").filter(kind="settlement", bank__gateway="http").earliest("id")
    gateway = payment_gateway(account.bank)
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": os.environ["BENCH_DBOS_URL"],
        "sys_db_pool_size": threads,
        "log_level": "ERROR",
    }
    DBOS(config=config)

    @DBOS.step()
    def submit(number: int) -> str:
        order = PaymentOrder(
            key=f"dbos-{number}", end_to_end_id=f"DBOS{number:031d}", amount=Decimal("1.00"), currency="EUR",
            debtor_name=account.name, debtor_iban=account.iban or "", debtor_bic=account.bank.bic,
            creditor_name="Payee", creditor_iban=german_iban(number + 1), creditor_bic="COBADEFFXXX",
            remittance="", requested_on=datetime.now(UTC).date(),
        )  # fmt: skip
        outcome = gateway.submit(order)
        if type(outcome).__name__ != "Accepted":
            raise RuntimeError(f"the bank did not accept: {outcome}")
        return str(outcome)

    @DBOS.workflow()
    def pay(number: int) -> str:
        return submit(number)

    DBOS.launch()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(pay, range(WARM_UP)))
        started = time.perf_counter()
        list(pool.map(pay, range(WARM_UP, WARM_UP + workflows)))
        taken = time.perf_counter() - started
    DBOS.destroy()
    print(json.dumps({"rate": workflows / taken}))


if __name__ == "__main__":
    main()
