"""What banks tell by the file: the files, their lines, what did not match, and the balances they state."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from opsconsole.core.fields import Uuid7Model
from opsconsole.core.states import Stateful, States
from opsconsole.treasury.models.banks import Account
from opsconsole.treasury.models.payouts import Instruction
from opsconsole.treasury.models.sweeps import Sweep
from opsconsole.treasury.states import BankFileState, BreakReason, BreakState, LineVerdict


class BankFile(Uuid7Model, Stateful):
    """A file that a bank sent; its bytes lie in the artifact storage under their digest."""

    states: ClassVar[type[States]] = BankFileState

    digest = models.CharField("SHA-256", max_length=64, unique=True)
    name = models.TextField()
    schema = models.TextField()  # camt.053.001.08
    message_id = models.TextField(db_default="", blank=True)
    size = models.BigIntegerField()
    status = models.TextField(choices=BankFileState.choices, db_default=BankFileState.READING)
    lines_read = models.IntegerField(db_default=0)
    settled = models.IntegerField(db_default=0)
    failed = models.IntegerField(db_default=0)
    returned = models.IntegerField(db_default=0)
    already = models.IntegerField(db_default=0)
    pending = models.IntegerField(db_default=0)
    breaks = models.IntegerField(db_default=0)
    imported_by = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "treasury_bank_files"
        verbose_name = _("bank file")
        verbose_name_plural = _("bank files")
        default_permissions = ("view",)
        permissions = [("import_bank_files", "Can import files of banks")]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="bank_files_newest_first"),
            models.Index(fields=["created_at"], condition=Q(status=BankFileState.READING), name="bank_files_reading"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> str:
        """Where its bytes lie in the artifact storage."""
        return path_of(self.digest)


def path_of(digest: str) -> str:
    """Where the bytes of a bank's file lie in the artifact storage."""
    return f"bank-files/{digest}.xml"


class BankLine(Uuid7Model):
    """One line of a bank's file and what came of it; written once."""

    file = models.ForeignKey(BankFile, on_delete=models.PROTECT, related_name="lines", db_index=False)
    number = models.IntegerField()
    account = models.CharField(max_length=34, db_default="", blank=True)  # the IBAN of the statement
    reference = models.TextField(db_default="", blank=True)
    amount = models.DecimalField(max_digits=24, decimal_places=5, null=True, blank=True)
    currency = models.CharField(max_length=3, db_default="", blank=True)
    direction = models.CharField(max_length=4, db_default="", blank=True)  # CRDT, DBIT, or nothing
    said = models.TextField()  # the bank's own code: ACSC, RJCT, BOOK
    reason = models.TextField(db_default="", blank=True)
    verdict = models.TextField(choices=LineVerdict.choices)
    detail = models.TextField(db_default="", blank=True)
    # Of which payment it speaks; neither where it speaks of none of ours, or of a whole file of payments.
    instruction = models.ForeignKey(
        Instruction, on_delete=models.PROTECT, null=True, blank=True, related_name="bank_lines"
    )
    sweep = models.ForeignKey(Sweep, on_delete=models.PROTECT, null=True, blank=True, related_name="bank_lines")

    class Meta:
        db_table = "treasury_bank_lines"
        verbose_name = _("bank file line")
        verbose_name_plural = _("bank file lines")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["file", "number"], name="bank_line_read_once")]

    def __str__(self) -> str:
        return f"{self.number}"


class Break(Uuid7Model, Stateful):
    """A line of a bank's file that our records do not explain, until somebody has looked into it."""

    states: ClassVar[type[States]] = BreakState

    line = models.OneToOneField(BankLine, on_delete=models.PROTECT, related_name="found_break")
    file = models.ForeignKey(BankFile, on_delete=models.PROTECT, related_name="found_breaks")
    reason = models.TextField(choices=BreakReason.choices)
    detail = models.TextField()
    status = models.TextField(choices=BreakState.choices, db_default=BreakState.OPEN)
    resolution = models.TextField(db_default="", blank=True)
    resolved_by = models.TextField(db_default="", blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "treasury_breaks"
        verbose_name = _("break")
        verbose_name_plural = _("breaks")
        default_permissions = ("view",)
        permissions = [("resolve_break", "Can resolve breaks")]
        constraints = [
            models.CheckConstraint(
                condition=~Q(status=BreakState.RESOLVED)
                | (~Q(resolution="") & ~Q(resolved_by="") & Q(resolved_at__isnull=False)),
                name="resolved_break_says_how",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], condition=Q(status=BreakState.OPEN), name="breaks_open")]

    def __str__(self) -> str:
        return f"{self.get_reason_display()}: {self.detail}"


class StatedBalance(Uuid7Model):
    """What a bank says an account held at the end of a statement, and what our ledger expected when we read it."""

    file = models.ForeignKey(BankFile, on_delete=models.PROTECT, related_name="balances", db_index=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="stated", db_index=False)
    statement = models.TextField()
    as_of = models.DateTimeField()
    stated = models.DecimalField(max_digits=18, decimal_places=2)
    # Our settlement account and what has left it, but of which the bank has not said that it executed it.
    expected = models.DecimalField(max_digits=18, decimal_places=2)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "treasury_stated_balances"
        verbose_name = _("stated balance")
        verbose_name_plural = _("stated balances")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["file", "account", "statement"], name="balance_stated_once"),
        ]
        indexes = [models.Index(fields=["account", "-as_of", "-id"], name="balances_of_account")]

    def __str__(self) -> str:
        return f"{self.stated}"

    @property
    def difference(self) -> Decimal:
        """How much more the bank has than our ledger expects."""
        return self.stated - self.expected
