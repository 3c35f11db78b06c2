"""The alert rules: right by promtool, about metrics that exist, and fired by a real Prometheus on a real console."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from rq import Queue

from opsconsole.core import metrics, queue
from opsconsole.monitoring.models import Incident
from opsconsole.plans.models import Run
from tests.conftest import superuser_dsn
from tests.embedded.acting import ROOT
from tests.plans.conftest import approved, draft, world
from tests.sandbox_bank.process import bank, shared_bank

__all__ = ["approved", "bank", "draft", "shared_bank", "world"]

RULES = ROOT / "deploy" / "prometheus" / "opsconsole.rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "opsconsole.json"
# Told by the clients of Prometheus and Django, not by us.
OTHERS = re.compile(r"^(up|ops_metric_errors|django_http_.*|loyalty_api_latency_seconds(_.*)?)$")
METRIC = re.compile(r"\b((?:ops|django|loyalty)_[a-z_]+[a-z])\b")


@pytest.fixture
def program() -> Callable[[str], str]:
    """The path of a program of Debian's prometheus or prometheus-alertmanager."""

    def find(name: str) -> str:
        return shutil.which(name) or pytest.skip(f"needs {name} (Debian: prometheus, prometheus-alertmanager)")

    return find


def told() -> set[str]:
    """Every name under which a fact appears."""
    names = set()
    for fact in metrics.registered():
        names |= {f"{fact.name}_sum", f"{fact.name}_count"} if fact.kind == "summary" else {fact.name}
    return names


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(*command: str, cwd: Path, log: Path) -> Iterator[None]:
    """A process that is gone afterwards."""
    with log.open("wb") as out, subprocess.Popen(command, cwd=cwd, stdout=out, stderr=out) as process:
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def until(found: Callable[[], Any], what: str, *, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)
    return value


