"""Who is told: exactly those who want to know and may, each once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from opsconsole.approvals.models import Request
from opsconsole.approvals.quorum import Slot
from opsconsole.approvals.terms import Terms
from opsconsole.core.actors import Actor
from opsconsole.core.jobs import sweep_outbox
from opsconsole.core.models import OutboxEvent
from opsconsole.core.operations import operation
from opsconsole.notifications import jobs, sending
from opsconsole.notifications.errors import BadSubscription, NoAddress
from opsconsole.notifications.models import Channel, Delivery, Notice, Subscription
from opsconsole.notifications.services import fanout
from opsconsole.notifications.services.channels import remove_channel, switch_channel
from opsconsole.notifications.services.subscriptions import (
    change_subscription,
    remove_subscription,
    subscribe_me,
    subscribe_role,
)
from tests.notifications.conftest import TESTER, happen, leave, set_email, tell
from tests.notifications.receiver import Started

pytestmark = pytest.mark.django_db(transaction=True)

Make = Callable[..., Channel]
People = Callable[..., Actor]


@pytest.fixture
def mailed(person: People, postbox: Started) -> Callable[..., Actor]:
    """A person with an address."""

    def make(name: str, *roles: str) -> Actor:
        actor = person(name, *roles)
        set_email(name=name, email=f"{name}@example.com", actor=TESTER)
        return Actor.of(type(actor.user).objects.get(pk=actor.user.pk))

    return make


@operation
def ask(*, by: Actor, actor: Actor, roles: dict[str, int], ttl: timedelta = timedelta(hours=8)) -> Request:
    """A request for approval, written as the kernel writes it."""
    terms = Terms(
        action="test.action",
        version=1,
        slots=tuple(Slot((role,), count) for role, count in roles.items()),
        executors=("ops",),
        signature_required=False,
        ttl=ttl,
        requester_may_approve=False,
    )
    return Request.objects.create(
        action="test.action",
        subject_kind="plan",
        subject_id=str(uuid4()),
        title="Payouts of August",
        digest="0" * 64,
        content={"estimated_impact": {"sums": {"EUR": "250000.00"}, "count": 12}},
        policy=terms.as_json(),
        requested_by=by.user,
        expires_at=timezone.now() + ttl,
    )


def letters(postbox: Started) -> list[str]:
    """To whom letters went, sorted."""
    sending.send_due()
    return sorted(one["path"] for one in postbox.got())


def test_a_role_reaches_exactly_its_members(mailed: Callable[..., Actor], person: People, postbox: Started) -> None:
    for name in ("anna", "berta"):
        mailed(name, "finance_ops")
    mailed("clara", "ops")
    mailed("dora", "finance_ops")
    person("without-address", "finance_ops")
    leave(name="dora", actor=TESTER)
    subscribe_role(role="finance_ops", channel_id=None, patterns=["plan.failed"], minimum="info", actor=person("admin"))
    tell()
    tell("plan.succeeded")
    assert letters(postbox) == ["anna@example.com", "berta@example.com"]
    letter = postbox.got()[0]
    assert letter["subject"] == "[critical] Plan failed: Payouts of August"
    assert "By: system:test" in letter["plain"]
    assert "http://localhost:8000/admin/plans/plan/" in letter["plain"]
    assert "<h1" in letter["html"]
    assert letter["from"] == "opsconsole@localhost"
    sent = {f"<{one.pk}@localhost>" for one in Delivery.objects.all()}
    assert {one["id"] for one in postbox.got()} == sent, "a repetition has the same Message-ID"


def test_several_subscriptions_are_one_message(
    mailed: Callable[..., Actor], person: People, postbox: Started, receiver: Started, channel: Make
) -> None:
    anna = mailed("anna", "finance_ops", "ops")
    subscribe_me(patterns=["plan.*"], minimum="info", actor=anna)
    for role in ("finance_ops", "ops"):
        subscribe_role(role=role, channel_id=None, patterns=["plan.*"], minimum="info", actor=person("admin"))
    row = channel(role="ops")
    subscribe_role(role="pay_admin", channel_id=row.pk, patterns=["plan.failed"], minimum="info", actor=person("admin"))
    tell()
    assert letters(postbox) == ["anna@example.com"]
    assert len(receiver.got()) == 1


def test_an_event_is_fanned_out_once_however_often_it_is_heard(channel: Make) -> None:
    channel()
    (delivery,) = tell()
    event = OutboxEvent.objects.get(topic="plan.failed")
    assert fanout.fan_out(event_id=event.pk, actor=TESTER) == 0
    jobs.fan_out(event)
    assert [one.pk for one in Delivery.objects.all()] == [delivery.pk]
    assert Notice.objects.count() == 1


def test_below_the_minimum_nobody_is_told(mailed: Callable[..., Actor], postbox: Started) -> None:
    subscribe_me(patterns=["plan.*"], minimum="critical", actor=mailed("anna", "ops"))
    tell("plan.succeeded")
    tell("plan.rolled_back")
    assert not Notice.objects.exists()
    tell("plan.partial")
    assert letters(postbox) == ["anna@example.com"]


def test_nobody_is_told_what_they_may_not_see(
    mailed: Callable[..., Actor], person: People, postbox: Started, receiver: Started, channel: Make
) -> None:
    channel(role="dev", patterns=["*"])
    sweep_outbox()
    subscribe_me(patterns=["*"], minimum="info", actor=mailed("root", "admin"))
    subscribe_role(role="dev", channel_id=None, patterns=["*"], minimum="info", actor=person("admin"))
    mailed("dan", "dev")
    tell("plan.rolled_back")
    tell("payout.returned", kind="payout", data={"external_id": "P1"})
    assert letters(postbox) == receiver.got() == [], postbox.got()
    tell("journal.broken", kind="journal")
    tell("something.new", kind="thing")
    letters(postbox)
    subjects = [one["subject"] for one in postbox.got()]
    assert any("The journal does not verify" in subject for subject in subjects)
    assert any(subject.startswith("[information] something.new: thing ") for subject in subjects)
    assert {one["path"] for one in postbox.got()} == {"root@example.com"}


def test_who_left_meanwhile_is_not_told_any_more(
    mailed: Callable[..., Actor], postbox: Started, person: People
) -> None:
    subscribe_me(patterns=["plan.*"], minimum="info", actor=mailed("anna", "ops"))
    (delivery,) = tell()
    leave(name="anna", actor=TESTER)
    assert letters(postbox) == []
    delivery.refresh_from_db()
    assert (delivery.status, delivery.error) == ("dropped", "the person has left")


def test_a_request_is_mentioned_to_those_who_may_decide_it(mailed: Callable[..., Actor], postbox: Started) -> None:
    people = {name: mailed(name, "finance_ops") for name in ("anna", "berta")}
    people["clara"] = mailed("clara", "ops")
    for actor in people.values():
        subscribe_me(patterns=["approval.*"], minimum="warning", actor=actor)
    request = ask(by=people["anna"], roles={"finance_ops": 1}, actor=TESTER)
    facts = {"request": str(request.pk), "title": request.title, "action": request.action}
    tell("approval.requested", id=request.subject_id, data=facts)
    assert letters(postbox) == ["berta@example.com"], "neither who asked, nor who has another role"
    (letter,) = postbox.got()
    assert letter["subject"] == "[warning] Your approval is asked for: Payouts of August"
    for said in ("Amount: 250,000.00 EUR", "Number: 12", "Asked by: anna", "Still needed: 1 finance_ops"):
        assert said in letter["plain"], said
    assert f"/admin/approvals/request/{request.pk}/change/" in letter["plain"]


def test_one_reminder_when_a_request_nears_its_end(
    mailed: Callable[..., Actor], postbox: Started, superuser: psycopg.Connection[Any]
) -> None:
    anna, berta = mailed("anna", "ops"), mailed("berta", "finance_ops")
    subscribe_me(patterns=["approval.expiring"], minimum="info", actor=berta)
    request = ask(by=anna, roles={"finance_ops": 1}, actor=TESTER)
    assert jobs.remind_of_requests() == 0
    superuser.execute("set session_replication_role = replica")  # time cannot be waited for, nor rows edited
    superuser.execute(
        "update approvals_requests set created_at = now() - interval '7 hours', expires_at = now() + interval '1 hour'"
    )
    assert jobs.remind_of_requests() == 1
    assert jobs.remind_of_requests() == 0
    sweep_outbox()
    assert letters(postbox) == ["berta@example.com"]
    assert "soon over: Payouts of August" in postbox.got()[0]["subject"]
    assert OutboxEvent.objects.get(topic="approval.expiring").data["request"] == str(request.pk)


def test_mailboxes_of_a_channel_get_one_letter_together(channel: Make, postbox: Started) -> None:
    channel(kind="email", target="treasury@example.com\nops@example.com")
    tell()
    assert letters(postbox) == ["treasury@example.com,ops@example.com"]


def test_a_refusal_for_good_and_one_for_now(channel: Make, postbox: Started) -> None:
    channel(kind="email", target="nobody@example.com", name="gone")
    channel(kind="email", target="busy@example.com", name="busy")
    tell()
    assert letters(postbox) == []
    states = {one.channel.name: one for one in Delivery.objects.select_related("channel")}
    assert states["gone"].status == "dead"
    assert "550 5.1.1 no such mailbox" in states["gone"].error
    assert states["busy"].status == "due"
    assert "451" in states["busy"].error


def test_a_mail_server_that_is_away(mailed: Callable[..., Actor], postbox: Started, settings: Any) -> None:
    subscribe_me(patterns=["plan.*"], minimum="info", actor=mailed("anna", "ops"))
    settings.EMAIL_PORT = 1
    (delivery,) = tell()
    sending.send_due()
    delivery.refresh_from_db()
    assert delivery.status == "due"
    assert delivery.error.startswith("the mail server is not to be had")


def test_without_a_mail_server_nothing_is_due_by_mail(
    mailed: Callable[..., Actor], settings: Any, receiver: Started, channel: Make
) -> None:
    subscribe_me(patterns=["plan.*"], minimum="info", actor=mailed("anna", "ops"))
    channel()
    settings.EMAIL_HOST = ""
    assert [one.kind for one in tell()] == ["webhook"]


def test_a_channel_that_is_off_or_removed_is_told_nothing(receiver: Started, channel: Make, person: People) -> None:
    row, admin = channel(), person("admin")
    (waits,) = tell()
    switch_channel(channel_id=row.pk, on=False, reason="moved", actor=admin)
    tell()
    assert Delivery.objects.filter(notice__topic="plan.failed").count() == 1
    sending.send_due()
    waits.refresh_from_db()
    assert (waits.status, receiver.got()) == ("dropped", [])
    remove_channel(channel_id=row.pk, reason="", actor=admin)
    row.refresh_from_db()
    assert (str.__str__(row.target), str.__str__(row.secret), row.active) == ("", "", False)
    assert not Subscription.objects.filter(channel=row).exists()


def test_what_is_subscribed_to_exists(person: People, mailed: Callable[..., Actor]) -> None:
    anna = mailed("anna", "ops")
    for patterns in ([], ["plan.faild"], ["PLAN.*"], ["plan.[x]"], ["x" * 50], ["'; drop table"]):
        with pytest.raises(BadSubscription):
            subscribe_me(patterns=patterns, minimum="info", actor=anna)
    with pytest.raises(BadSubscription):
        subscribe_me(patterns=["plan.*"], minimum="loud", actor=anna)
    with pytest.raises(BadSubscription):
        subscribe_role(role="kings", channel_id=None, patterns=["*"], minimum="info", actor=person("admin"))
    with pytest.raises(NoAddress):
        subscribe_me(patterns=["*"], minimum="info", actor=person("pay_admin"))
    assert not Subscription.objects.exists()


def test_a_person_changes_their_own_and_ends_it(mailed: Callable[..., Actor]) -> None:
    anna = mailed("anna", "ops")
    row = subscribe_me(patterns=["plan.*"], minimum="info", actor=anna)
    changed = change_subscription(
        subscription_id=row.pk, patterns=["plan.failed", "plan.failed"], minimum="critical", channel_id=None, actor=anna
    )
    assert (changed.patterns, changed.minimum) == (["plan.failed"], "critical")
    remove_subscription(subscription_id=row.pk, actor=anna)
    assert not Subscription.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("select body::jsonb->>'verb' from journal_entries order by seq")
        verbs = [verb for (verb,) in cursor.fetchall() if verb.startswith("notification.")]
    assert verbs == [f"notification.subscription_{what}" for what in ("added", "changed", "removed")]


def test_an_event_of_an_operation_that_fails_is_told_to_nobody(channel: Make) -> None:
    @operation
    def fail(*, actor: Actor) -> None:
        from opsconsole.core.outbox import emit

        emit("plan.failed", kind="plan", id=UUID(int=1))
        raise ZeroDivisionError

    channel()
    with pytest.raises(ZeroDivisionError):
        fail(actor=TESTER)
    sweep_outbox()
    assert not Delivery.objects.exists()
    happen(topic="plan.failed", actor=TESTER)
    sweep_outbox()
    assert json.loads(json.dumps(Delivery.objects.get().notice.data))["actor"] == "system:test"
