"""The words of notifications: kinds of channels, severities, and how far a delivery has come."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from opsconsole.core.states import States


class ChannelKind(models.TextChoices):
    """How a channel is spoken to."""

    SLACK = "slack", _("Slack-compatible webhook")
    WEBHOOK = "webhook", _("signed webhook")
    EMAIL = "email", _("e-mail")


class Severity(models.TextChoices):
    """How much an event matters."""

    INFO = "info", _("information")
    WARNING = "warning", _("warning")
    CRITICAL = "critical", _("critical")

    @property
    def rank(self) -> int:
        """Higher matters more."""
        return list(Severity).index(self)


class NotificationState(States):
    """A delivery is due, is being sent under a lease, and arrives; or it is given up, or no longer wanted."""

    DUE = "due", pgettext_lazy("a message", "due")
    SENDING = "sending", _("sending")
    DELIVERED = "delivered", _("delivered")
    DEAD = "dead", _("given up")
    DROPPED = "dropped", _("dropped")

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every delivery is born due."""
        return frozenset({cls.DUE.value})

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """What failed is due again until it is dead; a person may make it due once more."""
        return {
            cls.DUE.value: frozenset({cls.SENDING.value, cls.DEAD.value, cls.DROPPED.value}),
            cls.SENDING.value: frozenset({cls.DUE.value, cls.DELIVERED.value, cls.DEAD.value, cls.DROPPED.value}),
            cls.DEAD.value: frozenset({cls.DUE.value}),
        }


WAITING = (NotificationState.DUE.value, NotificationState.SENDING.value)
