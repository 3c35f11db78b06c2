"""What points are still owed to members, by the month in which they expire."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from loyalty.models.programs import Program
from opsconsole.core.fields import Uuid7Model


class Liability(Uuid7Model):
    """Points that expire in a month, as they were added up last; no month for those that are old enough already."""

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="liabilities", db_index=False)
    month = models.DateField(null=True, blank=True)
    members = models.BigIntegerField()
    points = models.BigIntegerField()
    worked_out_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_liabilities"
        verbose_name = _("liability")
        verbose_name_plural = _("liabilities")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["program", "month"], name="liability_once_per_month", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return f"{self.program} {self.month or ''}"
