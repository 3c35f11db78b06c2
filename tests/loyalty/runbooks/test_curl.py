"""The runbooks' curls against a console that is served, with workers that are processes and log into files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from loyalty.models import Balance, Program, TierSnapshot
from loyalty.services import tiers
from loyalty.services.tiers import TierFacts
from loyalty.states import CampaignState
from opsconsole.core.actors import Actor
from opsconsole.journal.models import Entry
from tests.api.servers import Command, free_port, wait_for
from tests.loyalty.campaigns.conftest import Desk, fresh
from tests.loyalty.runbooks.shell import Shell
from tests.monitoring.test_prometheus import RULES, running

pytestmark = pytest.mark.django_db(transaction=True)

EXECUTE = """
curl -X POST http://localhost:3077/api/workers/campaign-execution \\
  -H "Authorization: Bearer <admin_token>" \\
  -H "Content-Type: application/json" \\
  -d '{"campaignId": "<campaign_id>"}'
"""
EVALUATE = """
curl -X POST http://localhost:3077/api/workers/tier-evaluation \\
  -H "Authorization: Bearer <admin_token>" \\
  -H "Content-Type: application/json" \\
  -d '{"programId": "<program_id_optional>"}'
"""
SUSPEND = """
curl -X POST http://localhost:3077/api/programs/<program_id>/suspend \\
  -H "Authorization: Bearer <finance_ops_token>" \\
  -H "X-Approval-Request-Id: <multi_sig_approval_id>" \\
  -H "Content-Type: application/json" \\
  -d '{"reason": "Suspected fraud spike - urgent investigation needed"}'
"""
ASK_TO_SUSPEND = SUSPEND.replace('  -H "X-Approval-Request-Id: <multi_sig_approval_id>" \\\n', "")
SUSPENDED = """
psql -d molam_connect -c "
SELECT id, name, status, updated_at
FROM loyalty_programs
WHERE id = '<program_id>';
"
"""
ADJUST = """
curl -X POST http://localhost:3077/api/balances/<balance_id>/adjust \\
  -H "Authorization: Bearer <ops_marketing_token>" \\
  -H "Content-Type: application/json" \\
  -d '{
    "amount": 100,
    "reason": "Manual adjustment - Ticket #12345: Points not awarded for purchase",
    "actorId": "<ops_user_id>",
    "actorRole": "ops_marketing"
  }'
"""
APPROVE = """
curl -X POST http://localhost:3077/api/approvals/<approval_request_id>/approve \\
  -H "Authorization: Bearer <finance_ops_token>" \\
  -H "Content-Type: application/json" \\
  -d '{
    "approved": true,
    "comments": "Verified - legitimate dispute"
  }'
"""
RESUBMIT = """
curl -X POST http://localhost:3077/api/balances/<balance_id>/adjust \\
  -H "Authorization: Bearer <ops_marketing_token>" \\
  -H "X-Approval-Request-Id: <approval_request_id>" \\
  -H "Content-Type: application/json" \\
  -d '{
    "amount": 100,
    "reason": "Manual adjustment - Ticket #12345",
    "actorId": "<ops_user_id>",
    "actorRole": "ops_marketing"
  }'
"""
INCREASE = """
curl -X PUT http://localhost:3077/api/programs/<program_id> \\
  -H "Authorization: Bearer <ops_marketing_token>" \\
  -H "Content-Type: application/json" \\
  -d '{
    "budgetLimit": 100000,
    "reason": "Budget exhaustion - merchant approved increase"
  }'
"""
EXECUTIONS = "curl http://localhost:9090/metrics | grep loyalty_campaign_executions_total"
WORKERS = "curl http://localhost:9090/metrics | grep loyalty_worker_executions_total"
LATENCY = "curl http://localhost:9090/metrics | grep loyalty_api_latency_seconds"
# In quotes, as bash takes the parentheses for its own.
SLOWEST = "curl 'http://localhost:9090/api/v1/query?query=topk(5,loyalty_api_latency_seconds)'"
PATIENCE = 120.0  # seconds for a worker that has to start first


@pytest.fixture
def worker(console_environment: dict[str, str], transactional_db: None, tmp_path: Path) -> Iterator[Command]:
    """`manage.py worker`, whose log is the runbooks' workers.log."""
    with Command(tmp_path, console_environment | {"LOG_LEVEL": "INFO"}, "worker") as running_:
        yield running_


def log_of(worker: Command) -> str:
    """The runbooks' grep in the log of the workers."""
    return f"tail -100 {worker.log} | grep"


def seen(shell: Shell, command: str) -> list[str]:
    """What it finds; nothing where it finds nothing."""
    return shell.run(command).stdout.splitlines()


