"""Every management command x everybody at a shell, against the table in commands.txt. Refused changes nothing."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.core.roles import ROLES
from opsconsole.core.tokens import create_token
from opsconsole.identity.second_factor import code_at, enrol, new_secret
from opsconsole.journal.models import Checkpoint
from opsconsole.notifications.models import Channel
from opsconsole.plans.models import Run
from tests.access.buttons import NOBODY, PAYOUTS
from tests.access.conftest import EXPIRED, Doors, savepoint
from tests.access.test_matrix import ask
from tests.api.unchanged import fingerprint
from tests.architecture.test_commands import commands, files
from tests.conftest import _make_user
from tests.loyalty.purchases import PURCHASES
from tests.treasury.bank_files.conftest import entry, statement

SHELL = "shell"
WHO = (SHELL, *ROLES, NOBODY, EXPIRED)
REFUSED = {"x": re.compile(r"denied$"), ".": re.compile(r"\w*not_found$")}
# What can only be tried elsewhere, each with its reason.
BY_OTHERS = {
    "backup": "its rows are never committed, so a dump would not have them; tests/backups/test_command.py",
    "create_first_people": "there are people already; tests/identity/test_entering.py",
    "notify_test": "nobody listens behind the channel; tests/notifications/test_doors.py",
}
JOURNAL = ("verify", "seal", "key", "prove", "growth", "export")


def table() -> dict[str, dict[str, str]]:
    """The table: command -> who -> cell; `*` in every cell for one that takes no user."""
    rows: dict[str, dict[str, str]] = {}
    for line in Path(__file__).with_name("commands.txt").read_text().splitlines():
        fields = line.split()
        if not fields or line.startswith((" ", "#")):
            continue
        cells = fields[-len(WHO) :]
        name = " ".join(fields[: -len(WHO)])
        assert name, line
        assert set(cells) <= {"+", *REFUSED} or set(cells) == {"*"}, line
        assert name not in rows, f"{line} stands twice"
        rows[name] = dict(zip(WHO, cells, strict=True))
    return rows


TABLE = table()
PLAYED = sorted(name for name, cells in TABLE.items() if "*" not in cells.values())


def test_the_table_has_every_command_and_no_other() -> None:
    wanted = (commands() - {"journal"}) | {f"journal {task}" for task in JOURNAL}
    assert sorted(wanted - TABLE.keys()) == [], "not in tests/access/commands.txt"
    assert sorted(TABLE.keys() - wanted) == [], "in tests/access/commands.txt only"


def test_a_command_without_a_user_has_none() -> None:
    sources = {path.stem: path.read_text() for path in files()}
    for name in TABLE.keys() - set(PLAYED) - {"journal key"}:
        assert not re.search(r"self\.(actor|_reader)\(", sources[name]), f"{name} asks who it is"
    for name in PLAYED:
        assert re.search(r"self\.(actor|_reader)\(", sources[name.partition(" ")[0]]), f"{name} asks nobody"


@dataclass(frozen=True, slots=True)
class Shell:
    """What is typed after each command, and the token of everybody."""

    words: dict[str, Callable[[Path], list[str]]]
    tokens: dict[str, str]


@pytest.fixture(scope="module")
def shell(doors: Doors, django_db_blocker: Any) -> Iterator[Shell]:
    """On top of the doors: somebody with a second factor, a token of nobody in particular."""
    with django_db_blocker.unblock():
        nobody = _make_user(name=NOBODY, roles=[], actor=SYSTEM("test"))
        newcomer = Actor.of(_make_user(name="newcomer", roles=["ops"], actor=SYSTEM("test")))
        secret = new_secret()
        enrol(secret=secret, code=code_at(secret, timezone.now()), current="", address="192.0.2.1", actor=newcomer)
        plan = "api/ops/plans/<plan_id>"
        run = Run.objects.get(pk=UUID(str(doors.ids[f"{plan}/runs/<run_id>/force-fail"]["run_id"])))
        channel = Channel.objects.get(pk=doors.defaults["channel_id"]).name
        _without_password(name="guest", actor=SYSTEM("test"))
        size = str(Checkpoint.objects.latest("size").size)
        entry_id = str(doors.defaults["entry_id"])
        yield Shell(
            words={
                "create_first_people": lambda _: ["--admin", "a1", "--admin", "a2", "--pay-admin", "p1"],
                "import_bank_file": lambda folder: [_file(folder, "new.xml", statement(entry("NOTPROVIDED", "8.00")))],
                "import_payouts": lambda folder: [_file(folder, "payouts.csv", PAYOUTS.encode())],
                "invite": lambda _: ["guest"],
                "issue_token": lambda _: ["dev"],
                "journal export": lambda folder: ["--out", str(folder / "journal.jsonl")],
                "journal growth": lambda _: [size],
                "journal prove": lambda _: [entry_id],
                "loyalty_evaluate_tiers": lambda _: ["--program", "Club"],
                "loyalty_expire_points": lambda _: ["--program", "Club"],
                "loyalty_import_purchases": lambda folder: [
                    *(_file(folder, "purchases.txt", PURCHASES.encode()), "--program", "Club"),
                ],
                "loyalty_freeze": lambda _: ["alice", "--program", "Club", "--reason", "fraud alert"],
                "loyalty_issue_vouchers": lambda _: [
                    *("--program", "Club", "--name", "New", "--points", "5", "--count", "5"),
                ],
                "loyalty_suspend": lambda _: ["Club", "--reason", "fraud spike"],
                "loyalty_unfreeze": lambda _: ["frozen", "--program", "Club", "--reason", "checked"],
                "notify_test": lambda _: [channel],
                "offboard": lambda _: ["newcomer", "--reason", "left"],
                "plan_evidence": lambda folder: [str(doors.defaults["plan_id"]), "--out", str(folder / "pack.zip")],
                "plan_force_fail": lambda _: [str(run.pk), "--reason", "it hangs"],
                "reset_second_factor": lambda _: ["newcomer", "--reason", "lost"],
            },
            tokens={**doors.tokens, NOBODY: create_token(User.objects.get(pk=nobody.pk))},
        )


@operation
def _without_password(*, name: str, actor: Actor) -> None:  # noqa: ARG001 - what an operation takes
    """Somebody who has not chosen one yet."""
    User.objects.create_user(name)


def _file(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


@pytest.fixture
def ready(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No demo tokens at hand; no unchanging view of committed rows, which a world that is never committed has not."""
    settings.VAR = tmp_path
    settings.BACKUP_DIRECTORY = tmp_path / "file" / "backups"
    (tmp_path / "file").write_bytes(b"no folder")
    for module in ("journal.verify", "journal.exports", "plans.evidence"):
        monkeypatch.setattr(f"opsconsole.{module}.snapshot", nullcontext)
    monkeypatch.setattr("loyalty.books.reconcile.snapshot", nullcontext)


