"""The doors of notifications: who may, what is journalled, and that no secret is shown by any of them."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import NoReverseMatch, reverse
from rest_framework.test import APIClient
from standardwebhooks import Webhook

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import Denied, NotFound
from opsconsole.core.metrics import registered as facts
from opsconsole.core.models import OutboxEvent
from opsconsole.core.tokens import create_token
from opsconsole.journal.models import Entry
from opsconsole.notifications import jobs, sending
from opsconsole.notifications.kinds import kind_of, registered
from opsconsole.notifications.models import Channel, Delivery, Subscription
from opsconsole.notifications.services import channels, deliveries, subscriptions
from tests.admin.conftest import browse, messages_of, press
from tests.api.unchanged import fingerprint
from tests.notifications.conftest import SECRET, make_due, tell
from tests.notifications.receiver import Started
from tests.notifications.world import Told, furnish, give_addresses

__all__ = ["browse"]

pytestmark = pytest.mark.django_db(transaction=True)

CHANNELS, SUBSCRIPTIONS = "/api/notifications/channels", "/api/notifications/subscriptions"
DELIVERIES = "/api/notifications/deliveries"
Make = Callable[..., Channel]
People = Callable[..., Actor]
Api = Callable[..., APIClient]


def ask(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


@pytest.fixture
def told(person: People) -> Told:
    """A little of everything."""
    return furnish(admin=person("admin"), person=person("finance_ops"))


def test_the_life_of_a_channel(receiver: Started, channel: Make, api: Api) -> None:
    admin, row = api("admin"), channel("/ok?token=abc", name="ledger")
    url = f"{CHANNELS}/{row.pk}"
    assert admin.get(url).json()["target"] == receiver.url("/ok?…")
    assert "secret" not in admin.get(url).json()
    tested = admin.post(f"{url}/test", headers={"Idempotency-Key": "t"}).json()
    assert (tested["status"], tested["answer_status"], tested["answer"]) == ("delivered", 200, "thank you")
    assert admin.post(f"{url}/test", headers={"Idempotency-Key": "t"}).json()["id"] == tested["id"]
    (got,) = receiver.got()
    assert Webhook(SECRET).verify(got["body"], got["headers"])["type"] == "notification.test"
    off = admin.patch(url, {"active": False, "reason": "moved"}, headers={"Idempotency-Key": "o"})
    assert off.json()["active"] is False
    assert admin.patch(url, {"active": False, "reason": "moved"}, headers={"Idempotency-Key": "o"}).status_code == 200
    assert admin.post(f"{url}/test").json()["code"] == "channel_is_off"
    assert admin.patch(url, {"active": False}).status_code == 200, "off it is already: nothing is journalled"
    assert admin.patch(url, {"active": True}).json()["active"] is True
    assert admin.delete(url).status_code == 200
    assert admin.get(url).status_code == admin.delete(url).status_code == 404
    verbs = [verb for verb in Entry.objects.order_by("seq").values_list("verb", flat=True) if "channel" in verb]
    assert verbs == [f"notification.channel_{what}" for what in ("added", "tested", "changed", "changed", "removed")]
    assert OutboxEvent.objects.filter(topic__startswith="notification.channel_").count() == 4
    everything = "".join(str(row) for row in ask("select body from journal_entries")) + "".join(
        str(row) for row in ask("select data from core_outbox_events")
    )
    stored = "".join(str(row) for row in ask("select body from core_idempotency_keys"))
    columns = "".join(str(row) for row in ask("select target, secret, old_secret from notifications_channels"))
    for shown in (everything, stored, columns):
        assert SECRET not in shown
        assert "token=abc" not in shown


def test_a_test_that_fails_says_why_and_is_no_dead_letter(receiver: Started, channel: Make, api: Api) -> None:
    row = channel("/status/403")
    said = api("admin").post(f"{CHANNELS}/{row.pk}/test").json()
    assert (said["status"], said["answer_status"], said["error"]) == ("dropped", 403, "the receiver answered 403")
    assert not Delivery.objects.filter(status="dead").exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": "none"},
        {"active": "perhaps"},
        {"active": True, "target": "https://example.com/x"},
        {"active": True, "secret": SECRET},
        {"name": "renamed"},
    ],
)
def test_what_is_no_switch(told: Told, api: Api, body: dict[str, Any]) -> None:
    admin = api("admin")
    before = fingerprint(ask)
    assert admin.patch(f"{CHANNELS}/{told.channel.pk}", body).status_code == 400
    assert fingerprint(ask) == before


def test_no_channel_is_made_or_led_elsewhere_at_once(told: Told, api: Api) -> None:
    admin = api("admin")
    before = fingerprint(ask)
    new = {"name": "x", "kind": "slack", "target": "https://example.com/x"}
    assert admin.post(CHANNELS, new).status_code == 405
    assert admin.put(f"{CHANNELS}/{told.channel.pk}", new).status_code == 405
    assert fingerprint(ask) == before


def test_subscriptions_by_the_api(told: Told, api: Api) -> None:
    own = api("finance_ops")
    made = own.post(SUBSCRIPTIONS, {"patterns": ["plan.failed"], "minimum": "critical"})
    assert made.status_code == 201
    listed = own.get(SUBSCRIPTIONS).json()["results"]
    assert {one["user"] for one in listed} == {"finance_ops"}
    assert len(listed) == 2
    assert len(api("auditor").get(SUBSCRIPTIONS).json()["results"]) == 3
    assert api("pay_admin").delete(f"{SUBSCRIPTIONS}/{made.json()['id']}").status_code == 404
    assert api("admin").delete(f"{SUBSCRIPTIONS}/{made.json()['id']}").status_code == 403
    assert own.delete(f"{SUBSCRIPTIONS}/{made.json()['id']}").status_code == 200
    role = {"role": "ops", "channel": str(told.channel.pk), "patterns": ["plan.*"]}
    assert own.post(SUBSCRIPTIONS, role).status_code == 403
    assert api("admin").post(SUBSCRIPTIONS, role).status_code == 201
    assert own.post(SUBSCRIPTIONS, {"channel": str(told.channel.pk), "patterns": ["plan.*"]}).status_code == 400
    assert own.post(SUBSCRIPTIONS, {"patterns": "plan.*"}).status_code == 400


def test_deliveries_by_the_api(told: Told, api: Api) -> None:
    ops = api("ops")
    assert [one["id"] for one in ops.get(DELIVERIES, {"status": "dead"}).json()["results"]] == [str(told.dead.pk)]
    assert ops.get(DELIVERIES, {"status": "delivered"}).json()["results"] == []
    assert ops.get(DELIVERIES, {"channel": str(told.channel.pk)}).json()["results"][0]["answer"] == "gone"
    retried = ops.post(f"{DELIVERIES}/{told.dead.pk}/retry")
    assert (retried.status_code, retried.json()["status"]) == (202, "due")
    assert ops.post(f"{DELIVERIES}/{told.dead.pk}/retry").json()["code"] == "delivery_not_dead"


def test_who_lacks_the_right_changes_nothing(told: Told, person: People) -> None:
    ops, auditor, nobody = person("ops"), person("auditor"), person("dev")
    pay_admin = person("pay_admin")
    key = told.channel.pk
    wish = {"patterns": ["plan.*"], "minimum": "info"}
    calls: list[Callable[[Actor], Any]] = [
        lambda who: channels.switch_channel(channel_id=key, on=False, reason="", actor=who),
        lambda who: channels.remove_channel(channel_id=key, reason="", actor=who),
        lambda who: channels.make_test_message(channel_id=key, actor=who),
        lambda who: subscriptions.subscribe_role(role="ops", channel_id=key, actor=who, **wish),
        lambda who: subscriptions.change_subscription(
            subscription_id=told.of_role.pk, channel_id=None, actor=who, **wish
        ),
        lambda who: subscriptions.change_subscription(subscription_id=told.own.pk, channel_id=None, actor=who, **wish),
        lambda who: subscriptions.remove_subscription(subscription_id=told.own.pk, actor=who),
        lambda who: subscriptions.remove_subscription(subscription_id=told.of_role.pk, actor=who),
    ]
    before = fingerprint(ask)
    for call in calls:
        for who in (ops, auditor, nobody, pay_admin):
            with pytest.raises((Denied, NotFound)):
                call(who)
    for who in (auditor, nobody, pay_admin):
        with pytest.raises((Denied, NotFound)):
            deliveries.retry_delivery(delivery_id=told.dead.pk, actor=who)
        with pytest.raises((Denied, NotFound)):
            deliveries.retry_dead(channel_id=key, actor=who)
    for who in (auditor, nobody):
        with pytest.raises(Denied):
            subscriptions.subscribe_me(actor=who, **wish)
    assert fingerprint(ask) == before


def test_no_page_shows_a_secret(told: Told, browse: Callable[..., Client]) -> None:
    row = Channel.objects.get()
    secrets = (row.secret.reveal(), "t0p5ecret")
    client = browse("admin")
    pages = [reverse("admin:notifications_channel_changelist")]
    names = ("change", "edit", "secret", "test", "off", "remove")
    pages += [reverse(f"admin:notifications_channel_{name}", args=[row.pk]) for name in names]
    pages.append(reverse("admin:notifications_delivery_change", args=[told.dead.pk]))
    pages.append(reverse("admin:notifications_subscription_change", args=[told.of_role.pk]))
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200, page
        assert not any(secret in answer.content.decode() for secret in secrets), page
    assert row.secret.reveal() not in repr(row.__dict__)


def test_a_channel_by_its_pages(receiver: Started, browse: Callable[..., Client], channel: Make) -> None:
    client, row = browse("admin"), channel(name="ledger")
    assert SECRET not in client.get(reverse("admin:notifications_channel_change", args=[row.pk])).content.decode()
    answer = press(client, reverse("admin:notifications_channel_test", args=[row.pk]))
    assert "It has arrived" in messages_of(answer)[0]
    press(client, reverse("admin:notifications_channel_off", args=[row.pk]), reason="moved")
    row.refresh_from_db()
    assert not row.active
    assert "switched off" in client.get(reverse("admin:notifications_channel_test", args=[row.pk])).content.decode()
    press(client, reverse("admin:notifications_channel_on", args=[row.pk]), reason="back")
    row.refresh_from_db()
    assert row.active
    press(client, reverse("admin:notifications_channel_remove", args=[row.pk]), reason="gone", typed="ledger")
    assert client.get(reverse("admin:notifications_channel_change", args=[row.pk])).status_code == 404


def test_ones_own_subscription_by_its_pages(browse: Callable[..., Client], person: People, settings: Any) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    me = reverse("admin:notifications_subscription_me")
    client = browse("ops")
    assert "You have no e-mail address" in client.get(me).content.decode()
    give_addresses(actor=SYSTEM("test"))
    page = client.get(me).content.decode()
    assert "plan.step_unknown" in page
    assert press(client, me).status_code == 302
    row = Subscription.objects.get()
    assert row.user.username == "ops"
    assert "approval.requested" in row.patterns
    edit = reverse("admin:notifications_subscription_edit", args=[row.pk])
    assert press(client, edit, patterns="plan.*\njournal.broken", minimum="critical").status_code == 302
    row.refresh_from_db()
    assert (row.patterns, row.minimum) == (["plan.*", "journal.broken"], "critical")
    assert press(client, edit, patterns="plan.faild").status_code == 400
    assert browse("finance_ops").get(edit).status_code == 404
    assert browse("admin").get(edit).status_code == 403
    press(client, reverse("admin:notifications_subscription_end", args=[row.pk]))
    assert not Subscription.objects.exists()


def test_everything_dead_of_a_channel_is_sent_again(told: Told, browse: Callable[..., Client]) -> None:
    answer = press(browse("ops"), reverse("admin:notifications_channel_retry-dead", args=[told.channel.pk]))
    assert messages_of(answer) == ["1 message is due again."]
    told.dead.refresh_from_db()
    assert (told.dead.status, told.dead.attempts) == ("due", 0)


def test_the_command_tells_what_came_of_it(
    receiver: Started, channel: Make, person: People, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    channel("/ok", name="good")
    channel("/status/500", name="bad")
    monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(person("admin").user))
    said = StringIO()
    call_command("notify_test", "good", "--as", "admin", stdout=said)
    assert said.getvalue().startswith("good: delivered in ")
    for name in ("bad", "unknown"):
        with pytest.raises(SystemExit) as ended:
            call_command("notify_test", name, "--as", "admin")
        assert ended.value.code == 1
    monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(person("ops").user))
    with pytest.raises(SystemExit):
        call_command("notify_test", "good", "--as", "ops")
    assert len(receiver.got("/ok")) == 1


def test_the_figures(receiver: Started, channel: Make) -> None:
    def told_of(name: str) -> dict[tuple[str, ...], float]:
        (fact,) = [fact for fact in facts() if fact.name == name]
        return dict(fact.samples())

    assert set(told_of("ops_notification_deliveries").values()) == {0.0}
    channel("/ok", name="good")
    channel("/status/410", name="gone")
    tell()
    assert told_of("ops_notification_deliveries")["due", "webhook"] == 2
    assert told_of("ops_notification_oldest_seconds")[()] >= 0
    sending.send_due()
    counted = told_of("ops_notification_deliveries")
    assert (counted["due", "webhook"], counted["delivered", "webhook"], counted["dead", "webhook"]) == (0, 1, 1)
    assert told_of("ops_notification_dead")[()] == 1
    with connection.cursor() as cursor:
        cursor.execute("update notifications_deliveries set ended_at = now() - interval '100 days'")
        cursor.execute("update notifications_notices set happened_at = now() - interval '100 days'")
    jobs.tidy()
    assert not Delivery.objects.exists()
    counted = told_of("ops_notification_deliveries")
    assert (counted["delivered", "webhook"], counted["dead", "webhook"]) == (1, 0)


def test_every_kind_has_words_a_severity_and_a_page() -> None:
    row = "00000000-0000-4000-8000-000000000007"
    for kind in registered():
        assert kind_of(kind.pattern) is kind
        assert str(kind.title)
        if kind.page:
            try:
                reverse(f"admin:{kind.page}", args=[row] if kind.key else [])
            except NoReverseMatch:
                pytest.fail(f"{kind.pattern}: no page {kind.page}")
    # Nothing of theirs has a page of its own.
    assert {kind.pattern for kind in registered() if not kind.page} == {
        "bank_file.break", "bank_file.*", "login.throttled", "login.*", "voucher.guessed",
    }  # fmt: skip
    named = {permission for kind in registered() for permission in [kind.permission]}
    there = {
        f"{app}.{name}"
        for app, name in ask(
            "select app_label, codename from auth_permission p join django_content_type t on t.id = content_type_id"
        )
    }
    assert sorted(named - there) == []


def test_the_database_refuses_what_makes_no_sense(told: Told) -> None:
    for statement in (
        "update notifications_deliveries set status = 'delivered'",
        "update notifications_deliveries set channel_id = null",
        "update notifications_channels set secret = ''",
        "update notifications_channels set removed_at = now()",
        "update notifications_subscriptions set role = '', user_id = null",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    make_due()
    assert Delivery.objects.get().status == "dead"
