"""The life of a change: asked for, agreed to by the right people, applied once; or ended, and nothing was changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.utils import timezone

from opsconsole.approvals.errors import (
    AlreadyApproved,
    DigestMismatch,
    NotAnApprover,
    NotAnExecutor,
    SeparationOfDuties,
)
from opsconsole.approvals.jobs import expire_requests, recount_requests
from opsconsole.approvals.models import Policy, Request
from opsconsole.approvals.services import decide_request
from opsconsole.changes.errors import ChangeEnded, ChangeNotApproved, NothingChanges, UnknownKind
from opsconsole.changes.models import Change
from opsconsole.changes.selectors import request_of
from opsconsole.changes.services.decisions import apply_change, approve_change, reject_change
from opsconsole.changes.services.requests import cancel_change, request_change
from opsconsole.core.actors import SYSTEM, Actor, shell_actor
from opsconsole.core.errors import Denied, DomainError, Invalid
from opsconsole.core.models import OutboxEvent
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry
from opsconsole.treasury.models import Bank
from tests.changes.conftest import (
    ADDRESS,
    NEW_SECRET,
    OLD_SECRET,
    alter,
    approve,
    ask,
    everything_written,
    nothing_changes,
    verbs,
)
from tests.world import TESTER, World

pytestmark = pytest.mark.django_db
People = dict[str, Actor]


def new_address(world: World, people: People, **more: Any) -> Change:
    return ask("gateway", world.http.pk, {"base_url": ADDRESS, **more}, people["finance_ops"])


def only_executors(action: str, *roles: str) -> None:
    """Another version of the policy, with these executors."""

    @operation
    def replace(*, actor: Actor) -> None:
        old = Policy.objects.get(action=action, active=True)
        Policy.objects.filter(pk=old.pk).update(active=False)
        Policy.objects.create(action=action, version=2, slots=old.slots, executors=list(roles), ttl=old.ttl)

    replace(actor=TESTER)


def test_the_last_approval_applies_it(world: World, people: People) -> None:
    change = new_address(world, people)
    assert (change.before, change.after) == ({"base_url": "http://127.0.0.1:9"}, {"base_url": ADDRESS})
    half = approve(change, people["finance_ops2"])
    assert half.status == "requested"
    world.http.refresh_from_db()
    assert world.http.base_url == "http://127.0.0.1:9"
    done = approve(change, people["pay_admin"])
    assert (done.status, done.failure) == ("applied", "")
    assert done.ended_at is not None
    world.http.refresh_from_db()
    assert (world.http.base_url, world.http.secret.reveal()) == (ADDRESS, OLD_SECRET)
    assert request_of(change).status == "consumed"
    about = verbs(subject_kind="ops_changes")
    assert about == [
        "change.requested", "approval.requested", "approval.approved", "approval.approved", "change.approved",
        "approval.consumed", "change.applied",
    ]  # fmt: skip
    entry = Entry.objects.get(verb="bank.changed")
    assert entry.actor_name == "pay_admin"
    assert entry.content["after"] == {"base_url": ADDRESS, "change": str(change.pk), "requested_by": "finance_ops"}
    assert entry.content["reason"] == "agreed by letter"
    topics = set(OutboxEvent.objects.values_list("topic", flat=True))
    assert {"change.requested", "change.approved", "change.applied"} <= topics


def test_the_inbox_applies_it_just_as_well(world: World, people: People) -> None:
    change = new_address(world, people)
    approve(change, people["finance_ops2"])
    request = decide_request(
        request_id=request_of(change).pk, approved=True, comments="", signature="", actor=people["pay_admin"]
    )
    assert request.status == "consumed"
    change.refresh_from_db()
    assert change.status == "applied"


def test_a_secret_is_nowhere_in_the_clear(
    world: World, people: People, caplog: pytest.LogCaptureFixture, superuser: Any
) -> None:
    change = ask("gateway", "sandbox", {"secret": NEW_SECRET}, people["finance_ops"])
    assert change.before["secret"].startswith("sha256:")
    assert change.after["secret"].startswith("sha256:")
    assert change.after != change.before
    assert change.values["secret"].reveal() == NEW_SECRET
    stored = superuser.execute("select secrets from ops_changes").fetchone()[0]
    assert stored
    assert NEW_SECRET not in stored
    done = approve(change, people["finance_ops2"], people["pay_admin"])
    assert done.status == "applied"
    assert Bank.objects.get(code="sandbox").secret.reveal() == NEW_SECRET
    assert superuser.execute("select secrets from ops_changes").fetchone()[0] == ""
    assert Entry.objects.get(verb="bank.changed").content["after"]["secret"] == "(hidden)"
    for secret in (NEW_SECRET, OLD_SECRET):
        assert secret not in everything_written()
        assert secret not in caplog.text


@pytest.mark.parametrize("end", ["reject", "cancel", "expire"])
def test_what_ends_otherwise_changes_nothing(world: World, people: People, superuser: Any, end: str) -> None:
    change = ask("gateway", "sandbox", {"secret": NEW_SECRET}, people["finance_ops"])
    approve(change, people["finance_ops2"])
    match end:
        case "reject":
            reject_change(change_id=change.pk, reason="a forged letter", actor=people["pay_admin"])
        case "cancel":
            cancel_change(change_id=change.pk, reason="not needed", actor=people["finance_ops"])
        case "expire":
            superuser.execute("set session_replication_role = replica")
            superuser.execute("update approvals_requests set expires_at = created_at - interval '1 hour'")
            assert expire_requests() == 1
    change.refresh_from_db()
    assert change.status == {"reject": "rejected", "cancel": "cancelled", "expire": "expired"}[end]
    assert str(change.secrets) == ""
    assert Bank.objects.get(code="sandbox").secret.reveal() == OLD_SECRET
    assert "bank.changed" not in verbs()
    with nothing_changes():
        for actor in (people["pay_admin"], people["pay_admin2"]):
            with pytest.raises(ChangeEnded):
                approve(change, actor)
            with pytest.raises(ChangeEnded):
                apply_change(change_id=change.pk, actor=actor)
        with pytest.raises(ChangeEnded):
            cancel_change(change_id=change.pk, reason="again", actor=people["finance_ops"])


def test_what_changed_meanwhile_makes_it_stale(world: World, people: People) -> None:
    change = new_address(world, people)
    approve(change, people["finance_ops2"])
    alter(row=world.http, values={"base_url": "http://127.0.0.1:10"}, actor=TESTER)
    done = approve(change, people["pay_admin"])
    assert done.status == "stale"
    assert "no longer as it was shown" in done.failure
    world.http.refresh_from_db()
    assert world.http.base_url == "http://127.0.0.1:10"
    assert request_of(change).status == "void"
    assert "bank.changed" not in verbs()
    assert verbs(subject_kind="ops_changes")[-2:] == ["approval.voided", "change.stale"]


def test_another_field_of_the_record_may_change(world: World, people: People) -> None:
    change = new_address(world, people)
    alter(row=world.http, values={"priority": 7}, actor=TESTER)
    assert approve(change, people["finance_ops2"], people["pay_admin"]).status == "applied"


def test_what_the_record_refuses_fails(world: World, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    from opsconsole.treasury.changes.banks import Gateway

    def broken(*_: Any, **__: Any) -> str:
        alter_in_place = Bank.objects.filter(pk=world.http.pk)
        alter_in_place.update(priority=99)
        alter_in_place.update(fee_per_payment=-1)
        return ""

    change = new_address(world, people)
    monkeypatch.setattr(Gateway, "apply", broken)
    done = approve(change, people["finance_ops2"], people["pay_admin"])
    assert (done.status, done.failure) == ("failed", "The database refuses it: bank_fee_not_negative.")
    world.http.refresh_from_db()
    assert world.http.priority == 100
    assert request_of(change).status == "void"


def test_neither_the_requester_nor_somebody_without_the_role_approves(world: World, people: People) -> None:
    change = new_address(world, people)
    refused = {
        "finance_ops": SeparationOfDuties,
        "admin": NotAnApprover,
        "ops": NotAnApprover,
        "auditor": Denied,
    }
    for name, error in refused.items():
        with nothing_changes(), pytest.raises(error):
            approve(change, people[name])
    approve(change, people["finance_ops2"])
    with nothing_changes(), pytest.raises(AlreadyApproved):
        approve(change, people["finance_ops2"])
    with nothing_changes(), pytest.raises(ChangeNotApproved):
        apply_change(change_id=change.pk, actor=people["pay_admin"])


def test_who_may_ask(world: World, people: People) -> None:
    for name in ("ops", "auditor", "dev", "admin"):
        with nothing_changes(), pytest.raises(Denied):
            ask("gateway", world.http.pk, {"base_url": ADDRESS}, people[name])
    for actor in (shell_actor(), SYSTEM("test")):
        with nothing_changes(), pytest.raises(Denied):
            ask("gateway", world.http.pk, {"base_url": ADDRESS}, actor)


@pytest.mark.parametrize(
    ("kind", "payload", "error"),
    [
        ("nonsense", {}, UnknownKind),
        ("gateway", {"colour": "blue"}, Invalid),
        ("gateway", {"bic": "NOTABIC"}, Invalid),
        ("gateway", {"secret": "short"}, Invalid),
        ("gateway", {"base_url": "http://payments.bank.example"}, Invalid),
        ("gateway", {"base_url": "ftp://payments.bank.example"}, Invalid),
        ("gateway", {"base_url": ""}, Invalid),
        ("gateway", {"fee_per_payment": "-1"}, Invalid),
        ("gateway", {"priority": "first"}, Invalid),
        ("gateway", {"name": "two\nlines"}, Invalid),
        ("gateway", {}, NothingChanges),
        ("gateway", {"base_url": "http://127.0.0.1:9", "secret": OLD_SECRET}, NothingChanges),
    ],
)
def test_what_cannot_be_asked_for(
    world: World, people: People, kind: str, payload: dict[str, Any], error: type[DomainError]
) -> None:
    with nothing_changes(), pytest.raises(error) as caught:
        ask(kind, world.http.pk, payload, people["finance_ops"])
    assert "short" not in str(caught.value.fields)


def test_a_change_says_why(world: World, people: People) -> None:
    for reason in ("", "  ", "x" * 2001):
        with nothing_changes(), pytest.raises(Invalid):
            ask("gateway", world.http.pk, {"base_url": ADDRESS}, people["finance_ops"], reason=reason)


def test_who_may_not_execute_leaves_it_approved(world: World, people: People) -> None:
    only_executors("change.gateway", "pay_admin")
    change = new_address(world, people)
    approve(change, people["pay_admin"])
    waiting = approve(change, people["finance_ops2"])
    assert waiting.status == "approved"
    for name, error in {"finance_ops2": NotAnExecutor, "ops": NotAnExecutor, "auditor": Denied}.items():
        with nothing_changes(), pytest.raises(error):
            apply_change(change_id=change.pk, actor=people[name])
    done, given = apply_change(change_id=change.pk, actor=people["pay_admin2"])
    assert (done.status, given) == ("applied", "")
    world.http.refresh_from_db()
    assert world.http.base_url == ADDRESS


@pytest.mark.django_db(transaction=True)
def test_two_applies_at_once_are_one(world: World, people: People) -> None:
    only_executors("change.gateway", "pay_admin")
    change = new_address(world, people, priority=5)
    approve(change, people["pay_admin"], people["finance_ops2"])
    outcomes: list[str] = []
    ready = threading.Barrier(4)

    def go(actor: Actor) -> None:
        ready.wait()
        try:
            outcomes.append(apply_change(change_id=change.pk, actor=actor)[0].status)
        except ChangeEnded:
            outcomes.append("ended")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go, args=(people[n],)) for n in ("pay_admin", "pay_admin2") for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["applied", "ended", "ended", "ended"]
    assert verbs().count("bank.changed") == 1


@pytest.mark.django_db(transaction=True)
def test_two_last_approvals_at_once_are_one(world: World, people: People) -> None:
    change = new_address(world, people)
    approve(change, people["finance_ops2"])
    outcomes: list[str] = []
    ready = threading.Barrier(2)

    def go(actor: Actor) -> None:
        ready.wait()
        try:
            outcomes.append(approve(change, actor).status)
        except DomainError as error:
            outcomes.append(error.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go, args=(people[n],)) for n in ("pay_admin", "pay_admin2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["applied", "change_ended"]
    assert verbs().count("bank.changed") == 1


def test_an_approval_that_falls_away_reopens_it(world: World, people: People) -> None:
    only_executors("change.gateway", "pay_admin")
    change = new_address(world, people)
    approve(change, people["pay_admin"], people["finance_ops2"])
    _lose_roles(name="finance_ops2", actor=TESTER)
    assert recount_requests() == 1
    change.refresh_from_db()
    assert change.status == "requested"
    with pytest.raises(ChangeNotApproved):
        apply_change(change_id=change.pk, actor=people["pay_admin2"])


@operation
def _lose_roles(*, name: str, actor: Actor) -> None:
    from opsconsole.core.models import User

    User.objects.get(username=name).groups.clear()


def test_a_row_that_somebody_altered_is_not_applied(world: World, people: People, superuser: Any) -> None:
    change = new_address(world, people)
    approve(change, people["finance_ops2"])
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("update ops_changes set payload = payload || '{\"priority\": 1}'")
    superuser.execute("set session_replication_role = replica")
    mine = '{"base_url": "https://mine.example"}'
    superuser.execute("update ops_changes set payload = %s, after = %s", [mine, mine])
    with nothing_changes(), pytest.raises(DigestMismatch):
        approve_change(change_id=change.pk, digest=None, signature="", comment="", actor=people["pay_admin"])
    world.http.refresh_from_db()
    assert world.http.base_url == "http://127.0.0.1:9"


def test_seen_otherwise_is_refused(world: World, people: People) -> None:
    change = new_address(world, people)
    with nothing_changes(), pytest.raises(DigestMismatch):
        approve_change(change_id=change.pk, digest="0" * 64, signature="", comment="", actor=people["finance_ops2"])


def test_changes_stay_what_was_asked(world: World, people: People) -> None:
    change = new_address(world, people)
    for column, value in {"reason": "other", "digest": "0" * 64, "subject_id": "x", "title": "x"}.items():
        with pytest.raises(IntegrityError), transaction.atomic():
            Change.objects.filter(pk=change.pk).update(**{column: value})
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("delete from ops_changes")
    with pytest.raises(IntegrityError), transaction.atomic():
        Change.objects.filter(pk=change.pk).update(status="applied", ended_at=timezone.now())


def test_metrics_say_what_waits(world: World, people: People, client: Any) -> None:
    before = client.get("/metrics").content.decode()
    assert 'ops_changes_waiting{kind="iban",status="requested"} 0.0' in before
    assert "ops_changes_oldest_waiting_seconds 0.0" in before
    new_address(world, people)
    after = client.get("/metrics").content.decode()
    assert 'ops_changes_waiting{kind="gateway",status="requested"} 1.0' in after
    assert "ops_changes_oldest_waiting_seconds 0.0\n" not in after


def test_it_lives_as_long_as_its_policy_says(world: World, people: People) -> None:
    change = new_address(world, people)
    request: Request = request_of(change)
    assert request.expires_at - request.created_at == timedelta(hours=72)


def test_nobody_asks_in_the_name_of_a_service(world: World, people: People, person: Callable[..., Actor]) -> None:
    gone = person("gone", "finance_ops")
    alter(row=gone.user, values={"is_active": False}, actor=TESTER)
    with pytest.raises(Denied):
        request_change(kind="gateway", subject="sandbox", payload={"priority": 1}, reason="x", actor=person("gone"))
