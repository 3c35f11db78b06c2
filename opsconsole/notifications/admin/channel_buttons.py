"""The buttons of a channel: ask for one, test, ask for another target or secret, switch off, remove."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django import forms
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from opsconsole.changes.admin.requesting import RequestChange
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, done, then
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.notifications import access, sending
from opsconsole.notifications.gateways import signing
from opsconsole.notifications.models import Channel, Delivery
from opsconsole.notifications.services import channels, deliveries
from opsconsole.notifications.states import ChannelKind, NotificationState
from opsconsole.notifications.wiring import LONGEST_OVERLAP, MAX_NAME, MAX_SECRET, MAX_TARGET, USUAL_OVERLAP


def _secret_field() -> forms.CharField:
    return forms.CharField(
        label=_("Signing secret"),
        max_length=MAX_SECRET,
        help_text=_("Give it to the receiver now: it is not shown again. Or enter the one that the receiver gave you."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "class": "ops-mono"}),
    )


class _NewForm(ReasonForm):
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


class EditForm(ReasonForm):
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
        label=_("Hours for which the old one signs as well"),
        min_value=0,
        max_value=int(LONGEST_OVERLAP / timedelta(hours=1)),
    )
    field_order = ("secret", "overlap_hours", "reason")


class AddChannel(RequestChange[None]):
    """Ask for a channel of one kind. A signing secret is shown on this form, to whoever asks, and never again."""

    def __init__(self, name: str, label: Text, *, form: type[ActionForm], kind: ChannelKind) -> None:
        super().__init__("channel_set_up", name=name, label=label, icon="add")
        self.form, self.channel_kind = form, kind

    def initial(self, _row: None) -> dict[str, Any]:
        """A fresh secret, where there is one."""
        return {"secret": signing.make_secret()} if self.channel_kind is ChannelKind.WEBHOOK else {}

    def make_form(self, _actor: Actor, row: None, data: Any = None, files: Any = None) -> ActionForm:
        """What such a channel has."""
        return self.form(data, files, initial=self.initial(row))

    def payload(self, press: Press[None]) -> dict[str, Any]:
        """With its kind."""
        return {**super().payload(press), "kind": self.channel_kind.value}


ADD_CHANNEL: Final = (
    AddChannel("add-slack", _("Add Slack channel"), form=SlackForm, kind=ChannelKind.SLACK),
    AddChannel("add-webhook", _("Add signed webhook"), form=WebhookForm, kind=ChannelKind.WEBHOOK),
    AddChannel("add-mail", _("Add mailboxes"), form=MailForm, kind=ChannelKind.EMAIL),
)


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


class EditChannel(RequestChange[Channel]):
    """Ask for another name, or to lead it elsewhere."""

    form: type[ActionForm] = EditForm

    def __init__(self, name: str = "edit", label: Text = "", **more: Any) -> None:
        super().__init__("channel_edit", name=name, label=label or _("Change"), **more)

    def question(self, row: Channel) -> Text:
        """What it is now."""
        return now_(
            "Change “%(name)s”, which leads to %(target)s? What waits takes the new way. Nothing is changed until the"
            " others have agreed."
        ) % {"name": row.name, "target": row.shown_target}

    def initial(self, row: Channel) -> dict[str, Any]:
        """Its name."""
        return {"name": row.name}

    def make_form(self, _actor: Actor, row: Channel, data: Any = None, files: Any = None) -> ActionForm:
        """Of the kind's fields, those that this button is for."""
        return self.form(data, files, initial=self.initial(row), typed=self.typed(row))


class EditSecret(EditChannel):
    """Ask for another signing secret, which is shown on this form, to whoever asks, and never again."""

    form = SecretForm

    def __init__(self) -> None:
        super().__init__("secret", _("Change the secret"), icon="key", when=signs)

    def question(self, row: Channel) -> Text:
        """What follows."""
        return now_("Sign what goes to “%(name)s” with another secret? It signs as soon as the others have agreed.") % {
            "name": row.name
        }

    def initial(self, _row: Channel) -> dict[str, Any]:
        """A fresh secret, a day for both."""
        return {"secret": signing.make_secret(), "overlap_hours": int(USUAL_OVERLAP / timedelta(hours=1))}


def signs(row: Channel) -> bool:
    """Whether what goes there is signed."""
    return row.kind == ChannelKind.WEBHOOK


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
        return channels.switch_channel.once(
            press.key,
            then(lambda _channel: said, display.row_url),
            channel_id=press.row.pk,
            on=self.on,
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
