"""The states of incidents, and how bad they are."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from opsconsole.core.states import States


class IncidentState(States):
    """Somebody takes it up, and ends it with a word on what it was; one that fires again is open again."""

    OPEN = "open", _("open")
    ACKNOWLEDGED = "acknowledged", _("acknowledged")
    RESOLVED = "resolved", _("resolved")

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Resolved to open is an alert that fires on, whatever people thought."""
        return {
            cls.OPEN: frozenset({cls.ACKNOWLEDGED, cls.RESOLVED}),
            cls.ACKNOWLEDGED: frozenset({cls.RESOLVED}),
            cls.RESOLVED: frozenset({cls.OPEN}),
        }

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every incident is born open."""
        return frozenset({cls.OPEN})


LIVE = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)


class Severity(models.TextChoices):
    """How bad it is, as Alertmanager's label `severity` says it."""

    CRITICAL = "critical", _("critical")
    WARNING = "warning", _("warning")
    INFO = "info", _("info")


class Source(models.TextChoices):
    """What opened it."""

    ALERT = "alert", _("an alert")
    CONSOLE = "console", _("the console itself")
    PERSON = "person", _("a person")


class Verdict(models.TextChoices):
    """What an item of a checklist came to."""

    GOOD = "good", _("in order")
    BAD = "bad", _("not in order")
    OPEN = "open", _("not looked at")
