"""`manage.py demo`: the whole story in the terminal, on a console that runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from opsconsole.journal.models import Entry
from tests.api.servers import ROOT, Command, Web
from tests.sandbox_bank.process import BankProcess
from tests.world import counts

SANDBOX_IBAN = "DE36100100100000000001"


def test_the_demo_plays(
    web: Web, bank: BankProcess, worker: Command, console_environment: dict[str, str], tmp_path: Path
) -> None:
    env = console_environment | {"OPS_VAR": str(tmp_path), "OPS_DEMO": "1", "COLUMNS": "200"}
    bank.open_account(SANDBOX_IBAN, "EUR", "1100000000.00")

    def manage(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, ROOT / "manage.py", *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)

    seeded = manage("seed_demo", "--bank-url", bank.base_url)
    assert seeded.returncode == 0, seeded.stderr
    with Command(tmp_path, env, "scheduler"):  # it seals the journal, which the story proves an entry of
        played = manage("demo", "--url", web.url, "--total", "20000")
    told = played.stderr + played.stdout
    assert played.returncode == 0, told
    for line in ("refused", "signed with an Ed25519 key", "the same both times", "run.succeeded", "recalled"):
        assert line in told, f"{line!r} is not in the story:\n{told}"
    assert counts("ops_plans") == {"rolled_back": 1}
    assert counts("ops_plan_runs", "direction") == {"execute": 1, "rollback": 1}
    assert {payment["status"] for payment in bank.payments()} == {"recalled"}
    assert not Entry.objects.filter(verb="direct_sql").exists()


def test_without_a_console_it_says_so(console_environment: dict[str, str], tmp_path: Path, db: None) -> None:
    env = console_environment | {"OPS_VAR": str(tmp_path)}
    command = [sys.executable, ROOT / "manage.py", "demo"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "make up" in ended.stderr
