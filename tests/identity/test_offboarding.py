"""Leaving ends everything in one step; taking away is at once, giving back is not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connections
from django.test import Client
from guardian.models import UserObjectPermission
from guardian.shortcuts import assign_perm
from knox.models import AuthToken

from opsconsole.approvals.models import Request, SignerKey
from opsconsole.changes.models import Change
from opsconsole.changes.selectors import request_of
from opsconsole.changes.services.decisions import apply_change
from opsconsole.core.actors import SYSTEM, Actor, shell_actor
from opsconsole.core.errors import Denied, Invalid
from opsconsole.core.models import OutboxEvent, User
from opsconsole.core.operations import operation
from opsconsole.core.tokens import create_token
from opsconsole.identity.holdings import LastAdmin, UserNotHere
from opsconsole.identity.models import SecondFactor
from opsconsole.identity.offboarding import Taken, offboard_user, take_away
from opsconsole.journal.models import Entry
from tests.changes.conftest import ADDRESS, approve, ask, nothing_changes, people, verbs, world
from tests.changes.test_life import only_executors
from tests.signing import give_key, new_public_key
from tests.world import World

__all__ = ["people", "world"]

pytestmark = pytest.mark.django_db
People = dict[str, Actor]


@operation
def give_everything(*, user: User, world: World, actor: Actor) -> None:
    """A grant, a permission of one's own, and a second factor."""
    assign_perm("treasury.view_account", user, world.account)
    SecondFactor.objects.create(user=user, secret="JBSWY3DPEHPK3PXP", last_step=0)


def key_of(actor: Actor) -> SignerKey:
    return give_key(name="laptop", public_key=new_public_key(), actor=actor)


def pk(actor: Actor) -> UUID:
    assert actor.user is not None
    return actor.user.pk


def answer_of(url: str, headers: dict[str, str], body: Any = None) -> int:
    """The status that a real request gets."""
    data = None if body is None else json.dumps(body).encode()
    sent = HttpRequest(url, data, {**headers, "Content-Type": "application/json"})
    try:
        with urlopen(sent, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_it_ends_a_live_session_and_a_token(world: World, people: People, live_server: Any) -> None:
    leaver, admin = people["finance_ops2"], people["admin"]
    client = Client()
    client.force_login(leaver.user, "django.contrib.auth.backends.ModelBackend")
    cookie = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}
    bearer = {"Authorization": f"Bearer {create_token(leaver.user)}"}
    in_charge = {"Authorization": f"Bearer {create_token(admin.user)}", "Idempotency-Key": "off-1"}
    plans, banks = f"{live_server.url}/api/ops/plans", f"{live_server.url}/admin/treasury/bank/"
    assert (answer_of(plans, bearer), answer_of(banks, cookie)) == (200, 200)
    assert Session.objects.count() == 1

    url = f"{live_server.url}/api/users/{pk(leaver)}/offboard"
    assert answer_of(url, bearer, {"reason": "me"}) == 403
    assert answer_of(plans, bearer) == 200
    for _time in range(2):
        assert answer_of(url, in_charge, {"reason": "left the company"}) == 200

    assert answer_of(plans, bearer) == 401
    assert "/login/" in urlopen(HttpRequest(banks, headers=cookie), timeout=10).url
    assert Session.objects.count() == 0
    assert verbs(verb="user.offboarded") == ["user.offboarded"]


