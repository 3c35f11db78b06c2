"""The plans runbook, step by step, with its own commands: only the host and what stands in capitals are filled in."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from opsconsole.journal.models import Entry
from opsconsole.treasury import ledger
from opsconsole.treasury.models import Account
from tests.api.servers import Command, Curl, wait_for
from tests.api.unchanged import Ask, unchanged
from tests.sandbox_bank.process import BankProcess
from tests.world import World, counts

CREATE = """
curl -X POST http://ops.molam.com/api/ops/plans \\
  -H "Authorization: Bearer $TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "external_id": "plan-2025-08-payout-eur",
    "name": "Monthly EUR Payouts",
    "description": "Payout batch for August 2025",
    "plan_type": "payout_batch",
    "payload": {
      "currency": "EUR",
      "cutoff_date": "2025-08-01",
      "total_amount": 250000,
      "simulate_before_execute": true
    },
    "required_approvals": 2
  }'
"""
STAGE = """
curl -X POST http://ops.molam.com/api/ops/plans/PLAN_ID/stage \\
  -H "Authorization: Bearer $TOKEN"
"""
APPROVE_SIGNED = """
curl -X POST http://ops.molam.com/api/ops/plans/PLAN_ID/approve \\
  -H "Authorization: Bearer $TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{"signature": "..."}'
"""
APPROVE = """
curl -X POST http://ops.molam.com/api/ops/plans/PLAN_ID/approve \\
  -H "Authorization: Bearer $TOKEN2"
"""
KEY = '-H "Idempotency-Key: exec-unique-key-001"'
EXECUTE = f"""
curl -X POST http://ops.molam.com/api/ops/plans/PLAN_ID/execute \\
  -H "Authorization: Bearer $TOKEN" \\
  {KEY}
"""
RUNS = """
curl http://ops.molam.com/api/ops/plans/PLAN_ID/runs \\
  -H "Authorization: Bearer $TOKEN"
"""
JOURNAL = """
curl http://ops.molam.com/api/ops/plans/PLAN_ID/journal \\
  -H "Authorization: Bearer $TOKEN"
"""
ROLLBACK = """
curl -X POST http://ops.molam.com/api/ops/plans/PLAN_ID/rollback \\
  -H "Authorization: Bearer $TOKEN"
"""

# Not in the runbook: how an approver asks for a key, with what docs/api.md says; others agree that it is theirs.
REGISTER_KEY = """
openssl genpkey -algorithm ed25519 -out key.pem
curl -X POST http://ops.molam.com/api/signer-keys \\
  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -d "{\\"name\\": \\"laptop\\", \\"public_key\\": \\"$(
    openssl pkey -in key.pem -pubout -outform DER | tail -c 32 | base64)\\"}"