def test_a_campaign_is_executed(
    served: Shell, worker: Command, desk: Desk, token: Callable[..., str], person: Callable[..., Actor]
) -> None:
    """Runbooks 1 and 6; a stuck one goes the same way."""
    campaign = desk.agreed()
    filled = {"admin_token": token("admin"), "campaign_id": campaign.pk}
    denied = served.answer(EXECUTE, admin_token=token("dev"), campaign_id=campaign.pk)
    assert (denied["status"], denied["code"]) == (404, "campaign_not_found")
    answer = served.answer(EXECUTE, **filled)
    assert answer["status"] == "accepted", answer
    wait_for("the campaign", lambda: fresh(campaign).status == CampaignState.COMPLETED, seconds=PATIENCE)
    done = fresh(campaign)
    assert (done.users_awarded, done.total_points_awarded) == (25, 250)
    lines = seen(served, f"{log_of(worker)} CAMPAIGN_EXECUTOR")
    assert any("CAMPAIGN_EXECUTOR completed" in line and str(campaign.pk) in line for line in lines)
    told = seen(served, EXECUTIONS)
    assert 'loyalty_campaign_executions_total{status="completed"} 1.0' in told, told
    workers = seen(served, WORKERS)
    assert 'loyalty_worker_executions_total{status="succeeded",worker="campaign_executor"} 1.0' in workers, workers


def test_tiers_are_evaluated(
    served: Shell,
    worker: Command,
    program: Program,
    member: Callable[..., Balance],
    marketing: Actor,
    token: Callable[..., str],
) -> None:
    """Runbook 6, in one program and, without a body that names one, in every one."""
    tiers.define_tier(program_id=program.pk, facts=TierFacts("Silver", 1, 100), actor=marketing)
    member("alice", 500)
    told = seen(served, WORKERS)
    assert 'loyalty_worker_executions_total{status="succeeded",worker="tier_evaluator"} 0.0' in told
    assert served.answer(EVALUATE, admin_token=token("dev"), program_id_optional=program.pk)["code"] in (
        "denied",
        "program_not_found",
    )
    assert not TierSnapshot.objects.exists()
    answer = served.answer(EVALUATE, admin_token=token("admin"), program_id_optional=program.pk)
    assert answer["status"] == "accepted", answer
    wait_for("the tier", TierSnapshot.objects.exists, seconds=PATIENCE)
    found = wait_for("the worker's word", lambda: seen(served, f"{log_of(worker)} TIER_EVALUATOR"))
    assert any(str(program.pk) in line for line in found)
    wait_for(
        "the count",
        lambda: (
            'loyalty_worker_executions_total{status="succeeded",worker="tier_evaluator"} 1.0' in seen(served, WORKERS)
        ),
    )


def test_a_program_is_suspended(
    served: Shell, program: Program, token: Callable[..., str], person: Callable[..., Actor]
) -> None:
    """Runbook 2: finance asks, marketing agrees, finance comes back with the approval."""
    finance, marketing = token("finance_ops"), token("ops_marketing")
    asked = served.answer(ASK_TO_SUSPEND, program_id=program.pk, finance_ops_token=finance)
    assert (asked["status"], set(asked["requiredRoles"])) == ("approval_required", {"finance_ops", "ops_marketing"})
    filled = {
        "program_id": program.pk,
        "finance_ops_token": finance,
        "multi_sig_approval_id": asked["approvalRequestId"],
    }
    early = served.answer(SUSPEND, **filled)
    assert early["status"] != "suspended"
    assert served.rows(SUSPENDED, program_id=program.pk)[0]["status"] == "active"
    served.answer(APPROVE, approval_request_id=asked["approvalRequestId"], finance_ops_token=marketing)
    answer = served.answer(SUSPEND, **filled)
    assert answer["status"] == "suspended", answer
    [row] = served.rows(SUSPENDED, program_id=program.pk)
    assert (row["name"], row["status"]) == ("Club", "suspended")
    assert row["updated_at"]


