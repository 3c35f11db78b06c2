"""The two views that the runbooks read: the audit trail of loyalty, and its approval requests."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class AuditLog(models.Model):
    """The ledger and the journal seen as one trail; a transaction has exactly one row, and `user_id` is its member."""

    id = models.UUIDField(primary_key=True)
    entity_type = models.TextField()
    entity_id = models.UUIDField(null=True)
    user_id = models.TextField(null=True)
    actor = models.TextField(null=True)
    action = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "loyalty_audit_logs"
        managed = False
        default_permissions = ()
        verbose_name = _("entry of the audit trail")
        verbose_name_plural = _("audit trail")


class ApprovalRequest(models.Model):
    """The approval requests of loyalty, as the runbooks name them."""

    id = models.UUIDField(primary_key=True)
    action = models.TextField()
    entity_type = models.TextField()
    entity_id = models.TextField()
    title = models.TextField()
    status = models.TextField()
    requested_by = models.UUIDField()
    required_roles = models.JSONField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "loyalty_approval_requests"
        managed = False
        default_permissions = ()
        verbose_name = _("approval request")
        verbose_name_plural = _("approval requests")
