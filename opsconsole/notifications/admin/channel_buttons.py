"""The buttons of a channel: add, test, change, give another secret, switch off, remove."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, OptionalReasonForm, Press, ReasonForm, done, then
from opsconsole.core.admin.display import Text
from opsconsole.core.idempotency import Answer
from opsconsole.notifications import access, sending
from opsconsole.notifications.gateways import signing
from opsconsole.notifications.models import Channel, Delivery
from opsconsole.notifications.serializers import MAX_TARGET, MOST_HOURS
from opsconsole.notifications.services import channels, deliveries
from opsconsole.notifications.services.channels import MAX_NAME, ChannelChange, NewChannel
from opsconsole.notifications.states import ChannelKind, NotificationState


def _secret_field() -> forms.CharField:
    return forms.CharField(
        label=_("Signing secret"),
        max_length=200,
        help_text=_("Give it to the receiver now: it is not shown again. Or enter the one that the receiver gave you."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "class": "ops-mono"}),
    )


class _NewForm(OptionalReasonForm):
    """A name and a target."""

    name = forms.CharField(label=_("Name"), max_length=MAX_NAME)
    target = forms.CharField(
        label=_("URL"), max_length=MAX_TARGET, widget=forms.TextInput({"inputmode": "url", "spellcheck": "false"})
    )
    field_order = ("name", "target", "secret", "reason")


class SlackForm(_NewForm):
    """A Slack channel."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["target"].help_text = _("The URL of an incoming webhook. Whoever knows it can write there.")


class WebhookForm(_NewForm):
    """A receiver of signed webhooks."""

    secret = _secret_field()


class MailForm(_NewForm):
    """Mailboxes."""

    target = forms.CharField(
        label=_("E-mail addresses"),
        max_length=MAX_TARGET,
        help_text=_("One on each line, or parted by commas."),
        widget=forms.Textarea({"rows": 3, "spellcheck": "false"}),
    )


