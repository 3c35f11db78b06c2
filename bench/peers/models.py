"""The same row three times: audited by auditlog, by pghistory, and by nobody."""

from __future__ import annotations

import pghistory
from auditlog.registry import auditlog
from django.db import models


class Row(models.Model):
    """What a plan's row has that changes."""

    name = models.TextField()
    status = models.TextField()
    digest = models.TextField()

    class Meta:
        abstract = True


class Logged(Row):
    """Changes written by django-auditlog, from signals."""


@pghistory.track()
class Tracked(Row):
    """Changes written by django-pghistory, from triggers."""


class Bare(Row):
    """Changes that nobody writes down."""


auditlog.register(Logged)
