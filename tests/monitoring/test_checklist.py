"""The daily checklist and the compliance export: what the system finds, what a person says, and what is kept."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.files.base import ContentFile
from django.db import connection

from opsconsole.core.actors import SYSTEM
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.core.storage import artifacts
from opsconsole.journal.keys import trusted
from opsconsole.journal.models import Entry
from opsconsole.journal.record import Subject, record
from opsconsole.journal.services import record_export, seal
from opsconsole.monitoring import checklist, compliance, jobs
from opsconsole.monitoring.models import Check, Incident
from opsconsole.monitoring.services.incidents import resolve_incident
from tests.conftest import superuser_dsn
from tests.embedded.acting import ROOT
from tests.plans.conftest import draft, world
from tests.sandbox_bank.process import bank, shared_bank

__all__ = ["bank", "draft", "shared_bank", "world"]

pytestmark = pytest.mark.django_db(transaction=True)


@operation
def write(*, count: int, actor: Any) -> None:
    for number in range(count):
        record(actor, "test.written", Subject("test", str(number)))


@operation
def tell(*, topic: str, plan: str, actor: Any) -> None:
    emit(topic, kind="plan", id=plan, data={"name": "August"})


def superuser(statement: str, *values: Any) -> None:
    """What no role of the console may do: make yesterday's rows."""
    with psycopg.connect(superuser_dsn(connection.settings_dict["NAME"]), autocommit=True) as db:
        db.execute("set session_replication_role = replica")
        db.execute(statement, values)


def verdict(name: str) -> str:
    item = checklist.item_named(name)
    assert item is not None
    assert item.evaluate is not None
    return item.evaluate().verdict.value


def test_a_plan_that_waits_for_a_day_is_named(draft: Any) -> None:
    plan = draft()
    assert verdict("plans_waiting") == "good"
    superuser("update ops_plans set created_at = now() - interval '25 hours'")

    finding = checklist.ITEMS[0].evaluate()
    assert (finding.verdict.value, finding.figures) == ("bad", {"waiting": 1})
    assert finding.rows == [{"kind": "ops_plans", "id": str(plan.pk), "name": plan.name}]


def test_a_failed_plan_is_reviewed_when_its_incident_says_what_it_was(person: Any) -> None:
    assert verdict("failed_plans") == "good"
    tell(topic="plan.failed", plan="0199", actor=SYSTEM("test"))
    tell(topic="plan.succeeded", plan="0200", actor=SYSTEM("test"))
    from opsconsole.core.jobs import sweep_outbox  # noqa: PLC0415

    sweep_outbox()
    incident = Incident.objects.get()
    assert (incident.title, incident.subject_id, incident.severity) == ("The plan August failed", "0199", "critical")
    assert incident.subject_kind == "ops_plans"
    assert verdict("failed_plans") == "bad"

    resolve_incident(incident_id=incident.pk, conclusion="the bank's certificate", actor=person("ops"))
    assert verdict("failed_plans") == "good"


def test_the_system_notes_what_it_finds_and_journals_what_changes(draft: Any) -> None:
    assert jobs.evaluate_checklist() == 4
    assert jobs.evaluate_checklist() == 0
    draft()
    superuser("update ops_plans set created_at = now() - interval '25 hours'")
    assert jobs.evaluate_checklist() == 1

    check = Check.objects.get(item="plans_waiting")
    assert check.verdict == "bad"
    entries = Entry.objects.filter(verb="check.evaluated", subject_id=str(check.pk)).order_by("seq")
    assert [entry.content["after"]["verdict"] for entry in entries] == ["good", "bad"]


def test_a_person_ticks_what_only_people_can_judge(api: Any) -> None:
    said = {"in_order": True, "note": "no gaps"}
    ticked = api("finance_ops").post("/api/checklists/daily/metrics_checked", said)
    assert (ticked.status_code, ticked.json()["verdict"]) == (200, "good")
    assert ticked.json()["ticked_by"] == "finance_ops"
    items = {one["item"]: one for one in api("auditor").get("/api/checklists/daily").json()}
    assert items.keys() == {item.name for item in checklist.ITEMS}
    assert (items["metrics_checked"]["verdict"], items["metrics_checked"]["note"]) == ("good", "no gaps")
    assert items["queue_depth"]["by"] == "system"


@pytest.mark.parametrize(
    ("who", "item", "body", "status"),
    [
        ("ops", "queue_depth", {"in_order": True, "note": "x"}, 422),
        ("ops", "no_such_item", {"in_order": True, "note": "x"}, 404),
        ("ops", "metrics_checked", {"in_order": True, "note": " "}, 400),
        ("auditor", "metrics_checked", {"in_order": True, "note": "x"}, 403),
        ("dev", "metrics_checked", {"in_order": True, "note": "x"}, 403),
    ],
)
def test_a_refused_tick_changes_nothing(api: Any, who: str, item: str, body: dict[str, Any], status: int) -> None:
    client, before = api(who), Entry.objects.count()
    assert client.post(f"/api/checklists/daily/{item}", body).status_code == status
    assert (Check.objects.count(), Entry.objects.count()) == (0, before)


def test_a_day_that_is_over_is_exported_once_with_a_proof_that_verifies_offline(
    tmp_path: Path, monkeypatch: Any, person: Any
) -> None:
    write(count=5, actor=SYSTEM("test"))
    while seal(actor=SYSTEM("sealer")):
        pass
    today = datetime.now(tz=UTC).date()

    class Tomorrow(datetime):
        """The clock of the day after."""

        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz=tz) + timedelta(days=1)

    monkeypatch.setattr(compliance, "datetime", Tomorrow)
    artifacts().delete(compliance.name_of(today))
    stale = artifacts().save(compliance.name_of(today), ContentFile(b"what a killed export left"))
    assert jobs.export_for_compliance() == 1
    record_export(since=None, until=None, form="csv", entries=1, actor=person("auditor"))
    assert jobs.export_for_compliance() == 0
    assert artifacts().open(stale).read() == b"what a killed export left"

    entry = Entry.objects.get(verb="journal.exported", actor_id="system:compliance-export")
    facts = entry.content["after"]
    assert facts["file"].startswith(f"compliance/journal-{today.isoformat()}_")
    stored = artifacts().open(facts["file"]).read()
    assert hashlib.sha256(stored).hexdigest() == facts["sha256"]
    *rows, last = stored.decode().splitlines()
    assert len(rows) == facts["entries"] == json.loads(last)["proof"]["entries"]
    assert json.loads(last)["proof"]["unsealed"] == 0
    file = tmp_path / "day.jsonl"
    file.write_bytes(stored)
    keys = [f"--key={key}" for key in trusted()]
    command = [sys.executable, ROOT / "tools" / "verify_journal.py", "export", file, *keys]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr


def test_a_day_with_entries_that_are_not_sealed_waits(monkeypatch: Any) -> None:
    write(count=1, actor=SYSTEM("test"))
    while seal(actor=SYSTEM("sealer")):
        pass
    write(count=1, actor=SYSTEM("test"))

    class Tomorrow(datetime):
        """The clock of the day after."""

        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz=tz) + timedelta(days=1)

    monkeypatch.setattr(compliance, "datetime", Tomorrow)
    assert jobs.export_for_compliance() == 0
    assert not Entry.objects.filter(verb="journal.exported").exists()
