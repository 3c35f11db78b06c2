"""Subscriptions: one's own to edit; those of roles for whoever manages channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, done, then
from opsconsole.core.admin.base import ConsoleAdmin, actor_of
from opsconsole.core.admin.filters import OneOf, Options
from opsconsole.core.admin.pages import Facts, Notice, Section, Table
from opsconsole.core.idempotency import Answer
from opsconsole.core.roles import ROLES
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.notifications import access, kinds
from opsconsole.notifications.admin.shown import patterns_of
from opsconsole.notifications.models import Channel, Subscription
from opsconsole.notifications.selectors import mail_is_set_up
from opsconsole.notifications.services import subscriptions
from opsconsole.notifications.states import ChannelKind, Severity

AT_FIRST = ("approval.requested", "approval.expiring", "plan.failed", "plan.partial", "plan.step_unknown")


class WishForm(ActionForm):
    """Which events, from which severity on."""

    patterns = forms.CharField(
        label=_("Events"),
        max_length=4000,
        help_text=_("One on each line; a star stands for anything, as in plan.*"),
        widget=forms.Textarea({"rows": 6, "spellcheck": "false", "class": "ops-mono"}),
    )
    minimum = forms.ChoiceField(label=_("From which severity on"), choices=Severity.choices)
    field_order: tuple[str, ...] = ("role", "channel", "patterns", "minimum")

    def clean_patterns(self) -> list[str]:
        """The lines."""
        return str(self.cleaned_data["patterns"]).replace(",", "\n").split()


class RoleForm(WishForm):
    """The same of a role, with the way to it."""

    role = forms.ChoiceField(label=_("Role"), choices=[(role, role) for role in ROLES])
    channel = forms.ChoiceField(label=_("Through"), required=False)


def _choose_channel(form: ActionForm, actor: Actor) -> ActionForm:
    channels = access.visible_channels(actor).order_by("name") if actor.may("notifications.view_channel") else []
    ways = [(str(channel.pk), f"{channel.name} ({channel.get_kind_display()})") for channel in channels]
    field = cast(forms.ChoiceField, form.fields["channel"])
    field.choices = [("", now_("each member's own e-mail address")), *ways]
    return form


def _key(data: dict[str, Any]) -> UUID | None:
    return UUID(data["channel"]) if data.get("channel") else None


class KnownEvents(Action[Any]):
    """An action whose page lists the events there are."""

    for_all = False  # also those that only others may know

    def sections(self, actor: Actor, _row: Any) -> Sequence[Section]:
        """The kinds that the actor may know, with what is said."""
        rows = [
            [
                display.code(kind.pattern),
                kind.severity.label,
                " · ".join(str(title) % _Names() for title in kind.titles),
            ]
            for kind in kinds.registered()
            if not kind.pattern.endswith(("*", ".test")) and (self.for_all or actor.may(kind.permission))
        ]
        return [Table(_("Events there are"), [_("event"), _("severity"), _("what is said")], rows)]


class _Names(dict[str, str]):
    """The places of a text by their names."""

    def __missing__(self, _name: str) -> str:
        return "…"


class SubscribeMe(KnownEvents):
    """Tell me."""

    name = "me"
    label = _("Tell me about …")
    submit = _("Subscribe me")
    icon = "notification_add"
    tone = "primary"
    permission = access.SUBSCRIBE
    form = WishForm

    def obstacle(self, actor: Actor, _row: None) -> Text:
        """No address, no mail."""
        if actor.user is not None and not actor.user.email:
            return now_("You have no e-mail address here; ask whoever manages users to enter it.")
        return "" if mail_is_set_up() else now_("EMAIL_URL is not set, so nobody is told by e-mail.")

    def question(self, _row: None) -> Text:
        """What happens from now on."""
        return _("About which events do you want to be told by e-mail?")

    def initial(self, _row: None) -> dict[str, Any]:
        """What most want."""
        return {"patterns": "\n".join(AT_FIRST), "minimum": Severity.INFO}

    def perform(self, press: Press[None]) -> Answer:
        """Subscribe."""
        return subscriptions.subscribe_me.once(
            press.key,
            then(lambda _row: now_("You will be told."), display.row_url),
            patterns=press.data["patterns"],
            minimum=press.data["minimum"],
            actor=press.actor,
        )


class SubscribeRole(KnownEvents):
    """Tell a role."""

    name = "role"
    label = _("Tell a role about …")
    for_all = True
    submit = _("Subscribe the role")
    icon = "group_add"
    permission = access.MANAGE
    form = RoleForm

    def question(self, _row: None) -> Text:
        """What happens from now on."""
        return _("Which role is told about which events, and how?")

    def make_form(self, actor: Actor, row: None, data: Any = None, files: Any = None) -> ActionForm:
        """With the channels there are."""
        return _choose_channel(super().make_form(actor, row, data, files), actor)

    def initial(self, _row: None) -> dict[str, Any]:
        """What most want."""
        return {"patterns": "\n".join(AT_FIRST), "minimum": Severity.INFO}

    def perform(self, press: Press[None]) -> Answer:
        """Subscribe."""
        return subscriptions.subscribe_role.once(
            press.key,
            then(lambda _row: now_("The role will be told."), display.row_url),
            role=press.data["role"],
            channel_id=_key(press.data),
            patterns=press.data["patterns"],
            minimum=press.data["minimum"],
            actor=press.actor,
        )


class _OfOne(KnownEvents):
    """An action of one subscription: its owner's, or of who manages channels."""

    permission = access.SUBSCRIBE

    def allowed(self, actor: Actor, row: Subscription) -> bool:
        """One's own; a role's for who manages channels."""
        if row.user_id is None:
            return actor.may(access.MANAGE)
        return actor.may(self.permission) and actor.user is not None and row.user_id == actor.user.pk