def test_an_adjustment_in_a_dispute(
    served: Shell, member: Callable[..., Balance], token: Callable[..., str], person: Callable[..., Actor]
) -> None:
    """Runbook 3: up to 10,000 points one person adjusts; more is asked for, approved by finance and sent again."""
    alice = member("alice", 500)
    marketing, finance = token("ops_marketing"), token("finance_ops")
    me = person("ops_marketing").id
    filled = {"balance_id": alice.pk, "ops_marketing_token": marketing, "ops_user_id": me}
    small = served.answer(ADJUST, **filled)
    assert (small["eventType"], small["amount"]) == ("adjust", 100), small

    large = {'"amount": 100': '"amount": 20000', ": Points not awarded for purchase": ""}
    ask, again = ADJUST, RESUBMIT
    for was, now in large.items():
        ask, again = ask.replace(was, now), again.replace(was, now)
    asked = served.answer(ask, **filled)
    assert set(asked) == {"status", "approvalRequestId", "requiredRoles"}
    assert (asked["status"], asked["requiredRoles"]) == ("approval_required", ["ops_marketing", "finance_ops"])
    alice.refresh_from_db()
    assert alice.points_balance == 600

    which = asked["approvalRequestId"]
    early = served.answer(again, **filled, approval_request_id=which)
    assert early["code"] == "quorum_incomplete", early
    decided = served.answer(APPROVE, approval_request_id=which, finance_ops_token=finance)
    assert decided["status"] == "approved", decided
    adjusted = served.answer(again, **filled, approval_request_id=which)
    assert (adjusted["eventType"], adjusted["amount"]) == ("adjust", 20_000), adjusted
    alice.refresh_from_db()
    assert alice.points_balance == 20_600
    twice = served.answer(again, **filled, approval_request_id=which)
    assert twice["code"] == "already_consumed", twice
    verbs = list(Entry.objects.filter(verb__startswith="points.adjust").values_list("verb", flat=True))
    assert len(verbs) == 2, verbs


def test_a_budget_is_increased(served: Shell, program: Program, token: Callable[..., str]) -> None:
    """Runbook 4: an increase is asked for; nothing changes before finance has agreed."""
    marketing, finance = token("ops_marketing"), token("finance_ops")
    filled = {"program_id": program.pk, "ops_marketing_token": marketing}
    increase = INCREASE.replace("100000", "2000000")  # the program of the tests has a million already
    asked = served.answer(increase, **filled)
    assert (asked["status"], set(asked["requiredRoles"])) == ("approval_required", {"finance_ops", "ops_marketing"})
    served.answer(APPROVE, approval_request_id=asked["approvalRequestId"], finance_ops_token=finance)
    program.refresh_from_db()
    assert program.budget_limit == 1_000_000
    brought = increase.replace(
        '  -H "Content', f'  -H "X-Approval-Request-Id: {asked["approvalRequestId"]}" \\\n  -H "Content'
    )
    changed = served.answer(brought, **filled)
    assert Decimal(changed["budgetLimit"]) == 2_000_000, changed
    lower = served.answer(INCREASE, **filled)
    assert Decimal(lower["budgetLimit"]) == 100_000, lower  # what lowers it is nobody else's to agree to


def test_slow_doors(served: Shell, program: Program, token: Callable[..., str]) -> None:
    """Runbook 8: each door is timed."""
    served.answer(ASK_TO_SUSPEND, program_id=program.pk, finance_ops_token=token("finance_ops"))
    told = seen(served, LATENCY)
    assert any(line.startswith("loyalty_api_latency_seconds_bucket{") for line in told)
    suspend = 'method="POST",route="api/programs/<uuid:program_id>/suspend"'
    assert any(line.startswith(f"loyalty_api_latency_seconds_count{{{suspend}}}") for line in told), told


def test_the_slowest_doors(served: Shell, program: Program, token: Callable[..., str], tmp_path: Path) -> None:
    """Runbook 8: Prometheus names them, by the rules we ship."""
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        pytest.skip("needs prometheus (Debian: prometheus)")
    port = free_port()
    console = served.environment["CONSOLE"].removeprefix("http://")
    (tmp_path / "opsconsole.rules.yml").write_text(RULES.read_text())
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [opsconsole.rules.yml]\n"
        f"scrape_configs: [{{job_name: opsconsole, static_configs: [{{targets: ['{console}']}}]}}]\n"
    )
    served.environment["PROMETHEUS"] = f"http://127.0.0.1:{port}"
    command = (prometheus, "--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{port}")
    with running(*command, f"--storage.tsdb.path={tmp_path / 'tsdb'}", cwd=tmp_path, log=tmp_path / "prometheus.log"):

        def slowest() -> list[dict[str, Any]]:
            served.answer(ASK_TO_SUSPEND, program_id=program.pk, finance_ops_token=token("finance_ops"))
            done = served.run(SLOWEST)
            if done.returncode or not done.stdout.startswith("{"):  # it is still starting, and says so in words
                return []
            found = json.loads(done.stdout)["data"]["result"]
            return [one for one in found if one["value"][1] != "NaN"]

        found = wait_for("the slowest doors", slowest)
    assert 1 <= len(found) <= 5
    assert "api/programs/<uuid:program_id>/suspend" in {one["metric"]["route"] for one in found}
