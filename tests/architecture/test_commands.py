"""Every management command has a test, named here."""

from __future__ import annotations

import re
from pathlib import Path

from tests.architecture.source import PACKAGES, ROOT

# Command -> the file that tests it.
TESTED = {
    "backup": "tests/backups/test_command.py",
    "dburl": "tests/embedded/test_manage.py",
    "create_first_people": "tests/identity/test_entering.py",
    "demo": "tests/stories/test_demo.py",
    "import_bank_file": "tests/treasury/bank_files/test_command.py",
    "import_payouts": "tests/treasury/test_imports.py",
    "invite": "tests/identity/test_entering.py",
    "issue_token": "tests/core/test_commands.py",
    "journal": "tests/journal/test_exports.py",
    "migrate": "tests/core/test_people.py",
    "loyalty_evaluate_tiers": "tests/loyalty/test_tiers.py",
    "loyalty_expire_points": "tests/loyalty/test_expiry.py",
    "loyalty_freeze": "tests/loyalty/test_emergency.py",
    "loyalty_import_purchases": "tests/loyalty/test_import.py",
    "loyalty_issue_vouchers": "tests/loyalty/test_vouchers.py",
    "loyalty_ledger_verify": "tests/loyalty/test_reconcile.py",
    "loyalty_reconcile": "tests/loyalty/test_reconcile.py",
    "loyalty_suspend": "tests/loyalty/test_emergency.py",
    "loyalty_unfreeze": "tests/loyalty/test_emergency.py",
    "offboard": "tests/identity/test_offboarding.py",
    "notify_test": "tests/notifications/test_doors.py",
    "plan_evidence": "tests/plans/test_evidence.py",
    "plan_force_fail": "tests/plans/test_force_fail.py",
    "reset_second_factor": "tests/identity/test_second_factor.py",
    "rotate_field_keys": "tests/core/test_secrets.py",
    "scheduler": "tests/api/test_outages.py",
    "seed_demo": "tests/treasury/test_seed_demo.py",
    "up": "tests/embedded/test_up.py",
    "worker": "tests/api/test_outages.py",
    "write_docs": "tests/architecture/test_docs.py",
}


def files() -> list[Path]:
    """The file of every command of the product."""
    found = [path for package in PACKAGES for path in package.glob("**/management/commands/*.py")]
    return [path for path in found if path.stem != "__init__"]


def commands() -> set[str]:
    """Every command of the product."""
    return {path.stem for path in files()}


def test_every_command_is_in_the_table_and_no_other() -> None:
    assert sorted(commands() - TESTED.keys()) == [], "has no test in tests/architecture/test_commands.py"
    assert sorted(TESTED.keys() - commands()) == [], "there is no such command"


def test_every_file_of_the_table_uses_its_command() -> None:
    for command, file in TESTED.items():
        path = ROOT / file
        assert path.exists(), f"{command}: {file} is not there"
        assert re.search(rf"""["']{command}["']""", path.read_text()), f"{file} does not use {command}"


def test_every_command_says_what_it_does() -> None:
    for path in files():
        if path.stem != "migrate":  # Django's, as another role
            assert re.search(r"\bhelp = ", path.read_text()), path
