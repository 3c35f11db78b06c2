"""Stopping from the command line: a shell may freeze; whatever else there is takes a user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from loyalty import access
from loyalty.models import Balance, Program
from opsconsole.core.actors import shell_actor
from opsconsole.core.errors import Denied
from opsconsole.core.tokens import create_token
from opsconsole.journal.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def type_in(
    person: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: Any,
    tmp_path: Any,
) -> Callable[..., tuple[int, str]]:  # fmt: skip
    """Run a command, at the shell or as somebody: `type_in("loyalty_freeze", "alice", as_user="ops")`."""
    settings.VAR = tmp_path  # no demo tokens

    def run(*words: str, as_user: str = "") -> tuple[int, str]:
        monkeypatch.delenv("OPSCONSOLE_TOKEN", raising=False)
        if as_user:
            monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(person(as_user).user))
        status: Any = 0
        try:
            call_command(*words, *(["--as", as_user] if as_user else []))
        except SystemExit as ended:
            status = ended.code
        told = capsys.readouterr()
        return int(status or 0), told.out + told.err

    return run


def test_a_flag_that_is_none_freezes_nobody(
    member: Callable[..., Balance], type_in: Callable[..., tuple[int, str]]
) -> None:
    alice = member("alice", 500)
    about = ("alice", "--program", "Club", "--reason", "fraud alert")
    for flag in ("x" * 101, "  "):
        code, told = type_in("loyalty_freeze", *about, "--flag", flag)
        assert (code, "points_invalid: A flag is 1 to 100 characters." in told) == (1, True)
    alice.refresh_from_db()
    assert (alice.is_frozen, alice.fraud_flags) == (False, [])
    assert not Entry.objects.filter(verb="member.frozen").exists()


def test_a_shell_freezes_and_nothing_else(
    member: Callable[..., Balance], type_in: Callable[..., tuple[int, str]], program: Program
) -> None:
    alice = member("alice", 500)
    about = ("alice", "--program", "Club", "--reason", "fraud alert")
    code, told = type_in("loyalty_freeze", *about, "--lock")
    assert (code, "alice of Club is frozen: 500 points, 500 locked" in told) == (0, True)
    alice.refresh_from_db()
    assert (alice.is_frozen, alice.locked) == (True, 500)
    assert alice.fraud_flags == [f"emergency_freeze_{timezone.now():%Y-%m-%d}"]
    entry = Entry.objects.get(verb="member.frozen")
    assert (entry.actor_kind, entry.actor_name.startswith("shell:")) == ("shell", True)
    for words in (
        ("loyalty_unfreeze", *about),
        ("loyalty_suspend", "Club", "--reason", "x"),
        ("loyalty_issue_vouchers", "--program", "Club", "--name", "x", "--points", "1", "--count", "1"),
    ):
        code, told = type_in(*words)
        assert (code, "denied: " in told) == (1, True)
    assert type_in("loyalty_freeze", "nobody", *about[1:])[0] == 1
    assert type_in("loyalty_freeze", "alice", "--program", "Moon", "--reason", "x")[0] == 1
    with pytest.raises(Denied):
        access.program_to_use(shell_actor(), program.pk, "loyalty.earn_points")


def test_unfreezing_takes_a_user(member: Callable[..., Balance], type_in: Callable[..., tuple[int, str]]) -> None:
    alice = member("alice", 500)
    about = ("alice", "--program", str(alice.program_id), "--reason", "checked")
    assert type_in("loyalty_freeze", *about, as_user="ops")[0] == 0
    code, told = type_in("loyalty_unfreeze", *about, as_user="ops_marketing")
    assert (code, "denied: " in told) == (1, True)
    assert type_in("loyalty_unfreeze", *about, "--unlock", as_user="risk_manager")[0] == 0
    alice.refresh_from_db()
    assert not alice.is_frozen


def test_suspending_takes_two_teams(
    program: Program, type_in: Callable[..., tuple[int, str]], api: Callable[..., Any]
) -> None:
    suspend = ("loyalty_suspend", "Club", "--reason", "fraud spike")
    code, told = type_in(*suspend, as_user="ops_marketing")
    request = told.splitlines()[0]
    assert (code, "ops_marketing, finance_ops have to agree" in told) == (0, True)
    assert told.splitlines()[-1] == (
        f"manage.py loyalty_suspend {program.pk} --reason 'fraud spike' --approval {request} --as ops_marketing"
    )
    program.refresh_from_db()
    assert program.status == "active"
    assert type_in(*suspend, "--approval", request, as_user="ops_marketing")[0] == 1
    assert api("finance_ops").post(f"/api/approvals/{request}/approve", {"approved": True}).status_code == 200
    code, told = type_in(*suspend, "--approval", request, as_user="ops_marketing")
    assert (code, told.strip()) == (0, "Club is suspended.")
