"""Members and what they earned, with the index by which a member's movements are found."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Member(models.Model):
    """A member's points."""

    user_id = models.TextField(unique=True)
    points = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(db_default=Now())


class Movement(models.Model):
    """Points that a member earned."""

    user_id = models.TextField()
    amount = models.BigIntegerField()
    origin = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["user_id", "created_at"])]
