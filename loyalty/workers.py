"""Counting what the workers of loyalty do, in the transaction of what they did, so that a count is never a guess.

The labels of `loyalty_worker_executions_total{worker, status}`, by which runbook 6 asks after its workers.
"""

from __future__ import annotations

from enum import StrEnum

from django.db import connection

from loyalty.models import WorkerExecution
from opsconsole.core.operations import assert_in_operation


class Worker(StrEnum):
    """The workers, as the runbooks call them; their log lines carry the name in capitals."""

    CAMPAIGN_EXECUTOR = "campaign_executor"
    TIER_EVALUATOR = "tier_evaluator"
    POINTS_EXPIRER = "points_expirer"
    LEDGER_RECONCILER = "ledger_reconciler"
    LEDGER_DIGESTER = "ledger_digester"
    LEDGER_VERIFIER = "ledger_verifier"


class Outcome(StrEnum):
    """What came of an execution: done, not allowed now (somebody has to act), or broken off by a fault."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"


def count_execution(worker: Worker, outcome: Outcome) -> None:
    """Count one execution in the caller's operation. Call it last: everybody's counts are in few rows."""
    assert_in_operation()
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into loyalty_worker_executions as w (worker, status, count, last_at) values (%s, %s, 1, now())"
            " on conflict (worker, status) do update set count = w.count + 1, last_at = now()",
            [worker.value, outcome.value],
        )


def executions() -> dict[tuple[str, str], int]:
    """How many executions there were by worker and outcome, zeros included."""
    counted = {(worker.value, outcome.value): 0 for worker in Worker for outcome in Outcome}
    for row in WorkerExecution.objects.all():
        counted[row.worker, row.status] = row.count
    return counted
