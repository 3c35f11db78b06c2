"""Freezes, and what the steps of plans have done to our own records."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from opsconsole.core.fields import Uuid7Model
from opsconsole.plans.models import Plan, Step
from opsconsole.treasury.models.banks import Account
from opsconsole.treasury.models.patterns import IBAN
from opsconsole.treasury.states import FreezeKind

LIVE = Q(lifted_at__isnull=True)


class Freeze(Uuid7Model):
    """Nothing is paid to or from the subject while this stands. Several plans may freeze the same one."""

    kind = models.TextField(choices=FreezeKind.choices)
    subject = models.CharField(max_length=100)  # the account's id, the payee's IBAN, the merchant's id
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, blank=True, related_name="freezes")
    reason = models.TextField()
    # The account was frozen by no freeze on record: lifting the last one leaves it as it was found.
    found_frozen = models.BooleanField(db_default=False)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+", db_index=False)
    step = models.OneToOneField(Step, on_delete=models.PROTECT, related_name="+")
    set_by = models.TextField()
    set_at = models.DateTimeField(db_default=Now(), editable=False)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.TextField(db_default="", blank=True)
    lifted_step = models.ForeignKey(
        Step, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )

    class Meta:
        db_table = "treasury_freezes"
        verbose_name = _("freeze")
        verbose_name_plural = _("freezes")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(kind=FreezeKind.ACCOUNT, account__isnull=False)
                | (~Q(kind=FreezeKind.ACCOUNT) & Q(account__isnull=True)),
                name="freeze_of_account_names_it",
            ),
            models.CheckConstraint(
                condition=~Q(kind=FreezeKind.BENEFICIARY) | Q(subject__regex=IBAN), name="frozen_beneficiary_is_iban"
            ),
            models.CheckConstraint(condition=~Q(subject="") & ~Q(reason=""), name="freeze_says_what_and_why"),
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True, lifted_by="", lifted_step__isnull=True)
                | (Q(lifted_at__isnull=False) & ~Q(lifted_by="")),
                name="lifted_freeze_says_by_whom",
            ),
        ]
        indexes = [
            models.Index(fields=["kind", "subject"], condition=LIVE, name="freezes_live"),
            models.Index(fields=["plan", "-id"], name="freezes_of_plan"),
        ]

    def __str__(self) -> str:
        shown = self.account.iban or self.account.name if self.account else self.subject
        return f"{self.get_kind_display()} {shown}"

    @property
    def is_live(self) -> bool:
        """Whether it still stands."""
        return self.lifted_at is None


class Alteration(Uuid7Model):
    """What a step of a plan did to a record of ours, once under its key: what a probe asks for, and undoing needs."""

    key = models.TextField(unique=True)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+", db_index=False)
    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="+", db_index=False)
    subject_kind = models.TextField()  # the table and the row, as the journal names them
    subject_id = models.TextField()
    before = models.JSONField()
    after = models.JSONField()
    made_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "treasury_alterations"
        default_permissions = ()
        indexes = [models.Index(fields=["subject_kind", "subject_id", "-id"], name="alterations_of_subject")]

    def __str__(self) -> str:
        return self.key
