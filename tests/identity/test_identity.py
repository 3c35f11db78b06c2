"""People and what they are given: tokens, roles, logins; each journalled, none given by the wrong hands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client

from opsconsole.core.actors import SYSTEM, Actor, shell_actor
from opsconsole.core.errors import Denied
from opsconsole.core.models import User
from opsconsole.core.roles import ROLES
from opsconsole.core.tokens import user_of_token
from opsconsole.identity.services import (
    NewUser,
    UserInactive,
    UserNotFound,
    ensure_users,
    issue_token,
    reset_password,
    synchronise_roles,
)
from opsconsole.journal.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)


def verbs() -> list[str]:
    return list(Entry.objects.order_by("seq").values_list("verb", flat=True))


def test_issue_token_prints_a_token_that_works(
    person: Callable[..., Actor], capsys: pytest.CaptureFixture[str]
) -> None:
    person("ops")
    call_command("issue_token", "ops", "--days", "1")
    token = capsys.readouterr().out.strip()
    user = user_of_token(token)
    assert user is not None
    assert user.username == "ops"
    entry = Entry.objects.get(verb="token.issued")
    assert entry.actor_name.startswith("shell:")
    assert token not in str(entry.body)


def test_issue_token_refuses_in_words(person: Callable[..., Actor], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("issue_token", "nobody")
    assert ended.value.code == 1
    assert "There is no user nobody" in capsys.readouterr().err
    assert "token.issued" not in verbs()


def test_only_a_shell_issues_tokens(person: Callable[..., Actor]) -> None:
    target = person("ops")
    for name in ROLES:
        actor = person(name)
        before = len(verbs())
        with pytest.raises(Denied):
            issue_token(username="ops", expiry=None, actor=actor)
        assert len(verbs()) == before
    assert issue_token(username=target.name, expiry=timedelta(days=1), actor=shell_actor())


def test_nobody_who_left_gets_a_token(person: Callable[..., Actor]) -> None:
    user = person("ops").user
    assert user is not None
    user.is_active = False
    user.save(update_fields=["is_active"])
    with pytest.raises(UserInactive):
        issue_token(username="ops", expiry=None, actor=shell_actor())
    with pytest.raises(UserNotFound):
        issue_token(username="nobody", expiry=None, actor=shell_actor())


def test_users_are_made_by_the_system_alone(person: Callable[..., Actor]) -> None:
    new = [NewUser("fresh", "fresh-password-1", ("ops",))]
    for actor in (person("admin"), person("pay_admin"), shell_actor()):
        with pytest.raises(Denied):
            ensure_users(users=new, actor=actor)
        with pytest.raises(Denied):
            reset_password(username="admin", password="other-password-1", actor=actor)
    assert not User.objects.filter(username="fresh").exists()
    assert ensure_users(users=new, actor=SYSTEM("test")) == ["fresh"]
    assert ensure_users(users=new, actor=SYSTEM("test")) == []
    assert verbs().count("user.created") == 1
    assert User.objects.get(username="fresh").roles == {"ops"}


def test_roles_follow_their_table(db: None) -> None:
    before = verbs().count("role.changed")
    group = Group.objects.get(name="auditor")
    group.permissions.add(Permission.objects.get(codename="execute_plan"))
    group.permissions.remove(Permission.objects.get(codename="view_plan"))
    changed = synchronise_roles(actor=SYSTEM("test"))
    assert changed == {"auditor": {"gained": ["plans.view_plan"], "lost": ["plans.execute_plan"]}}
    assert verbs().count("role.changed") == before + 1
    assert synchronise_roles(actor=SYSTEM("test")) == {}
    assert verbs().count("role.changed") == before + 1


def test_a_login_is_journalled_as_a_login(person: Callable[..., Actor]) -> None:
    person("ops")
    assert Client().login(username="ops", password="ops-password-1")
    assert "user.logged_in" in verbs()
    assert "direct_sql" not in verbs()
    user = User.objects.get(username="ops")
    assert user.last_login is not None


def test_a_pasted_membership_is_journalled(
    person: Callable[..., Actor], connect_as: Callable[[str], psycopg.Connection[Any]]
) -> None:
    user = person("dev").user
    assert user is not None
    role = Group.objects.get(name="pay_admin")
    connect_as("operator").execute(
        "insert into core_user_groups (user_id, group_id) values (%s, %s)", [user.pk, role.pk]
    )
    entry = Entry.objects.get(verb="direct_sql")
    assert entry.actor_name == "operator"
    assert entry.subject_kind == "core_user_groups"


def test_there_is_no_superuser(db: None) -> None:
    assert User.is_superuser is False
    assert "is_superuser" not in {field.name for field in User._meta.get_fields()}
    with pytest.raises(TypeError):
        User.objects.create_user("root", "root-password-1", is_superuser=True)
