"""Backups: who asked for them, how far they are, and what was proven of them."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from opsconsole.backups.states import LIVE, UNDER_WAY, BackupState
from opsconsole.core.fields import Uuid7Model
from opsconsole.core.states import Stateful, States


class Backup(Uuid7Model, Stateful):
    """One file, with the trial restore that makes it a backup. One at a time is under way (a partial index)."""

    states: ClassVar[type[States]] = BackupState

    status = models.TextField(choices=BackupState.choices, db_default=BackupState.QUEUED)
    asked_by = models.TextField()  # an actor's name: a person, a shell, a part of the system
    reason = models.TextField(db_default="", blank=True)
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    deadline_at = models.DateTimeField()
    # Who works on it, and until when nobody else thinks them lost.
    holder = models.TextField(db_default="", blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    steps_done = models.IntegerField(db_default=0)  # tables written, or restored
    steps_total = models.IntegerField(db_default=0)
    scratch = models.TextField(db_default="", blank=True)  # a database that stands, or may stand, for the trial restore
    # Where it lies, and what it is.
    host = models.TextField(db_default="", blank=True)
    directory = models.TextField(db_default="", blank=True)
    file_name = models.TextField(db_default="", blank=True)
    size_bytes = models.BigIntegerField(null=True, blank=True)
    sha256 = models.TextField(db_default="", blank=True)
    server_version = models.TextField(db_default="", blank=True)
    counts = models.JSONField(default=dict, blank=True)  # rows by table, in the snapshot that was dumped
    figures = models.JSONField(default=dict, blank=True)  # sums that the domains named, in the same snapshot
    error_code = models.TextField(db_default="", blank=True)
    error = models.TextField(db_default="", blank=True)

    class Meta:
        db_table = "ops_backups"
        verbose_name = _("backup")
        verbose_name_plural = _("backups")
        default_permissions = ("view",)
        permissions = [("make_backup", "Can have the database backed up")]
        constraints = [
            models.CheckConstraint(
                condition=~Q(status=BackupState.VERIFIED)
                | (~Q(file_name="") & ~Q(sha256="") & Q(size_bytes__gt=0) & ~Q(counts={})),
                name="verified_backup_says_what_it_is",
            ),
            models.CheckConstraint(
                condition=~Q(status=BackupState.FAILED) | ~Q(error=""), name="failed_backup_says_why"
            ),
            models.CheckConstraint(
                condition=Q(status__in=LIVE, ended_at__isnull=True) | (~Q(status__in=LIVE) & Q(ended_at__isnull=False)),
                name="backup_ends_once",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=UNDER_WAY) | (~Q(holder="") & Q(lease_until__isnull=False)),
                name="backup_under_way_is_held",
            ),
        ]
        indexes = [
            models.Index(fields=["-asked_at", "-id"], name="backups_newest"),
            models.Index(fields=["-ended_at"], condition=Q(status=BackupState.VERIFIED), name="backups_verified"),
            models.Index(fields=["id"], condition=~Q(scratch="") & ~Q(status__in=LIVE), name="backups_left_over"),
        ]

    def __str__(self) -> str:
        return self.file_name or str(self.pk)

    @property
    def tables(self) -> int:
        """How many tables are in it."""
        return len(self.counts)

    @property
    def rows(self) -> int:
        """How many rows are in it."""
        return sum(self.counts.values())

    @property
    def duration(self) -> timedelta | None:
        """How long it took, the trial restore included."""
        return self.ended_at - self.started_at if self.ended_at and self.started_at else None
