"""Commands: who acts, what a refusal looks like, and the ones that belong to the floor."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from opsconsole.core.actors import Actor
from opsconsole.core.commands import ConsoleCommand
from opsconsole.core.errors import Conflict, Invalid
from opsconsole.core.tokens import create_token, user_of_token
from opsconsole.journal.models import Entry

pytestmark = pytest.mark.django_db


class Whoami(ConsoleCommand):
    """Say who acts."""

    def handle(self, *_args: Any, **options: Any) -> None:
        actor = self.actor(options)
        self.stdout.write(f"{actor.kind} {actor.name}")
        if options.get("verbosity") == 3:
            raise Conflict("Somebody else is at it.")
        if options.get("verbosity") == 2:
            raise Invalid("This will not do.", errors={"count": ["is too high", "is odd"], "name": ["is taken"]})


def test_a_person_proves_who_they_are(
    person: Callable[..., Actor], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    user = person("ops").user
    assert user is not None
    monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(user))
    call_command(Whoami(), "--as", "ops")
    assert capsys.readouterr().out == "user ops\n"


@pytest.mark.parametrize("token", ["", "0" * 64, "another's"])
def test_without_proof_nobody_acts_for_a_person(
    person: Callable[..., Actor], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], token: str
) -> None:
    person("ops")
    auditor = person("auditor").user
    assert auditor is not None
    monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(auditor) if token == "another's" else token)
    with pytest.raises(SystemExit) as ended:
        call_command(Whoami(), "--as", "ops")
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (1, "")
    assert "denied: --as ops needs a valid API token of ops" in captured.err


def test_without_a_name_it_is_the_shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("OPSCONSOLE_TOKEN", raising=False)
    call_command(Whoami())
    assert capsys.readouterr().out.startswith("shell shell:")


def test_a_refusal_is_one_sentence_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command(Whoami(), verbosity=3)
    assert ended.value.code == 1
    assert capsys.readouterr().err.strip().endswith("conflict: Somebody else is at it.")


def test_a_refusal_says_what_is_wrong_where(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command(Whoami(), verbosity=2)
    assert ended.value.code == 1
    told = capsys.readouterr().err.strip()
    assert told.endswith("invalid: This will not do.\n  count: is too high; is odd\n  name: is taken")


def test_a_token_is_printed_once_and_stored_hashed(
    person: Callable[..., Actor], capsys: pytest.CaptureFixture[str]
) -> None:
    user = person("finance_ops").user
    assert user is not None
    call_command("issue_token", "finance_ops", "--days", "3")
    token = capsys.readouterr().out.strip()
    assert user_of_token(token) == user
    stored = user.auth_token_set.get()
    assert token not in (stored.digest, stored.token_key)
    assert stored.expiry - timezone.now() == pytest.approx(timedelta(days=3), abs=timedelta(minutes=1))
    entry = Entry.objects.get(verb="token.issued")
    assert token not in str(entry.content)
    assert entry.content["actor"]["kind"] == "shell"


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [(["nobody"], "user_not_found"), (["ops", "--days", "0"], "invalid"), (["ops"], "user_inactive")],
)
def test_a_token_for_nobody(
    person: Callable[..., Actor], capsys: pytest.CaptureFixture[str], arguments: list[str], refusal: str
) -> None:
    user = person("ops").user
    assert user is not None
    user.is_active = False
    user.save(update_fields=["is_active"])
    with pytest.raises(SystemExit):
        call_command("issue_token", *arguments)
    captured = capsys.readouterr()
    assert (captured.out, refusal in captured.err) == ("", True)
    assert not user.auth_token_set.exists()