def test_it_ends_all_that_the_person_holds(world: World, people: People) -> None:
    leaver = people["finance_ops2"]
    give_everything(user=leaver.user, world=world, actor=SYSTEM("test"))
    key, token = key_of(leaver), create_token(leaver.user)
    only_executors("change.gateway", "pay_admin")
    theirs = ask("gateway", "filebank", {"priority": 3}, leaver)
    approved = ask("gateway", "sandbox", {"base_url": ADDRESS}, people["finance_ops"])
    approve(approved, people["pay_admin"], leaver)
    pending = ask("gateway", "sandbox", {"priority": 5}, people["finance_ops"])
    approve(pending, leaver)
    assert Change.objects.get(pk=approved.pk).status == "approved"

    done = offboard_user(user_id=pk(leaver), reason="left", actor=people["admin"])
    assert done.ended == {
        "roles": 1, "rights": 0, "grants": 1, "tokens": 1, "sessions": 0, "signer_keys": 1, "second_factors": 1,
        "approvals": 2, "requests": 1,
    }  # fmt: skip
    user = User.objects.get(pk=pk(leaver))
    assert (user.is_active, user.roles, user.has_usable_password()) == (False, frozenset(), False)
    assert not AuthToken.objects.filter(user=user).exists()
    assert not UserObjectPermission.objects.filter(user=user).exists()
    assert SignerKey.objects.get(pk=key.pk).revoked_at is not None
    assert Change.objects.get(pk=theirs.pk).status == "cancelled"
    assert request_of(theirs).status == "void"
    assert Change.objects.get(pk=approved.pk).status == "requested"
    assert request_of(approved).status == "pending"
    assert token not in str([entry.body for entry in Entry.objects.all()])
    entry = Entry.objects.get(verb="user.offboarded")
    assert entry.content["before"] == {"is_active": True, "roles": ["finance_ops"]}
    assert entry.content["reason"] == "left"
    assert OutboxEvent.objects.filter(topic="user.offboarded").count() == 1

    # Coming back brings no approval back.
    _bring_back(user=user, actor=SYSTEM("test"))
    for change in (approved, pending):
        request = Request.objects.get(subject_id=str(change.pk))
        assert str(user.pk) in request.editors
    assert approve(approved, people["finance_ops_3"]).status == "approved"
    done_, _given = apply_change(change_id=approved.pk, actor=people["pay_admin2"])
    assert done_.status == "applied"


@operation
def _bring_back(*, user: User, actor: Actor) -> None:
    from django.contrib.auth.models import Group

    User.objects.filter(pk=user.pk).update(is_active=True)
    user.groups.add(Group.objects.get(name="finance_ops"))


@pytest.fixture(autouse=True)
def a_third(people: People, person: Callable[..., Actor]) -> None:
    people["finance_ops_3"] = person("finance_ops_3", "finance_ops")


def test_again_it_says_nothing(world: World, people: People) -> None:
    leaver = people["ops2"]
    assert not offboard_user(user_id=pk(leaver), reason="left", actor=people["pay_admin"]).again
    with nothing_changes():
        assert offboard_user(user_id=pk(leaver), reason="left", actor=people["admin"]).again
    assert verbs().count("user.offboarded") == 1
    create_token(leaver.user)
    assert not offboard_user(user_id=pk(leaver), reason="a token was left", actor=people["admin"]).again
    assert not AuthToken.objects.exists()


def test_a_plan_that_they_asked_for_frees_what_it_had_reserved(world: World, people: People) -> None:
    from decimal import Decimal

    from opsconsole.plans.services import drafts, staging
    from opsconsole.plans.services.drafts import Draft
    from opsconsole.treasury.models import Payout
    from tests.world import TESTER, add_payouts

    add_payouts(count=3, amount=Decimal(10), actor=TESTER)
    facts = {"currency": "EUR", "cutoff_date": "2025-12-31"}
    draft = Draft(external_id="plan-1", name="Payouts", plan_type="payout_batch", payload=facts)
    plan, _new = drafts.create_plan(draft=draft, actor=people["ops2"])
    staging.stage_plan(plan_id=plan.pk, actor=people["ops2"])
    assert Payout.objects.filter(status="reserved").count() == 3
    offboard_user(user_id=pk(people["ops2"]), reason="left", actor=people["admin"])
    plan.refresh_from_db()
    assert plan.status == "expired"
    assert Payout.objects.filter(status="payable", plan=None).count() == 3


def test_the_last_admin_stays(world: World, people: People) -> None:
    offboard_user(user_id=pk(people["admin2"]), reason="left", actor=people["pay_admin"])
    with nothing_changes():
        with pytest.raises(LastAdmin):
            offboard_user(user_id=pk(people["admin"]), reason="left", actor=people["pay_admin"])
        with pytest.raises(LastAdmin):
            take_away(user_id=pk(people["admin"]), taken=Taken(roles=["admin"]), reason="x", actor=people["pay_admin"])