class Edit(_OfOne):
    """Other events."""

    name = "edit"
    label = _("Change")
    icon = "edit"
    tone = "primary"
    form = WishForm

    def make_form(self, actor: Actor, row: Subscription, data: Any = None, files: Any = None) -> ActionForm:
        """Of a role's, with the channels there are."""
        form = super().make_form(actor, row, data, files)
        if row.user_id is None:
            form.fields["channel"] = forms.ChoiceField(label=now_("Through"), required=False)
            _choose_channel(form, actor)
        form.order_fields(WishForm.field_order)
        return form

    def initial(self, row: Subscription) -> dict[str, Any]:
        """As it is."""
        return {"patterns": "\n".join(row.patterns), "minimum": row.minimum, "channel": str(row.channel_id or "")}

    def question(self, row: Subscription) -> Text:
        """Of whom."""
        return now_("About which events shall %(who)s be told?") % {"who": row}

    def perform(self, press: Press[Subscription]) -> Answer:
        """Change it."""
        return subscriptions.change_subscription.once(
            press.key,
            then(lambda _row: now_("The subscription is changed."), display.row_url),
            subscription_id=press.row.pk,
            patterns=press.data["patterns"],
            minimum=press.data["minimum"],
            channel_id=_key(press.data),
            actor=press.actor,
        )


class End(_OfOne):
    """No longer."""

    name = "end"
    label = _("End")
    icon = "notifications_off"
    tone = "danger"

    def question(self, row: Subscription) -> Text:
        """Of whom."""
        return now_("Tell %(who)s about these events no longer?") % {"who": row}

    def sections(self, _actor: Actor, _row: Subscription) -> Sequence[Section]:
        """Nothing more to read."""
        return ()

    def perform(self, press: Press[Subscription]) -> Answer:
        """End it."""
        return subscriptions.remove_subscription.once(
            press.key,
            lambda _row: done(now_("The subscription has ended."), to=display.list_url(Subscription)),
            subscription_id=press.row.pk,
            actor=press.actor,
        )


class Mine(OneOf):
    """One's own."""

    title = _("whose")
    parameter_name = "mine"

    def options(self, _request: HttpRequest) -> Options:
        """One choice besides all."""
        return [("1", _("mine"))]

    def narrow(self, request: HttpRequest, rows: QuerySet[Subscription], _value: str) -> QuerySet[Subscription]:
        """Those of the viewer."""
        return rows.filter(user=actor_of(request).user)


@admin.register(Subscription)
class SubscriptionAdmin(ConsoleAdmin[Subscription]):
    """Subscriptions: one's own, and for who may see them, everybody's."""

    list_display = ("who", "way", "events", "least")
    nothing = _("You are told nothing yet, neither for yourself nor for your roles.")
    list_filter = (Mine, "role")
    ordering = ("role", "user__username", "id")
    row_actions = (Edit(), End())

    def visible(self, actor: Actor) -> QuerySet[Subscription]:
        """One's own, or everybody's."""
        return access.visible_subscriptions(actor)

    def list_actions(self) -> Sequence[Action[None]]:
        """Oneself, or a role."""
        return [SubscribeMe(), SubscribeRole()]

    @admin.display(description=_("who"))
    def who(self, row: Subscription) -> str:
        """The role or the person."""
        return self.heading(row)

    @admin.display(description=_("how"))
    def way(self, row: Subscription) -> SafeString | str:
        """Through which channel."""
        return _way(row)

    @admin.display(description=_("events"))
    def events(self, row: Subscription) -> str:
        """Which."""
        return patterns_of(row)

    @admin.display(description=_("from which severity on"))
    def least(self, row: Subscription) -> str:
        """The least that is told."""
        return row.get_minimum_display()

    def heading(self, row: Subscription) -> str:
        """The role or the person."""
        return now_("role %(role)s") % {"role": row.role} if row.role else str(row)

    def sections(self, request: HttpRequest, row: Subscription) -> Sequence[Section]:
        """Which events, and how."""
        table = Subscription._meta.db_table
        by_mail = row.channel is None or row.channel.kind == ChannelKind.EMAIL
        return [
            *(
                [Notice(_("EMAIL_URL is not set, so nobody is told by e-mail."), "warn")]
                if by_mail and not mail_is_set_up()
                else []
            ),
            Facts(
                _("Subscription"),
                [
                    (_("who"), self.heading(row)),
                    (_("how"), _way(row, linked=actor_of(request).may("notifications.view_channel"))),
                    (_("events"), patterns_of(row)),
                    (_("from which severity on"), row.get_minimum_display()),
                    (_("since"), display.moment(row.created_at)),
                ],
            ),
            timeline(request, entries_of(row)[:SHOWN_ON_PAGES], more=all_entries_of(table, row.pk)),
        ]


def _way(row: Subscription, *, linked: bool = False) -> SafeString | str:
    channel: Channel | None = row.channel
    if channel is None:
        return now_("own e-mail address") if row.user_id else now_("each member's own e-mail address")
    return display.row_link(channel) if linked else channel.name