@pytest.mark.parametrize("name", PLAYED)
def test_every_cell(
    name: str, shell: Shell, ready: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any
) -> None:
    done = name in BY_OTHERS
    with django_db_blocker.unblock():
        before = fingerprint(ask)
        for who, cell in TABLE[name].items():
            with savepoint():
                code, told = run(name, who, shell, tmp_path, monkeypatch)
                if cell == "+":
                    assert not any(refusal.match(code) for refusal in REFUSED.values()), f"{name} as {who}: {told}"
                    done = done or told.startswith("0")
                else:
                    assert REFUSED[cell].match(code), f"{name} as {who}: {told}"
                    assert fingerprint(ask) == before, f"{name} as {who}: refused, and something has changed"
                transaction.set_rollback(True)
    assert done, "nobody's call came through"


def run(name: str, who: str, shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The code of the refusal, empty for none; and what was said, after the exit status."""
    out, err = io.StringIO(), io.StringIO()
    words = [*name.split(), *shell.words.get(name, lambda _folder: [])(folder)]
    monkeypatch.delenv("OPSCONSOLE_TOKEN", raising=False)
    if who != SHELL:
        monkeypatch.setenv("OPSCONSOLE_TOKEN", shell.tokens[who])
        words += ["--as", "pay_admin" if who == EXPIRED else who]
    status: Any = 0
    try:
        call_command(*words, stdout=out, stderr=err)
    except SystemExit as ended:
        status = ended.code
    said = re.sub(r"\x1b\[\d*m", "", err.getvalue())
    refusal = re.search(r"^(\w+): ", said, re.M) if status else None
    return refusal[1] if refusal else "", f"{status} {said[:300]} {out.getvalue()[:100]}"
