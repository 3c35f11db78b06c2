"""Channels by approved changes: who asks, who agrees, what approvers see, and that nothing goes out before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient
from standardwebhooks import Webhook

from opsconsole.approvals.errors import SeparationOfDuties
from opsconsole.changes.models import Change
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied, DomainError
from opsconsole.journal.models import Entry
from opsconsole.notifications import sending
from opsconsole.notifications.gateways import signing
from opsconsole.notifications.models import Channel, Delivery
from opsconsole.notifications.services.channels import remove_channel, switch_channel
from tests.admin.conftest import browse, messages_of, press
from tests.changes.conftest import approve, ask, everything_written, nothing_changes, people
from tests.notifications.conftest import SECRET, TESTER, tell
from tests.notifications.receiver import Started
from tests.notifications.world import connect, rekey

__all__ = ["browse", "people"]

pytestmark = pytest.mark.django_db(transaction=True)

Make = Callable[..., Channel]
People = dict[str, Actor]
CHANGES = "/api/changes"
SLACK = "https://hooks.slack.com/services/T0/B0/s3cr3t-of-slack"


def ask_for(people: People, **payload: Any) -> Change:
    new = {"name": "ledger", "kind": "slack", "target": SLACK} | payload
    return ask("channel_set_up", "", new, people["admin"])


def agreed(change: Change, people: People) -> Change:
    return approve(change, people["admin2"], people["pay_admin"])


def url(row: Any, name: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])


def test_a_channel_is_there_once_others_have_agreed(people: People) -> None:
    change = ask_for(people)
    assert change.before == {"name": None, "kind": None, "target": None, "target_sha256": None}
    assert change.after == {
        "name": "ledger",
        "kind": "slack",
        "target": "https://hooks.slack.com/…",
        "target_sha256": hashlib.sha256(SLACK.encode()).hexdigest(),
    }
    assert "Any workspace at hooks.slack.com" in change.warnings[0]
    with nothing_changes(), pytest.raises(SeparationOfDuties):
        approve(change, people["admin"])
    with nothing_changes(), pytest.raises(Denied):
        approve(change, people["auditor"])
    approve(change, people["admin2"])
    assert not Channel.objects.exists()
    assert approve(change, people["pay_admin"]).status == "applied"
    row = Channel.objects.get()
    change.refresh_from_db()
    assert (row.target.reveal(), row.active, change.secrets) == (SLACK, True, "")
    entry = Entry.objects.get(verb="notification.channel_added")
    assert (entry.actor_name, entry.content["reason"]) == ("pay_admin", "agreed by letter")
    assert entry.content["after"]["requested_by"] == "admin"
    assert "s3cr3t-of-slack" not in everything_written()


def test_nothing_goes_to_a_new_target_before_it_is_approved(receiver: Started, channel: Make, people: People) -> None:
    row = channel("/old", kind="slack")
    tell()
    change = ask("channel_edit", row.name, {"target": receiver.url("/new")}, people["admin"])
    assert change.warnings[1:] == [
        "It is told what ops are told, and goes on being told so at the new place.",
        "1 messages that wait now go to the new place.",
    ]
    approve(change, people["admin2"])
    sending.send_due()
    assert (len(receiver.got("/old")), receiver.got("/new")) == (1, [])
    tell()
    assert approve(change, people["pay_admin"]).status == "applied"
    sending.send_due()
    assert (len(receiver.got("/old")), len(receiver.got("/new"))) == (1, 1)


def test_a_new_secret_signs_from_the_approval_on(receiver: Started, channel: Make, people: People) -> None:
    row, fresh = channel(), signing.make_secret()
    change = ask("channel_edit", row.pk, {"secret": fresh, "overlap_hours": 0}, people["admin"])
    assert sorted(change.after) == ["overlap_hours", "secret"]
    assert change.after["secret"] != change.before["secret"]
    tell()
    sending.send_due()
    agreed(change, people)
    tell()
    sending.send_due()
    for secret, got in zip((SECRET, fresh), receiver.got(), strict=True):
        assert Webhook(secret).verify(got["body"], got["headers"])
    row.refresh_from_db()
    assert (row.old_secret, row.old_secret_until) == ("", None)
    written = everything_written()
    assert fresh not in written
    assert SECRET not in written


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda row, who: rekey(channel=row, secret=signing.make_secret(), overlap=timedelta(0), actor=who),
        lambda row, who: remove_channel(channel_id=row.pk, reason="gone", actor=who),
    ],
    ids=["another secret", "removed"],
)
def test_a_channel_that_changed_meanwhile_makes_it_stale(
    channel: Make, people: People, meanwhile: Callable[[Channel, Actor], Any]
) -> None:
    row = channel()
    change = ask("channel_edit", row.pk, {"secret": signing.make_secret()}, people["admin"])
    approve(change, people["admin2"])
    meanwhile(row, people["admin"])
    stands = Channel.objects.values().get()
    done = approve(change, people["pay_admin"])
    assert (done.status, done.secrets) == ("stale", "")
    assert Channel.objects.values().get() == stands


def test_switching_is_at_once_and_leaves_a_change_as_it_is(channel: Make, people: People) -> None:
    row = channel()
    change = ask("channel_edit", row.pk, {"target": "https://example.com/x"}, people["admin"])
    switch_channel(channel_id=row.pk, on=False, reason="it leaks", actor=people["admin2"])
    assert agreed(change, people).status == "applied"
    row.refresh_from_db()
    assert (row.active, row.target.reveal()) == (False, "https://example.com/x"), "off it stays"


def test_a_name_that_is_taken_meanwhile(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    change, late = ask_for(people), ask_for(people)
    connect(name="ledger", kind="email", target="ledger@example.com", actor=TESTER)
    done = agreed(change, people)
    assert (done.status, Channel.objects.get().kind) == ("stale", "email")
    assert "There is a channel ledger already." in done.failure
    # Somebody takes it between the look and the writing: the database refuses.
    monkeypatch.setattr("opsconsole.notifications.wiring.require_free", lambda _name: None)
    done = agreed(late, people)
    assert (done.status, done.failure) == ("failed", "There is a channel ledger already.")
    assert (Channel.objects.get().kind, done.secrets) == ("email", "")
    assert not Entry.objects.filter(verb="notification.channel_added", actor_name="pay_admin").exists()


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"name": "x", "kind": "webhook", "target": "ftp://x/", "secret": SECRET}, "bad_target"),
        ({"name": "x", "kind": "slack", "target": "https://10.0.0.1/x"}, "bad_target"),
        ({"name": "x", "kind": "email", "target": "nobody"}, "bad_target"),
        ({"name": "x", "kind": "slack", "target": "https://example.com/x", "secret": SECRET}, "bad_secret"),
        ({"name": "x", "kind": "webhook", "target": "https://example.com/x", "secret": "short"}, "bad_secret"),
        ({"name": "x", "kind": "webhook", "target": "https://example.com/x"}, "bad_secret"),
        ({"name": "x", "kind": "pager", "target": "https://example.com/x"}, "invalid"),
        ({"name": "taken", "kind": "slack", "target": "https://example.com/x"}, "channel_name_taken"),
        ({"kind": "slack"}, "invalid"),
        ({"name": "x", "kind": "slack", "target": "https://example.com/x", "active": True}, "invalid"),
    ],
)
def test_what_is_no_channel(people: People, payload: dict[str, Any], code: str) -> None:
    connect(name="taken", kind="slack", target="https://example.com/y", actor=TESTER)
    with nothing_changes(), pytest.raises(DomainError) as refused:
        ask("channel_set_up", "", payload, people["admin"])
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({}, "nothing_changes"),
        ({"name": "taken"}, "nothing_changes"),
        ({"name": "other"}, "channel_name_taken"),
        ({"target": "javascript:x"}, "bad_target"),
        ({"secret": "x"}, "bad_secret"),
        ({"secret": SECRET}, "bad_secret"),
        ({"overlap_hours": 3}, "invalid"),
        ({"secret": SECRET, "overlap_hours": 721}, "invalid"),
        ({"kind": "email"}, "invalid"),
    ],
)
def test_what_is_no_edit(people: People, payload: dict[str, Any], code: str) -> None:
    connect(name="taken", kind="webhook", target="https://example.com/y", secret=SECRET, actor=TESTER)
    connect(name="other", kind="slack", target="https://example.com/y", actor=TESTER)
    with nothing_changes(), pytest.raises(DomainError) as refused:
        ask("channel_edit", "taken", payload, people["admin"])
    assert refused.value.code == code


def test_letters_to_strangers_are_warned_of(people: People) -> None:
    change = ask_for(people, kind="email", target="a@example.org\nb@example.net, a@example.org")
    assert change.warnings == ["Nobody here has an address at example.net, example.org."]
    assert change.after["target"] == "a@example.org, b@example.net, a@example.org"


def test_by_the_api(people: People, api: Callable[..., APIClient]) -> None:
    body = {
        "kind": "channel_set_up",
        "payload": {"name": "ledger", "kind": "webhook", "target": "https://l.example.com/?t=0p5", "secret": SECRET},
        "reason": "they book it",
    }
    strangers = [api(who) for who in ("ops", "finance_ops", "pay_admin", "auditor", "dev")]
    with nothing_changes():
        assert {stranger.post(CHANGES, body).status_code for stranger in strangers} == {403}
    admin, key = api("admin"), {"Idempotency-Key": "k"}
    made = admin.post(CHANGES, body, headers=key)
    assert made.status_code == 201
    again = admin.post(CHANGES, body, headers=key)
    assert (again.json()["id"], again["Idempotency-Replayed"]) == (made.json()["id"], "true")
    assert Change.objects.count() == 1
    one = f"{CHANGES}/{made.json()['id']}"
    assert admin.post(f"{one}/approve", {}).status_code == 403
    for who in ("admin2", "pay_admin"):
        answer = api(who).post(f"{one}/approve", {"digest": made.json()["digest"]})
        assert answer.status_code == 200
    assert answer.json()["status"] == "applied"
    (row,) = admin.get("/api/notifications/channels").json()["results"]
    assert (row["name"], row["target"]) == ("ledger", "https://l.example.com/?…")
    for said in (made, answer, admin.get(one)):
        assert "0p5" not in said.content.decode()
        assert SECRET not in said.content.decode()


def test_by_the_pages(people: People, browse: Callable[..., Client], receiver: Started) -> None:
    client = browse("admin")
    add = reverse("admin:notifications_channel_add-webhook")
    offered = client.get(add).context["form"].initial["secret"]
    assert signing.key_of(offered)
    assert client.get(add).context["form"].initial["secret"] != offered
    with nothing_changes():
        wrong = press(client, add, name="ledger", target="ftp://x", secret=offered, reason="they book it")
        assert wrong.status_code == 400
        assert "https://host" in wrong.content.decode()
    target = receiver.url("/ok")
    press(client, add, name="ledger", target=target, secret=offered, reason="they book it")
    change = Change.objects.get()
    assert not Channel.objects.exists()
    for name in ("admin2", "pay_admin"):
        client = browse(name)
        shown = client.get(url(change)).content.decode()
        assert target in shown
        assert offered not in shown
        answer = press(client, url(change, "approve"))
    assert messages_of(answer) == ["Applied."]
    row = Channel.objects.get()
    assert (row.secret.reveal(), row.target.reveal()) == (offered, target)

    client = browse("admin")
    press(client, url(row, "edit"), target=receiver.url("/new"), reason="moved")
    press(client, url(row, "secret"), overlap_hours="2", reason="yearly")
    edits = {tuple(sorted(change.payload)): change for change in Change.objects.filter(kind="channel_edit")}
    assert sorted(edits) == [("overlap_hours", "secret"), ("target",)]
    page = client.get(url(row)).content.decode()
    assert all(change.title in page for change in edits.values())
    row.refresh_from_db()
    assert (row.secret.reveal(), row.target.reveal()) == (offered, target)
    slack = reverse("admin:notifications_channel_add-slack")
    mail = reverse("admin:notifications_channel_add-mail")
    assert press(client, slack, name="s", target=SLACK, reason="rota").status_code == 302
    assert press(client, mail, name="m", target="a@x.org\nb@x.org", reason="rota").status_code == 302
    kinds = [change.after.get("kind") for change in Change.objects.order_by("created_at")]
    assert kinds == ["webhook", None, None, "slack", "email"]
    assert Channel.objects.count() == 1


def test_what_waits_is_never_read_from_a_change(people: People) -> None:
    ask_for(people)
    with connection.cursor() as cursor:
        cursor.execute("select secrets, payload::text from ops_changes")
        secrets, payload = cursor.fetchone()
    assert secrets
    assert "s3cr3t" not in secrets + payload
    assert not Delivery.objects.exists()
