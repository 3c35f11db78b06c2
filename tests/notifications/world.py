"""What a world with notifications in it has: a channel, subscriptions, a delivery that was given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.notifications.gateways import signing
from opsconsole.notifications.gateways.outcome import Outcome
from opsconsole.notifications.models import Channel, Delivery, Notice, Subscription
from opsconsole.notifications.services import deliveries
from opsconsole.notifications.services.fanout import deliver_to
from opsconsole.notifications.services.subscriptions import subscribe_me, subscribe_role
from opsconsole.notifications.states import Severity
from opsconsole.notifications.wiring import ChannelEdit, NewChannel, edit, set_up

NOBODY_LISTENS = "http://127.0.0.1:9/hook?token=t0p5ecret"


@dataclass(frozen=True, slots=True)
class Told:
    """What `furnish` has made."""

    channel: Channel
    own: Subscription
    of_role: Subscription
    dead: Delivery


@operation
def give_addresses(*, actor: Actor) -> None:
    """Everybody has an address."""
    for user in User.objects.filter(email=""):
        user.email = f"{user.username.replace(' ', '.')}@example.com"
        user.save(update_fields=["email"])


@operation
def connect(*, name: str, kind: str, target: str, secret: str = "", actor: Actor) -> Channel:
    """A channel as an approved change leaves it; how it comes to that is tested in test_channel_changes.py."""
    new = NewChannel.checked(name=name, kind=kind, target=target, secret=secret)
    return set_up(new, reason="", trace={}, actor=actor)


@operation
def rekey(*, channel: Channel, secret: str, overlap: timedelta, actor: Actor) -> None:
    """Another secret, as an approved change leaves it."""
    row = Channel.objects.select_for_update().get(pk=channel.pk)
    edit(row, ChannelEdit.checked(row, secret=secret, overlap=overlap), reason="", trace={}, actor=actor)


@operation
def make_due(*, channel: Channel, actor: Actor, topic: str = "plan.failed") -> Delivery:
    """A notice that is due to a channel."""
    notice = Notice.objects.create(
        topic=topic,
        severity=Severity.CRITICAL,
        subject_kind="plan",
        subject_id="00000000-0000-4000-8000-000000000007",
        data={"name": "Payouts of August", "actor": "system:engine", "reason": "the bank said no"},
    )
    notice.refresh_from_db()
    return deliver_to(notice, channel=channel)


def furnish(*, admin: Actor, person: Actor) -> Told:
    """A channel that nobody listens behind, a role told through it, the person's own subscription, a dead delivery."""
    tester = SYSTEM("test")
    give_addresses(actor=tester)
    channel = connect(name="ledger", kind="webhook", target=NOBODY_LISTENS, secret=signing.make_secret(), actor=admin)
    of_role = subscribe_role(role="ops", channel_id=channel.pk, patterns=["plan.*"], minimum="warning", actor=admin)
    person = Actor.of(User.objects.get(pk=person.id))
    own = subscribe_me(patterns=["approval.requested"], minimum="info", actor=person)
    due = make_due(channel=channel, actor=tester)
    taken = deliveries.claim_one(delivery_id=due.pk, actor=tester)
    assert taken is not None
    gone = Outcome(error="the receiver answered 410", permanent=True, status=410, answer="gone")
    deliveries.finish(delivery=taken, outcome=gone, actor=tester)
    due.refresh_from_db()
    assert due.status == "dead"
    return Told(channel, own, of_role, due)
