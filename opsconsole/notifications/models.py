"""Where news goes, who wants which, what there is to tell, and how far the telling has come."""

from __future__ import annotations

import hashlib
from typing import ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from opsconsole.core.fields import EncryptedTextField, Uuid7Model
from opsconsole.core.states import Stateful, States
from opsconsole.notifications.states import WAITING, ChannelKind, NotificationState, Severity


class Channel(Uuid7Model):
    """A place outside that news goes to. Its target may hold a secret of its own, so it is encrypted as well.

    A channel that was removed keeps its row, for the deliveries that went there, and forgets target and secrets.
    """

    name = models.TextField()
    kind = models.TextField(choices=ChannelKind.choices)
    target = EncryptedTextField()  # a URL; of an e-mail channel, addresses parted by ", "
    secret = EncryptedTextField(default="", blank=True)  # whsec_..., of a signed webhook
    old_secret = EncryptedTextField(default="", blank=True)  # signs as well until `old_secret_until`
    old_secret_until = models.DateTimeField(null=True, blank=True)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "notifications_channels"
        verbose_name = _("channel")
        verbose_name_plural = _("channels")
        default_permissions = ("view",)
        permissions = [("manage_channels", "Can manage channels and what roles are told")]
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(removed_at=None), name="channel_name_once"),
            models.CheckConstraint(
                condition=Q(removed_at__isnull=False) | ~Q(kind=ChannelKind.WEBHOOK) | ~Q(secret=""),
                name="channel_webhook_signs",
            ),
            models.CheckConstraint(condition=Q(removed_at=None) | Q(active=False), name="channel_removed_is_off"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def shown_target(self) -> str:
        """The target without what must stay secret: of a Slack URL the path, of any URL the query."""
        target = str.__str__(self.target)
        if self.kind == ChannelKind.EMAIL or not target:
            return target
        parts = urlsplit(target)
        path = "/…" if self.kind == ChannelKind.SLACK else parts.path
        return f"{parts.scheme}://{parts.netloc}{path}{'?…' if parts.query else ''}"

    @property
    def target_sha256(self) -> str:
        """By which a target is told from another without showing it."""
        target = str.__str__(self.target)
        return hashlib.sha256(target.encode()).hexdigest() if target else ""

    @property
    def lane(self) -> str:
        """The circuit it sends through: its own, or that of the one mail server."""
        return MAIL_LANE if self.kind == ChannelKind.EMAIL else str(self.pk)


MAIL_LANE = "mail"


class Subscription(Uuid7Model):
    """Who wants to be told what: a role, through a channel or to each member's own address; or a person, to theirs.

    `patterns` are those of topics (`plan.*`, `approval.requested`); what is below `minimum` is left out.
    """

    role = models.TextField(default="", blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="subscriptions"
    )
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, null=True, blank=True, related_name="subscriptions")
    patterns = models.JSONField()
    minimum = models.TextField(choices=Severity.choices, default=Severity.INFO)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "notifications_subscriptions"
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        default_permissions = ("view",)
        permissions = [("subscribe", "Can subscribe to notifications for themselves")]
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=False, role="", channel=None) | (Q(user=None) & ~Q(role="")),
                name="subscription_of_role_or_person",
            )
        ]

    def __str__(self) -> str:
        return self.role or (self.user.username if self.user else "")


class Notice(Uuid7Model):
    """One event as it is told, with what was known when it happened; a test message has no event."""

    event_id = models.UUIDField(null=True, blank=True, unique=True)
    topic = models.TextField()
    severity = models.TextField(choices=Severity.choices)
    subject_kind = models.TextField()
    subject_id = models.TextField()
    data = models.JSONField(default=dict)
    happened_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "notifications_notices"
        default_permissions = ()
        indexes = [models.Index(fields=["happened_at"], name="notices_by_age")]

    def __str__(self) -> str:
        return self.topic


class Delivery(Stateful, Uuid7Model):
    """One notice for one channel, or for one person at their own address. Its id is the message's id everywhere.

    While it waits, `next_attempt_at` is when it is due; while it is being sent, when its lease ends. In a burst many
    are told in the message of one of them (`told_with`), and move with it: attempted, delivered, given up together.
    """

    states: ClassVar[type[States]] = NotificationState

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, null=True, blank=True, related_name="deliveries")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    told_with = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="companions", db_index=False
    )
    kind = models.TextField(choices=ChannelKind.choices)
    lane = models.TextField()
    status = models.TextField(choices=NotificationState.choices, default=NotificationState.DUE)
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    deadline_at = models.DateTimeField()
    error = models.TextField(default="", blank=True)
    answer_status = models.IntegerField(null=True, blank=True)
    answer = models.TextField(default="", blank=True)  # the beginning of what the receiver said
    seconds = models.DecimalField(max_digits=8, decimal_places=3, null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "notifications_deliveries"
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        default_permissions = ("view",)
        permissions = [("retry_delivery", "Can have a delivery that was given up sent again")]
        constraints = [
            models.CheckConstraint(
                condition=Q(channel__isnull=False, user=None) | Q(channel=None, user__isnull=False),
                name="delivery_to_channel_or_person",
            ),
            models.UniqueConstraint(fields=["notice", "channel"], name="delivery_once_per_channel"),
            models.UniqueConstraint(fields=["notice", "user"], name="delivery_once_per_person"),
        ]
        indexes = [
            models.Index(
                fields=["lane", "next_attempt_at"], condition=Q(status__in=WAITING), name="deliveries_waiting"
            ),
            models.Index(fields=["deadline_at"], condition=Q(status__in=WAITING), name="deliveries_to_give_up"),
            models.Index(fields=["created_at"], condition=Q(status__in=WAITING), name="deliveries_oldest"),
            models.Index(fields=["-created_at", "-id"], name="deliveries_newest"),
            models.Index(fields=["status", "-created_at", "-id"], name="deliveries_by_status"),
            models.Index(fields=["channel", "-created_at", "-id"], name="deliveries_by_channel"),
            models.Index(fields=["channel"], condition=Q(status=NotificationState.DEAD), name="deliveries_dead"),
            models.Index(fields=["told_with"], condition=Q(told_with__isnull=False), name="deliveries_companions"),
        ]

    def __str__(self) -> str:
        return f"{self.notice.topic}: {self.status}"


class Lane(models.Model):
    """The circuit of one endpoint: while `open_until` lies ahead nothing is sent there, so that it starves nobody."""

    name = models.TextField(primary_key=True)
    failures = models.IntegerField(default=0)  # in a row
    open_until = models.DateTimeField(null=True, blank=True)
    error = models.TextField(default="", blank=True)

    class Meta:
        db_table = "notifications_lanes"
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class Total(models.Model):
    """How many deliveries are in each state, counted by a trigger; what the metrics read."""

    kind = models.TextField()
    status = models.TextField()
    count = models.BigIntegerField()

    pk = models.CompositePrimaryKey("kind", "status")

    class Meta:
        db_table = "notifications_totals"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.status}"


class Reminder(models.Model):
    """A request of whose nearing end people were reminded."""

    request_id = models.UUIDField(primary_key=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "notifications_reminders"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.request_id)
