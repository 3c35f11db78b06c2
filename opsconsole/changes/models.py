"""What somebody wants changed, as the approvers are shown it."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from opsconsole.changes.states import OPEN, ChangeState
from opsconsole.core.fields import EncryptedTextField, Secret, Uuid7Model
from opsconsole.core.states import Stateful, States


class Change(Stateful, Uuid7Model):
    """One change of one record. What it says never changes; `before` and `after` are as people read them.

    `payload` is what the kind applies. Secret members of it stand there as fingerprints; their values are in
    `secrets`, encrypted, until the change ends.
    """

    states: ClassVar[type[States]] = ChangeState

    kind = models.TextField()
    subject_kind = models.TextField()  # the table of the record, as the journal names it
    subject_id = models.TextField()  # its key; the name it will have, where it is new
    subject_name = models.TextField()
    title = models.TextField()
    payload = models.JSONField()
    secrets = EncryptedTextField(db_default="", blank=True)
    before = models.JSONField()
    after = models.JSONField()
    warnings = models.JSONField(default=list, blank=True)
    reason = models.TextField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    concerned = models.JSONField(default=list, blank=True)  # ids of users whom it is about: they never approve it
    digest = models.TextField()
    status = models.TextField(choices=ChangeState.choices, default=ChangeState.REQUESTED)
    failure = models.TextField(default="", blank=True)  # why it is stale, or failed
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "ops_changes"
        verbose_name = _("change")
        verbose_name_plural = _("changes")
        default_permissions = ("view",)
        permissions = [
            ("request_treasury_change", "Can ask for a change of banks, accounts and payees"),
            ("request_policy_change", "Can ask for a change of an approval policy"),
            ("request_people_change", "Can ask for a change of users and of what they are given"),
            ("take_away", "Can take roles, grants, tokens and keys away, and end a person's access"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="change_digest_is_sha256"),
            models.CheckConstraint(condition=~Q(reason=""), name="change_says_why"),
            models.CheckConstraint(
                condition=Q(status__in=OPEN, ended_at=None) | (~Q(status__in=OPEN) & Q(ended_at__isnull=False)),
                name="change_ended_says_when",
            ),
            models.CheckConstraint(condition=Q(status__in=OPEN) | Q(secrets=""), name="change_ended_keeps_no_secret"),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="changes_newest"),
            models.Index(fields=["status", "-created_at", "-id"], name="changes_by_status"),
            models.Index(fields=["kind", "created_at"], condition=Q(status__in=OPEN), name="changes_waiting"),
            models.Index(fields=["subject_kind", "subject_id", "-created_at"], name="changes_by_subject"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def values(self) -> dict[str, Any]:
        """The payload as the kind applies it, with its secrets."""
        hidden = json.loads(self.secrets.reveal()) if self.secrets else {}
        return {**self.payload, **{name: Secret(value) for name, value in hidden.items()}}