"""


def sign(text: str, folder: Path) -> str:
    """The base64 signature of plain openssl over exactly this text."""
    (folder / "text").write_bytes(text.encode())
    made = subprocess.run(
        "openssl pkeyutl -sign -rawin -inkey key.pem -in text | base64 -w0",
        shell=True, cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return made.stdout


def test_the_runbook_step_by_step(
    world: World, bank: BankProcess, curl: Curl, worker: Command, token: Callable[..., str], ask: Ask, tmp_path: Path
) -> None:
    ops, finance, admin = token("ops"), token("finance_ops"), token("pay_admin")
    auditor, stranger = token("auditor"), token("ops_marketing")

    # 1. Create plan (draft)
    status, plan = curl(CREATE, TOKEN=ops)
    assert status == 201
    assert (plan["status"], plan["required_approvals"], plan["created_by"]) == ("draft", 2, "ops")

    def at(command: str, **variables: str) -> tuple[int, Any]:
        return curl(command.replace("PLAN_ID", plan["id"]), **variables)

    def refused(status: int, code: str, command: str, **variables: str) -> dict[str, Any]:
        with unchanged(ask):
            answer, problem = at(command, **variables)
        assert (answer, problem["code"], problem["status"]) == (status, code, status)
        return dict(problem)

    refused(403, "denied", CREATE, TOKEN=auditor)
    refused(403, "denied", CREATE, TOKEN=stranger)
    refused(401, "authentication_failed", CREATE, TOKEN="0" * 64)
    assert curl(CREATE, TOKEN=ops) == (200, plan)  # the same plan again is the same plan

    # 2. Stage plan; the response includes estimated_impact
    refused(403, "denied", STAGE, TOKEN=auditor)
    refused(404, "plan_not_found", STAGE, TOKEN=stranger)
    status, plan = at(STAGE, TOKEN=ops)
    assert (status, plan["status"]) == (200, "staged")
    impact = plan["estimated_impact"]
    assert impact["count"] == impact["steps"] == 24
    assert Decimal(impact["sums"]["EUR"]) + Decimal(impact["remainder"]["EUR"]) == 250_000

    # 3. Collect approvals: the first with a signature made by openssl
    status, change = curl(f"cd {tmp_path}\n{REGISTER_KEY}", TOKEN=finance)
    assert (status, change["status"]) == (202, "requested"), change
    agree = f'curl -X POST http://ops.molam.com/api/changes/{change["id"]}/approve -H "Authorization: Bearer $TOKEN"'
    refused(403, "separation_of_duties", agree, TOKEN=finance)
    assert curl(agree, TOKEN=token("admin"))[0] == 200
    status, change = curl(agree, TOKEN=admin)
    assert (status, change["status"], change["after"]["owner"]) == (200, "applied", "finance_ops")
    status, request = curl(
        f'curl http://ops.molam.com/api/approvals/{plan["approval_id"]} -H "Authorization: Bearer $TOKEN"',
        TOKEN=finance,
    )
    assert (status, request["digest"]) == (200, plan["digest"])
    genuine = sign(request["signing_text"], tmp_path)
    forged = sign(request["signing_text"].replace("approve", "reject"), tmp_path)
    first = APPROVE_SIGNED.replace('"signature": "..."', f'"signature": "{genuine}"')
    forgery = APPROVE_SIGNED.replace('"signature": "..."', f'"signature": "{forged}"')

    refused(403, "separation_of_duties", first, TOKEN=ops)  # the runbook's own first approver: the requester
    refused(422, "signature_invalid", APPROVE_SIGNED, TOKEN=finance)  # "..." is no signature
    refused(422, "signature_invalid", forgery, TOKEN=finance)
    refused(422, "signature_invalid", first, TOKEN=admin)  # somebody else's signature
    refused(403, "denied", APPROVE, TOKEN2=auditor)
    refused(404, "plan_not_found", APPROVE, TOKEN2=stranger)
    refused(409, "wrong_state", EXECUTE, TOKEN=finance)
    status, plan = at(first, TOKEN=finance)
    assert (status, plan["status"]) == (200, "staged")
    assert [(one["user"], one["signed"]) for one in plan["approvals"]] == [("finance_ops", True)]
    refused(409, "already_approved", first, TOKEN=finance)
    refused(409, "wrong_state", EXECUTE, TOKEN=finance)

    # ... the second without
    status, plan = at(APPROVE, TOKEN2=admin)
    assert (status, plan["status"]) == (200, "approved")
    assert [one["signed"] for one in plan["approvals"]] == [True, False]
    refused(409, "already_complete", APPROVE, TOKEN2=token("pay_admin2", "pay_admin"))

    # 4. Execute plan; returns {"run_id": "..."}
    refused(403, "denied", EXECUTE, TOKEN=auditor)
    refused(404, "plan_not_found", EXECUTE, TOKEN=stranger)
    refused(400, "idempotency_key_missing", EXECUTE.replace(KEY, "-s"), TOKEN=finance)
    refused(403, "not_an_executor", EXECUTE, TOKEN=ops)
    status, started = at(EXECUTE, TOKEN=finance)
    assert status == 202
    assert list(started) == ["run_id"]
    assert at(EXECUTE, TOKEN=finance) == (202, started)  # the same key again: the same answer, no second run

    # 5. Monitor execution
    def runs() -> list[dict[str, Any]]:
        status, page = at(RUNS, TOKEN=finance)
        assert status == 200
        return list(page["results"])

    run = wait_for("the end of the run", lambda: next((one for one in runs() if one["finished_at"]), None))
    assert (run["id"], run["status"], run["progress"]["percent"]) == (started["run_id"], "succeeded", 100)
    assert run["result"]["simulation"] == "agrees"
    status, page = at(JOURNAL, TOKEN=auditor)
    assert status == 200
    verbs = [entry["verb"] for entry in page["results"]]
    assert verbs[0] == "run.succeeded"
    assert verbs[-1] == "plan.created"
    assert {"plan.staged", "approval.approved", "approval.consumed", "run.queued", "run.claimed"} <= set(verbs)
    assert "direct_sql" not in verbs
    paid = bank.payments()
    assert sum(Decimal(payment["amount"]) for payment in paid) == Decimal(impact["sums"]["EUR"])
    assert len({payment["end_to_end_id"] for payment in paid}) == len(paid) == 24
    assert counts("treasury_payouts") == {"sent": 24, "payable": 16}

    # A third use of the approval that is spent
    again = EXECUTE.replace("exec-unique-key-001", "exec-unique-key-002")
    refused(409, "wrong_state", again, TOKEN=finance)
    refused(409, "wrong_state", again, TOKEN=admin)
    refused(409, "no_decision_open", APPROVE, TOKEN2=token("finance_ops2", "finance_ops"))
    spent = f"""curl -X POST http://ops.molam.com/api/approvals/{request["id"]}/approve \
      -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d '{{"approved": true}}'"""
    refused(409, "already_consumed", spent, TOKEN=token("finance_ops3", "finance_ops"))
    other_body = f"-H 'Content-Type: application/json' -d '{{\"other\": 1}}' {KEY}"
    refused(422, "idempotency_key_reused", EXECUTE.replace(KEY, other_body), TOKEN=finance)

    # 6. Rollback
    refused(403, "denied", ROLLBACK, TOKEN=auditor)
    refused(404, "plan_not_found", ROLLBACK, TOKEN=stranger)
    refused(403, "not_an_executor", ROLLBACK, TOKEN=ops)
    status, started = at(ROLLBACK, TOKEN=admin)
    assert (status, list(started)) == (202, ["run_id"])
    run = wait_for(
        "the end of the rollback",
        lambda: next((one for one in runs() if one["id"] == started["run_id"] and one["finished_at"]), None),
    )
    assert (run["direction"], run["status"]) == ("rollback", "succeeded")
    assert {payment["status"] for payment in bank.payments()} == {"recalled"}
    assert counts("treasury_payouts") == {"payable": 40}
    assert Account.objects.get(pk=world.account.pk).ledger_balance == 1_000_000
    assert ledger.prove() == []
    assert counts("ops_plans") == {"rolled_back": 1}
    assert not Entry.objects.filter(verb="direct_sql", subject_kind__startswith="ops_").exists()
