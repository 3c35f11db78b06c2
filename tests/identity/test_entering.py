"""How people get in: the first ones, an invitation, a password and tokens of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from opsconsole.core.actors import SYSTEM, Actor, shell_actor
from opsconsole.core.errors import Denied, Invalid, RuleBroken
from opsconsole.core.models import User
from opsconsole.core.tokens import user_of_token
from opsconsole.identity.services import TokensAreAskedFor, issue_token
from opsconsole.identity.tokens import (
    AlreadyThere,
    InvitationOver,
    TooManyTokens,
    WrongPassword,
    accept_invitation,
    change_password,
    create_first_people,
    invite_user,
    issue_own_token,
)
from opsconsole.journal.models import Entry
from tests.admin.conftest import press
from tests.changes.conftest import approve, ask, nothing_changes, people, verbs

__all__ = ["people"]

pytestmark = pytest.mark.django_db
People = dict[str, Actor]
GOOD = "correct-horse-battery-7"


def test_the_first_people_let_the_others_in(client: Client, capsys: pytest.CaptureFixture[str], settings: Any) -> None:
    settings.PRODUCTION = True
    call_command("create_first_people", "--admin", "ada", "--admin", "bela", "--pay-admin", "cleo")
    lines = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert sorted(lines) == ["ada", "bela", "cleo"]
    assert verbs(verb="user.created") == ["user.created"] * 3
    assert Entry.objects.filter(verb="user.created").first().actor_name == shell_actor().name
    for name, path in lines.items():
        secret = path.rpartition("/")[2]
        assert secret not in str([entry.body for entry in Entry.objects.all()])
        shown = client.get(path)
        assert secret not in shown["Location"]
        page = client.get(shown["Location"])
        assert name in page.content.decode()
        assert client.post(shown["Location"], {"new": GOOD, "again": "other"}).status_code == 400
        assert client.post(shown["Location"], {"new": "1234", "again": "1234"}).status_code == 400
        assert client.post(shown["Location"], {"new": GOOD, "again": GOOD}).status_code == 302
        assert User.objects.get(username=name).check_password(GOOD)
        assert client.get(path).status_code == 404
        assert client.get(shown["Location"]).status_code == 404
    with nothing_changes(), pytest.raises(AlreadyThere):
        create_first_people(admins=["dora", "emil"], pay_admins=["fay"], actor=shell_actor())

    ada, bela, cleo = (Actor.of(User.objects.get(username=name)) for name in ("ada", "bela", "cleo"))
    with pytest.raises(TokensAreAskedFor):
        issue_token(username="cleo", expiry=None, actor=shell_actor())
    change = ask("user", "", {"username": "gil", "roles": ["finance_ops"]}, ada)
    assert approve(change, bela, cleo).status == "applied"
    user, _secret = invite_user(username="gil", actor=shell_actor())
    assert sorted(user.roles) == ["finance_ops"]


def test_the_first_people_are_three_at_least(db: None, person: Callable[..., Actor]) -> None:
    person("dev")
    for admins, pay_admins in (
        (["a"], ["b"]),
        (["a", "b"], []),
        (["a", "a"], ["b"]),
        (["a", "b"], ["a"]),
        (["a", "dev"], ["c"]),
    ):
        with nothing_changes(), pytest.raises(Invalid):
            create_first_people(admins=admins, pay_admins=pay_admins, actor=shell_actor())
    with nothing_changes(), pytest.raises(Denied):
        create_first_people(admins=["a", "b"], pay_admins=["c"], actor=person("dev"))


def test_an_invitation_is_for_one_without_a_password(people: People) -> None:
    with nothing_changes(), pytest.raises(RuleBroken):
        invite_user(username="ops", actor=shell_actor())
    for name in ("admin", "pay_admin", "auditor"):
        with nothing_changes(), pytest.raises(Denied):
            invite_user(username="ops", actor=people[name])
    with nothing_changes(), pytest.raises(InvitationOver):
        accept_invitation(user_id=people["ops"].id, secret="abc-def", new=GOOD, actor=SYSTEM("invitations"))


def test_the_invite_command(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    change = ask("user", "", {"username": "gil"}, people["admin"])
    approve(change, people["admin2"], people["pay_admin"])
    call_command("invite", "gil")
    assert re.fullmatch(r"/invitation/[0-9a-f-]{36}/\S+", capsys.readouterr().out.strip())
    assert "user.invited" in verbs()
    with pytest.raises(SystemExit):
        call_command("invite", "ops")


def test_a_new_password_ends_the_other_logins(people: People) -> None:
    user = people["ops"].user
    here, there = Client(), Client()
    for client in (here, there):
        client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    for old, new, error in (("wrong", GOOD, WrongPassword), ("ops-password-1", "short", Invalid)):
        with nothing_changes(), pytest.raises(error):
            change_password(old=old, new=new, actor=people["ops"])
    answer = press(here, reverse("admin:knox_authtoken_password"), old="ops-password-1", new=GOOD, again=GOOD)
    assert answer.status_code == 302
    user.refresh_from_db()
    assert user.check_password(GOOD)
    assert list(Session.objects.values_list("pk", flat=True)) == [here.session.session_key]
    assert here.get(reverse("admin:knox_authtoken_changelist")).status_code == 200
    assert there.get(reverse("admin:knox_authtoken_changelist")).status_code == 302
    entry = Entry.objects.get(verb="user.password_changed")
    assert GOOD not in str(entry.body)
    assert entry.content["after"] == {"sessions_ended": 2}
    with pytest.raises(Denied):
        change_password(old=GOOD, new=GOOD, actor=shell_actor())


def test_tokens_of_ones_own(people: People) -> None:
    token = issue_own_token(days=30, actor=people["dev"])
    assert user_of_token(token) == people["dev"].user
    assert token not in str([entry.body for entry in Entry.objects.all()])
    for days in (0, 31):
        with nothing_changes(), pytest.raises(Invalid):
            issue_own_token(days=days, actor=people["dev"])
    narrow = User.objects.get(username="ops")
    narrow.narrow_to([])
    for actor in (shell_actor(), SYSTEM("x"), Actor.of(narrow)):
        with nothing_changes(), pytest.raises(Denied):
            issue_own_token(days=1, actor=actor)
    for _n in range(9):
        issue_own_token(days=1, actor=people["dev"])
    with nothing_changes(), pytest.raises(TooManyTokens):
        issue_own_token(days=1, actor=people["dev"])


def test_nobody_gives_somebody_else_a_token(people: People, settings: Any) -> None:
    for name, actor in people.items():
        if name != "dev":
            with nothing_changes(), pytest.raises(Denied):
                issue_token(username="dev", expiry=None, actor=actor)
    assert issue_token(username="dev", expiry=None, actor=shell_actor())
    settings.PRODUCTION = True
    with nothing_changes(), pytest.raises(TokensAreAskedFor):
        issue_token(username="dev", expiry=None, actor=shell_actor())
