"""What the workers of loyalty have done, counted."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class WorkerExecution(models.Model):
    """How often a worker has ended this way: processes fork and restart, so the count is kept here."""

    worker = models.TextField()
    status = models.TextField()
    count = models.BigIntegerField()
    last_at = models.DateTimeField(db_default=Now(), editable=False)

    pk = models.CompositePrimaryKey("worker", "status")

    class Meta:
        db_table = "loyalty_worker_executions"
        default_permissions = ()
