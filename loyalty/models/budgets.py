"""Budgets that run out: an alert for each time that a program comes near its limit."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from loyalty.models.programs import Program
from loyalty.states import BudgetAlertState
from opsconsole.core.fields import Uuid7Model
from opsconsole.core.states import Stateful, States


class BudgetAlert(Stateful, Uuid7Model):
    """So many per cent of a budget are used; the figures are those of the moment at which it was noticed."""

    states: ClassVar[type[States]] = BudgetAlertState

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="budget_alerts")
    threshold = models.PositiveSmallIntegerField()  # per cent
    status = models.TextField(
        choices=BudgetAlertState.choices, default=BudgetAlertState.OPEN, db_default=BudgetAlertState.OPEN.value
    )
    budget_limit = models.DecimalField(max_digits=20, decimal_places=2)
    budget_used = models.DecimalField(max_digits=20, decimal_places=2)  # spent and reserved
    burn_per_day = models.DecimalField(max_digits=20, decimal_places=2)
    exhausted_at = models.DateTimeField(null=True, blank=True)  # as it looks; None: not at this rate
    raised_at = models.DateTimeField(db_default=Now(), editable=False)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    note = models.TextField(default="", blank=True, db_default="")
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "loyalty_budget_alerts"
        verbose_name = _("budget alert")
        verbose_name_plural = _("budget alerts")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["program", "threshold"],
                condition=Q(status__in=[BudgetAlertState.OPEN, BudgetAlertState.ACKNOWLEDGED]),
                name="budget_alert_once_per_crossing",
            )
        ]

    def __str__(self) -> str:
        return f"{self.program}: {self.threshold} %"
