"""Evidence: what we pack the offline verifier believes; what anybody alters in it, it does not."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command
from rest_framework.test import APIClient

from opsconsole.approvals.selectors import text_to_sign
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied, NotFound
from opsconsole.core.tokens import create_token
from opsconsole.journal import keys
from opsconsole.journal.errors import NoCheckpoint
from opsconsole.journal.models import Entry
from opsconsole.journal.notes import Signer
from opsconsole.plans import evidence, jobs
from opsconsole.plans.admin.rows import latest_request
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import decisions, drafts, execution, staging
from tests.approvals.conftest import pen_of
from tests.journal.conftest import TOOL, seal_all
from tests.plans.lamps import Lamps, drafted, lamps, staged
from tests.plans.test_break_glass import smash
from tests.world import TESTER, World, route_through

__all__ = ["lamps"]

pytestmark = pytest.mark.django_db(transaction=True)
People = Callable[..., Actor]
MakeLamps = Callable[..., Lamps]


def verify(path: Path, key: str = "") -> subprocess.CompletedProcess[str]:
    """Run the verifier as an auditor would: elsewhere, with nothing of ours but the script."""
    return subprocess.run(
        [sys.executable, "-I", str(TOOL), "evidence", str(path), "--key", key or str(keys.signer().verifier)],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip


def pack_of(plan: Plan, actor: Actor, folder: Path) -> Path:
    """The pack on disk."""
    path = folder / "pack.zip"
    with evidence.export(plan_id=plan.pk, actor=actor).file as file:
        path.write_bytes(file.read())
    return path


@pytest.fixture
def done(lamps: MakeLamps, person: People) -> Plan:
    """A plan that was drafted twice, approved with a signature, executed and rolled back."""
    lamps()
    plan = staged(person("ops"), "red", "green", "blue")
    drafts.edit_plan(plan_id=plan.pk, changes={"name": "Light two"}, actor=person("ops"), back_to_draft=True)
    plan = staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    signer = person("pay_admin")
    request = latest_request(plan)
    assert request is not None
    signature = pen_of(signer).sign(text_to_sign(request, signer))
    decisions.approve_plan(plan_id=plan.pk, signature=signature, comment="seen", actor=signer)
    run = execution.execute_plan(plan_id=plan.pk, actor=person("ops"))
    jobs.execute_run(str(run.pk))
    back = execution.roll_back_plan(plan_id=plan.pk, actor=person("ops"))
    jobs.execute_run(str(back.pk))
    seal_all()
    plan.refresh_from_db()
    return plan


def test_it_proves_itself_offline(done: Plan, person: People, tmp_path: Path) -> None:
    path = pack_of(done, person("auditor"), tmp_path)
    result = verify(path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "plan lamps-1 (rolled_back): 6 steps, 1 signatures and 0 files agree with its journal" in result.stdout
    with zipfile.ZipFile(path) as pack:
        assert hashlib.sha256(pack.read("content.json")).hexdigest() == done.digest
        requests = [json.loads(line) for line in pack.read("requests.jsonl").splitlines()]
        assert [request["status"] for request in requests] == ["void", "consumed"]
        steps = [json.loads(line) for line in pack.read("steps.jsonl").splitlines()]
        assert {(step["revision"], step["direction"], step["status"]) for step in steps} == {
            (1, "execute", "skipped"), (2, "execute", "succeeded"), (2, "rollback", "succeeded"),
        }  # fmt: skip
        assert "python verify_journal.py evidence" in pack.read("README.txt").decode()
        assert pack.read("verify_journal.py") == TOOL.read_bytes()
        assert set(json.loads(pack.read("manifest.json"))["files"]) == set(pack.namelist()) - {"manifest.json"}
    entry = Entry.objects.filter(verb="plan.evidence_exported").latest("seq").content
    assert entry["after"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_foreign_key_does_not_do(done: Plan, person: People, tmp_path: Path) -> None:
    path = pack_of(done, person("auditor"), tmp_path)
    foreign = Signer(keys.signer().name, Ed25519PrivateKey.generate()).verifier
    result = verify(path, str(foreign))
    assert result.returncode == 1
    assert "not signed by the key given" in result.stdout


def lines(raw: bytes, change: Callable[[dict[str, Any]], Any], nth: int = 0) -> bytes:
    """A JSONL file with one of its objects changed."""
    rows = [json.loads(line) for line in raw.splitlines()]
    change(rows[nth])
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def only(raw: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """A JSON file, changed."""
    value = json.loads(raw)
    change(value)
    return json.dumps(value).encode()


def decision(row: dict[str, Any]) -> dict[str, Any]:
    """The one verdict of a request."""
    found: dict[str, Any] = row["decisions"][0]
    return found


ALTERATIONS: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "what was approved": (
        "content.json", lambda raw: raw.replace(b"Light two", b"Light ten"), "does not have the digest",
    ),
    "the digest too": ("plan.json", lambda raw: only(raw, lambda v: v.update(digest="0" * 64)), "digest of the plan"),
    "a staged step": ("staged-steps.jsonl", lambda raw: raw.replace(b"red", b"pink"), "staged steps are not"),
    "who approved": (
        "requests.jsonl",
        lambda raw: lines(raw, lambda row: decision(row).update(id="x"), 1),
        "does not have the verdict",
    ),
    "a signature": (
        "requests.jsonl",
        lambda raw: lines(raw, lambda row: decision(row).update(signature="A" * 86 + "=="), 1),
        "does not have the verdict",
    ),
    "a public key": (
        "requests.jsonl",
        lambda raw: lines(
            raw,
            lambda row: decision(row)["signer_key"].update(
                pem="-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                "-----END PUBLIC KEY-----\n"
            ),
            1,
        ),
        "does not have its fingerprint",
    ),
    "the content of a request": (
        "requests.jsonl",
        lambda raw: lines(raw, lambda row: row["content"].update(name="Other"), 0),
        "does not have its digest",
    ),
    "the outcome of a step": (
        "steps.jsonl", lambda raw: lines(raw, lambda row: row.update(status="failed"), 4), "the journal says succeeded",
    ),
    "a step left out": (
        "steps.jsonl",
        lambda raw: b"".join(raw.splitlines(keepends=True)[:-1]),
        "of which the journal tells, is missing",
    ),
    "an entry of the journal": (
        "journal.jsonl",
        lambda raw: lines(raw, lambda row: row.update(body=row["body"].replace("verb", "word")), 5),
        "is not the one that was signed",
    ),
    "an entry left out": (
        "journal.jsonl", lambda raw: b"".join(raw.splitlines(keepends=True)[1:]), "entries",
    ),
    "break-glass that nobody broke": (
        "break-glass.jsonl",
        lambda _raw: b'{"incident": "INC-1", "digest": "0"}\n',
        "does not know of break-glass",
    ),
    "a file that nobody sent": (
        "artifacts.jsonl",
        lambda _raw: b'{"name": "a.xml", "sha256": "00"}\n',
        "is not a file that the journal says was sent",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(ALTERATIONS))
def test_what_is_altered_is_not_believed(done: Plan, person: People, tmp_path: Path, what: str) -> None:
    """With a manifest that fits: whoever alters a file alters that too."""
    name, alter, told = ALTERATIONS[what]
    path = pack_of(done, person("auditor"), tmp_path)
    with zipfile.ZipFile(path) as pack:
        files = {file: pack.read(file) for file in pack.namelist()}
    altered = alter(files[name])
    assert altered != files[name]
    files[name] = altered
    manifest = json.loads(files["manifest.json"])
    manifest["files"][name] = {"sha256": hashlib.sha256(altered).hexdigest(), "size": len(altered)}
    for honest in (True, False):
        if not honest:
            files["manifest.json"] = json.dumps(manifest).encode()
        forged = tmp_path / f"forged-{honest}.zip"
        with zipfile.ZipFile(forged, "w") as pack:
            for file, content in files.items():
                pack.writestr(file, content)
        result = verify(forged)
        assert result.returncode == 1, result.stdout
        assert ("what the manifest says" if honest else told) in result.stdout


def test_a_torn_or_foreign_file_is_a_sentence_and_not_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    for content in (b"", b"PK\x03\x04nonsense", b"{}"):
        path.write_bytes(content)
        result = verify(path)
        assert (result.returncode, result.stderr) == (1, "")
    with zipfile.ZipFile(path, "w") as pack:
        pack.writestr("plan.json", "[]")
    assert verify(path).returncode == 1


def test_break_glass_and_its_review_are_in_it(lamps: MakeLamps, person: People, tmp_path: Path) -> None:
    lamps()
    plan = staged(person("ops"))
    jobs.execute_run(str(smash(plan, person("ops")).pk))
    seal_all()
    path = pack_of(plan, person("auditor"), tmp_path)
    assert verify(path).returncode == 0, verify(path).stdout
    with zipfile.ZipFile(path) as pack:
        assert json.loads(pack.read("break-glass.jsonl"))["broken_by"] == "ops"
        assert json.loads(pack.read("reviews.jsonl"))["status"] == "open"


def test_a_draft_has_evidence_too(lamps: MakeLamps, person: People, tmp_path: Path) -> None:
    lamps()
    plan = drafted(person("ops"))
    actor = person("auditor")
    with pytest.raises(NoCheckpoint):
        evidence.export(plan_id=plan.pk, actor=actor)
    seal_all()
    assert verify(pack_of(plan, actor, tmp_path)).returncode == 0


def test_one_made_too_early_says_so(lamps: MakeLamps, person: People, tmp_path: Path) -> None:
    lamps()
    plan = staged(person("ops"))
    seal_all()
    jobs.execute_run(str(smash(plan, person("ops")).pk))
    result = verify(pack_of(plan, person("auditor"), tmp_path))
    assert result.returncode == 1
    assert "have it made again" in result.stdout


def test_only_for_those_who_may(done: Plan, person: People) -> None:
    before = Entry.objects.count()
    with pytest.raises(Denied):
        evidence.export(plan_id=done.pk, actor=person("ops"))
    with pytest.raises(NotFound):
        evidence.export(plan_id=done.pk, actor=person("dev"))
    assert Entry.objects.count() == before


def test_by_command_and_over_http(
    done: Plan, person: People, api: Callable[..., APIClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.zip"
    monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(person("auditor").user))
    out = io.StringIO()
    call_command("plan_evidence", done.external_id, out=path, as_user="auditor", stdout=out)
    assert "journal entries" in out.getvalue()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in out.getvalue()
    seal_all()
    assert verify(path).returncode == 0
    url = f"/api/ops/plans/{done.pk}/evidence"
    answer = api("auditor").get(url, headers={"Accept": "application/zip"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/zip")
    assert f"evidence-{done.pk}.zip" in answer["Content-Disposition"]
    path.write_bytes(b"".join(answer.streaming_content))
    assert verify(path).returncode == 0
    refused = api("ops").get(url, headers={"Accept": "application/zip"})
    assert (refused.status_code, refused["Content-Type"]) == (403, "application/problem+json")
    assert api("dev").get(url).status_code == 404


def test_the_rendered_files_are_in_it(
    world: World, draft: Callable[..., Plan], person: People, tmp_path: Path, artifacts: Path
) -> None:
    route_through(route=world.route.pk, account=world.iso_account, actor=TESTER)
    plan = draft(total="500")
    staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    for name in ("finance_ops", "pay_admin"):
        decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=person(name))
    run = execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
    assert isinstance(run, Run)
    jobs.execute_run(str(run.pk))
    seal_all()
    path = pack_of(plan, person("auditor"), tmp_path)
    result = verify(path)
    assert result.returncode == 0, result.stdout
    assert "1 files agree" in result.stdout
    with zipfile.ZipFile(path) as pack:
        (told,) = [json.loads(line) for line in pack.read("artifacts.jsonl").splitlines()]
        content = pack.read(told["file"])
    assert hashlib.sha256(content).hexdigest() == told["sha256"]
    assert b"pain.001.001.09" in content
    assert (told["count"], told["bank"]) == (4, "filebank")
    # A file that is gone is said to be gone.
    (laid_out,) = artifacts.glob("banks/filebank/outgoing/*.xml")
    laid_out.unlink()
    again = evidence.export(plan_id=plan.pk, actor=person("auditor"))
    assert again.missing == ["filebank-step-1.pain.001.xml"]
    path.write_bytes(again.file.read())
    assert verify(path).returncode == 0


def test_ten_thousand_steps_take_little_memory(lamps: MakeLamps, person: People) -> None:
    lamps()
    plan = staged(person("ops"), payload={"many": 10_000})
    seal_all()
    tracemalloc.start()
    with evidence.make_pack(plan).file as file:
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        with zipfile.ZipFile(file) as pack:
            assert len(pack.read("steps.jsonl").splitlines()) == 10_000
    assert peak < 24_000_000, f"{peak / 1e6:.1f} MB, {held / 1e6:.1f} held"