@pytest.mark.django_db(transaction=True)
def test_two_last_admins_do_not_go_at_once(world: World, people: People) -> None:
    outcomes: list[str] = []
    ready = threading.Barrier(2)

    def go(leaver: Actor) -> None:
        ready.wait()
        try:
            offboard_user(user_id=pk(leaver), reason="left", actor=people["pay_admin"])
            outcomes.append("left")
        except LastAdmin:
            outcomes.append("stays")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go, args=(people[name],)) for name in ("admin", "admin2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["left", "stays"]


def test_who_may_not_offboard_changes_nothing(world: World, people: People) -> None:
    for name in ("finance_ops", "ops", "auditor", "dev"):
        with nothing_changes(), pytest.raises(Denied):
            offboard_user(user_id=pk(people["ops2"]), reason="x", actor=people[name])
        with nothing_changes(), pytest.raises(Denied):
            take_away(user_id=pk(people["ops2"]), taken=Taken(sessions=True), reason="x", actor=people[name])
    for reason in ("", " ", "x" * 2001):
        with nothing_changes(), pytest.raises(Invalid):
            offboard_user(user_id=pk(people["ops2"]), reason=reason, actor=people["admin"])
    with nothing_changes(), pytest.raises(UserNotHere):
        offboard_user(user_id=uuid4(), reason="x", actor=people["admin"])


def test_single_things_are_taken_at_once(world: World, people: People) -> None:
    target = people["finance_ops2"]
    kept, gone = create_token(target.user), create_token(target.user)
    key = key_of(target)
    give_everything(user=target.user, world=world, actor=SYSTEM("test"))
    grant = UserObjectPermission.objects.get(user=target.user)
    beginning = AuthToken.objects.get(token_key=gone[: len(AuthToken.objects.first().token_key)]).token_key
    other = key_of(people["ops"])
    taken = Taken(roles=["finance_ops", "ops"], grants=[grant.pk], tokens=[beginning], signer_keys=[key.pk, other.pk])
    done = take_away(user_id=pk(target), taken=taken, reason="stolen laptop", actor=people["admin"])
    assert done.ended == {"roles": 1, "grants": 1, "tokens": 1, "signer_keys": 1, "sessions": 0}
    assert AuthToken.objects.get(user=target.user).token_key == kept[: len(beginning)]
    assert SignerKey.objects.get(pk=other.pk).revoked_at is None
    entry = Entry.objects.get(verb="user.taken_away")
    assert entry.content["before"] == {"roles": ["finance_ops"]}
    with nothing_changes():
        take_away(user_id=pk(target), taken=taken, reason="again", actor=people["admin"])
    with nothing_changes(), pytest.raises(Invalid):
        take_away(user_id=pk(target), taken=Taken(), reason="nothing", actor=people["admin"])


def test_ones_own_tokens_and_logins_need_no_permission(world: World, people: People) -> None:
    token = create_token(people["dev"].user)
    begins = [row.token_key for row in AuthToken.objects.all()]
    done = take_away(
        user_id=pk(people["dev"]), taken=Taken(tokens=begins, sessions=True), reason="lost", actor=people["dev"]
    )
    assert done.ended["tokens"] == 1
    assert not AuthToken.objects.exists()
    assert token
    with nothing_changes(), pytest.raises(Denied):
        take_away(user_id=pk(people["dev"]), taken=Taken(roles=["dev"]), reason="x", actor=people["dev"])


def test_the_command(world: World, people: People, capsys: pytest.CaptureFixture[str]) -> None:
    create_token(people["ops2"].user)
    call_command("offboard", "ops2", "--reason", "left the company")
    assert capsys.readouterr().out.strip() == "ops2 has left. Ended: 1 role, 1 token."
    assert Entry.objects.get(verb="user.offboarded").actor_name == shell_actor().name
    call_command("offboard", "ops2", "--reason", "left the company")
    assert "had left before" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        call_command("offboard", "nobody", "--reason", "x")
    assert "There is no user nobody" in capsys.readouterr().err