def test_the_rules_hold_what_their_own_tests_say(program: Callable[[str], str]) -> None:
    promtool = program("promtool")
    for command in (["check", "rules", RULES.name], ["test", "rules", "opsconsole.rules.test.yml"]):
        checked = subprocess.run(
            [promtool, *command], cwd=RULES.parent, capture_output=True, text=True, check=False, timeout=60
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_is_tested() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    tested = set(re.findall(r"alertname: (\w+)", (RULES.parent / "opsconsole.rules.test.yml").read_text()))
    assert alerts == tested


@pytest.mark.parametrize("path", [RULES, DASHBOARD], ids=lambda path: path.name)
def test_rules_and_dashboard_speak_of_metrics_that_exist(path: Path) -> None:
    if path == DASHBOARD:
        targets = [one for panel in json.loads(path.read_text())["panels"] for one in panel.get("targets", ())]
        expressions = " ".join(target["expr"] for target in targets)
    else:
        expressions = " ".join(re.findall(r"expr: (.*)", path.read_text()))
    named = {name for name in METRIC.findall(expressions) if not OTHERS.match(name)}
    assert named
    assert named - told() == set()


def shortened(rules: str) -> str:
    """The same rules for a test that cannot wait: only how long things must last is another."""
    return re.sub(r"for: \d+[mh]", "for: 1s", rules).replace("[10m]", "[30s]")


@pytest.mark.django_db(transaction=True)
def test_prometheus_and_alertmanager_open_incidents(
    request: pytest.FixtureRequest,
    program: Callable[[str], str],
    tmp_path: Path,
    live_server: Any,
    world: Any,
    approved: Any,
    draft: Any,
    person: Any,
) -> None:
    """Of a first failure, of approvals that wait, of a stuck run and of a full queue; each with its link."""
    from opsconsole.plans.services import execution, staging  # noqa: PLC0415

    prometheus, alertmanager = program("prometheus"), program("prometheus-alertmanager")
    ops, finance = person("ops"), person("finance_ops")
    failing = execution.execute_plan(plan_id=approved("fails", total="500").pk, actor=finance)
    stuck = execution.execute_plan(plan_id=approved("hangs", total="500").pk, actor=finance)
    staging.stage_plan(plan_id=draft("waits", total="500").pk, actor=ops)

    ports = {"prometheus": free_port(), "alertmanager": free_port(), "cluster": free_port()}
    console = live_server.url.removeprefix("http://")
    (tmp_path / "opsconsole.rules.yml").write_text(shortened(RULES.read_text()))
    (tmp_path / "prometheus.yml").write_text(
        f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [opsconsole.rules.yml]
alerting:
  alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{ports["alertmanager"]}']}}]}}]
scrape_configs:
  - job_name: opsconsole
    static_configs: [{{targets: ['{console}']}}]
"""
    )
    example = (ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text()
    (tmp_path / "token").write_text(settings.ALERTMANAGER_TOKEN)
    (tmp_path / "alertmanager.yml").write_text(
        example.replace("http://localhost:8000", live_server.url)
        .replace("/etc/alertmanager/opsconsole.token", str(tmp_path / "token"))
        .replace("group_wait: 10s", "group_wait: 1s")
        .replace("group_interval: 1m", "group_interval: 1s")
    )
    started = (
        prometheus,
        "--config.file=prometheus.yml",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
        "--log.level=warn",
    )
    routed = (
        alertmanager,
        "--config.file=alertmanager.yml",
        f"--storage.path={tmp_path / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{ports['alertmanager']}",
        f"--web.external-url=http://127.0.0.1:{ports['alertmanager']}",
        f"--cluster.listen-address=127.0.0.1:{ports['cluster']}",
    )
    with (
        running(*routed, cwd=tmp_path, log=tmp_path / "alertmanager.log"),
        running(*started, cwd=tmp_path, log=tmp_path / "prometheus.log"),
    ):
        asked = (
            f"http://127.0.0.1:{ports['prometheus']}/api/v1/query?query=ops_plan_runs_total%7Bstatus%3D%22failed%22%7D"
        )
        until(lambda: _values(asked), "Prometheus has scraped a failure count of zero")
        assert _values(asked) == ["0"]
        assert not Incident.objects.filter(title="Ops plan execution failed").exists()

        # The runbook's own statement, and what a person finds in the worst hour.
        with psycopg.connect(superuser_dsn(connection.settings_dict["NAME"]), autocommit=True) as db:
            db.execute("update ops_plan_runs set status = 'running' where id = %s", [failing.pk])
            db.execute("update ops_plan_runs set status = 'failed' where id = %s and status = 'running'", [failing.pk])
            db.execute("update ops_plan_runs set deadline_at = now() - interval '1 hour' where id = %s", [stuck.pk])
            db.execute("update ops_plans set staged_at = now() - interval '25 hours' where status = 'staged'")
        for number in range(5):
            assert queue.enqueue("opsconsole.plans.jobs.execute_run", str(number), queue="sandbox")
        request.addfinalizer(Queue("sandbox", connection=queue.redis_connection()).empty)
        wanted = {
            "Ops plan execution failed",
            "An approval has waited for more than 24 hours",
            "A run is past its deadline",
            "Wake-ups pile up in a queue",
        }
        until(lambda: wanted <= set(Incident.objects.values_list("title", flat=True)), "incidents of all four alerts")

    assert Run.objects.get(pk=failing.pk).status == "failed"
    failed = Incident.objects.get(title="Ops plan execution failed")
    assert (failed.severity, failed.status) == ("critical", "open")
    assert failed.details["links"]["runbook"] == "/admin/plans/run/?status__exact=failed"
    assert failed.details["links"]["alertmanager"] == f"http://127.0.0.1:{ports['alertmanager']}"
    queued = Incident.objects.get(title="Wake-ups pile up in a queue")
    assert "sandbox" in {alert.labels["queue"] for alert in queued.alerts.all()}


def _values(address: str) -> list[str]:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return [one["value"][1] for one in json.load(answer)["data"]["result"]]
    except OSError:
        return []