class ChangeForm(ReasonForm):
    """Another name, another target."""

    name = forms.CharField(label=_("Name"), max_length=MAX_NAME)
    target = forms.CharField(
        label=_("Other target"),
        required=False,
        max_length=MAX_TARGET,
        help_text=_("Leave it empty to keep the one it has."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    field_order = ("name", "target", "reason")


class SecretForm(ReasonForm):
    """Another secret, and how long the old one signs on."""

    secret = _secret_field()
    overlap_hours = forms.IntegerField(
        label=_("Hours for which the old one signs as well"), min_value=0, max_value=MOST_HOURS
    )
    field_order = ("secret", "overlap_hours", "reason")


class _Add(Action[None]):
    permission = access.MANAGE
    icon = "add"
    kind: ChannelKind

    def question(self, _row: None) -> Text:
        """What leaves the house."""
        return _("What happens here will be told there, to whoever reads it. Subscriptions say which events.")

    def perform(self, press: Press[None]) -> Answer:
        """Add it."""
        return channels.add_channel.once(
            press.key,
            then(lambda _channel: now_("The channel is there. Send a test message through it."), display.row_url),
            channel=NewChannel(press.data["name"], self.kind.value, press.data["target"], press.data.get("secret", "")),
            reason=press.data["reason"],
            actor=press.actor,
        )


class AddSlack(_Add):
    """A Slack-compatible one."""

    name = "add-slack"
    label = _("Add Slack channel")
    form = SlackForm
    kind = ChannelKind.SLACK


class AddWebhook(_Add):
    """A signed one; its secret is shown on this form and never again."""

    name = "add-webhook"
    label = _("Add signed webhook")
    form = WebhookForm
    kind = ChannelKind.WEBHOOK

    def initial(self, _row: None) -> dict[str, Any]:
        """A fresh secret."""
        return {"secret": signing.make_secret()}


class AddMail(_Add):
    """Mailboxes."""

    name = "add-mail"
    label = _("Add mailboxes")
    form = MailForm
    kind = ChannelKind.EMAIL


class SendTest(Action[Channel]):
    """Send a message now."""

    name = "test"
    label = _("Send a test message")
    icon = "send"
    tone = "primary"
    permission = access.MANAGE

    def obstacle(self, _actor: Actor, row: Channel) -> Text:
        """Off is off."""
        return "" if row.active else now_("The channel is switched off.")

    def question(self, row: Channel) -> Text:
        """Where it goes."""
        return now_("Send a test message to “%(name)s” now and wait for the answer?") % {"name": row.name}

    def perform(self, press: Press[Channel]) -> Answer:
        """Send it, once; the page of the delivery has the answer."""
        made = channels.make_test_message.once(
            press.key,
            lambda delivery: done(str(delivery.pk), to=display.row_url(delivery)),
            channel_id=press.row.pk,
            actor=press.actor,
        )
        sent = sending.send_now(UUID(made.body["message"]))
        if sent.status == NotificationState.DELIVERED:
            return done(now_("It has arrived, in %(seconds)s s.") % {"seconds": sent.seconds}, to=made.body["to"])
        said = now_("It has not arrived: %(error)s") % {"error": sent.error}
        return Answer(HTTPStatus.BAD_GATEWAY, {"message": said, "to": made.body["to"]})


class Change(Action[Channel]):
    """Rename it or lead it elsewhere."""

    name = "edit"
    label = _("Change")
    icon = "edit"
    permission = access.MANAGE
    form = ChangeForm

    def question(self, row: Channel) -> Text:
        """What it is now."""
        return now_("Change “%(name)s”, which leads to %(target)s? What waits takes the new way.") % {
            "name": row.name,
            "target": row.shown_target,
        }

    def initial(self, row: Channel) -> dict[str, Any]:
        """Its name."""
        return {"name": row.name}

    def perform(self, press: Press[Channel]) -> Answer:
        """Change it."""
        return channels.change_channel.once(
            press.key,
            then(lambda _channel: now_("The channel is changed."), display.row_url),
            channel_id=press.row.pk,
            change=ChannelChange(name=press.data["name"], target=press.data["target"] or None),
            reason=press.data["reason"],
            actor=press.actor,
        )


class ChangeSecret(Action[Channel]):
    """Another signing secret."""

    name = "secret"
    label = _("Change the secret")
    icon = "key"
    permission = access.MANAGE
    form = SecretForm

    def offered(self, _actor: Actor, row: Channel) -> bool:
        """Where there is one."""
        return row.kind == ChannelKind.WEBHOOK

    def question(self, row: Channel) -> Text:
        """What follows."""
        return now_("Sign what goes to “%(name)s” with another secret from now on?") % {"name": row.name}

    def initial(self, _row: Channel) -> dict[str, Any]:
        """A fresh secret, a day for both."""
        return {"secret": signing.make_secret(), "overlap_hours": int(channels.USUAL_OVERLAP / timedelta(hours=1))}

    def perform(self, press: Press[Channel]) -> Answer:
        """Change it."""
        return channels.change_secret.once(
            press.key,
            then(lambda _channel: now_("The secret is changed."), display.row_url),
            channel_id=press.row.pk,
            secret=press.data["secret"],
            overlap=timedelta(hours=press.data["overlap_hours"]),
            reason=press.data["reason"],
            actor=press.actor,
        )


class RetryDead(Action[Channel]):
    """Send again what was given up."""

    name = "retry-dead"
    label = _("Send again what was given up")
    icon = "replay"
    permission = access.RETRY

    def offered(self, _actor: Actor, row: Channel) -> bool:
        """Where there is any."""
        return _dead(row) > 0

    def obstacle(self, _actor: Actor, row: Channel) -> Text:
        """Off is off."""
        return "" if row.active else now_("The channel is switched off.")

    def question(self, row: Channel) -> Text:
        """How many."""
        count = _dead(row)
        return ngettext(
            "Send %(count)s message again that was given up?",
            "Send %(count)s messages again that were given up?",
            count,
        ) % {"count": count}

    def perform(self, press: Press[Channel]) -> Answer:
        """Make them due."""
        return deliveries.retry_dead.once(
            press.key,
            lambda count: done(
                ngettext("%(count)s message is due again.", "%(count)s messages are due again.", count)
                % {"count": count},
                to=display.row_url(press.row),
            ),
            channel_id=press.row.pk,
            actor=press.actor,
        )


class _Switch(Action[Channel]):
    permission = access.MANAGE
    form = ReasonForm
    on: bool

    def offered(self, _actor: Actor, row: Channel) -> bool:
        """Where it is otherwise."""
        return row.active is not self.on

    def perform(self, press: Press[Channel]) -> Answer:
        """Switch it."""
        said = now_("The channel is on.") if self.on else now_("The channel is off.")
        return channels.change_channel.once(
            press.key,
            then(lambda _channel: said, display.row_url),
            channel_id=press.row.pk,
            change=ChannelChange(active=self.on),
            reason=press.data["reason"],
            actor=press.actor,
        )


class SwitchOff(_Switch):
    """Tell it nothing."""

    name = "off"
    label = _("Switch off")
    icon = "notifications_off"
    tone = "danger"
    on = False

    def question(self, row: Channel) -> Text:
        """What is lost."""
        return now_("Switch “%(name)s” off? What happens meanwhile is not told there, nor what waits now.") % {
            "name": row.name
        }


class SwitchOn(_Switch):
    """Tell it things again."""

    name = "on"
    label = _("Switch on")
    icon = "notifications_active"
    on = True

    def question(self, row: Channel) -> Text:
        """From now on."""
        return now_("Tell “%(name)s” what happens from now on?") % {"name": row.name}


class Remove(Action[Channel]):
    """End it."""

    name = "remove"
    label = _("Remove")
    icon = "delete"
    tone = "danger"
    permission = access.MANAGE
    form = ReasonForm

    def question(self, row: Channel) -> Text:
        """What goes with it."""
        return now_("Remove “%(name)s” with its subscriptions? What waits for it is dropped.") % {"name": row.name}

    def typed(self, row: Channel) -> str:
        """Its name."""
        return row.name

    def perform(self, press: Press[Channel]) -> Answer:
        """Remove it."""
        return channels.remove_channel.once(
            press.key,
            lambda _channel: done(now_("The channel is removed."), to=display.list_url(Channel)),
            channel_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


def _dead(row: Channel) -> int:
    return Delivery.objects.filter(channel=row, status=NotificationState.DEAD).count()
