"""Runbooks are files; this is what the rights to read them and to look into the database hang on."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Runbook(models.Model):
    """No table stands behind it."""

    id = models.TextField(primary_key=True)

    class Meta:
        managed = False
        db_table = "runbooks_runbooks"
        verbose_name = _("runbook")
        verbose_name_plural = _("runbooks")
        default_permissions = ("view",)
        permissions = [("view_database", "Can look at the database's sessions, tables and triggers")]

    def __str__(self) -> str:
        return self.id
