"""Users, roles and actors: every right comes from a role or a grant, and nobody stands above the rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection

from opsconsole.core import roles
from opsconsole.core.actors import SHELL_PERMISSIONS, SYSTEM, Actor, shell_actor
from opsconsole.core.errors import Denied
from opsconsole.core.models import User
from opsconsole.core.roles import ROLES, synchronise
from opsconsole.identity.services import synchronise_roles
from opsconsole.journal.models import Entry
from opsconsole.plans.models import Plan

pytestmark = pytest.mark.django_db


def test_there_are_no_superusers(person: Callable[..., Actor]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select column_name from information_schema.columns where table_name = 'core_user'")
        assert "is_superuser" not in {row[0] for row in cursor.fetchall()}
    assert not hasattr(User.objects, "create_superuser")
    admin = person("admin")
    assert admin.user is not None
    assert not admin.user.is_superuser
    assert not admin.may("plans.execute_plan")


def test_the_groups_are_the_table() -> None:
    assert synchronise() == {}
    for role, wanted in ROLES.items():
        held = Group.objects.get(name=role).permissions.values_list("content_type__app_label", "codename")
        assert {f"{app}.{name}" for app, name in held} == set(wanted)


def test_a_right_that_was_added_by_hand_goes_again() -> None:
    extra = Group.objects.get(name="pay_admin").permissions.get(codename="execute_plan")
    Group.objects.get(name="auditor").permissions.add(extra)
    assert synchronise_roles(actor=SYSTEM("test")) == {"auditor": {"gained": [], "lost": ["plans.execute_plan"]}}
    entry = Entry.objects.filter(verb="role.changed").latest("seq")
    assert (entry.subject_id, entry.content["after"]["lost"]) == ("auditor", ["plans.execute_plan"])
    assert synchronise() == {}


def test_a_right_that_no_model_has_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(roles.ROLES, "dev", ("plans.teleport",))
    with pytest.raises(LookupError, match="plans.teleport"):
        synchronise()


def test_the_auditor_sees_and_changes_nothing() -> None:
    harmless = ("view_", "verify_", "export_")
    assert [name for name in ROLES["auditor"] if not name.partition(".")[2].startswith(harmless)] == []


def test_who_may_what(person: Callable[..., Actor]) -> None:
    ops = person("ops")
    assert ops.may("plans.create_plan")
    assert not ops.may("treasury.change_route")
    assert (ops.has_role("ops"), ops.has_role("auditor"), ops.roles) == (True, False, frozenset({"ops"}))
    with pytest.raises(Denied, match="ops lacks the permission treasury.change_route. Roles that have it: [a-z]"):
        ops.require("treasury.change_route")
    # A right of another app about one of our rows is a question like any other.
    assert not person("auditor").may("approvals.decide_request", Plan())


def test_who_has_left_may_nothing(person: Callable[..., Actor]) -> None:
    ops = person("ops")
    assert ops.user is not None
    ops.user.is_active = False
    assert not ops.may("plans.create_plan")
    assert ops.roles == frozenset()


def test_a_shell_may_look_and_stop_but_not_act_for_anybody() -> None:
    shell = shell_actor()
    assert shell.id == shell.name == shell.id.replace("system:", "shell:")
    assert {name for name in SHELL_PERMISSIONS if shell.may(name)} == SHELL_PERMISSIONS
    for held in {name for wanted in ROLES.values() for name in wanted} - SHELL_PERMISSIONS:
        assert not shell.may(held), held


def test_a_part_of_the_system_has_a_name() -> None:
    assert (SYSTEM("sweeper").id, SYSTEM("sweeper").roles) == ("system:sweeper", frozenset())


@pytest.mark.django_db(transaction=True)
def test_migrating_again_changes_nothing() -> None:
    before = Entry.objects.count()
    call_command("migrate", verbosity=0)
    assert Entry.objects.count() == before
