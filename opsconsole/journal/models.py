"""The journal's tables. Only functions and triggers of the database write them (migration 0001), never a model."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _


class Entry(models.Model):
    """One thing that happened. `body` is the record, hashed as it stands; the other columns are read from it."""

    id = models.UUIDField(primary_key=True, editable=False)
    seq = models.BigIntegerField(unique=True, editable=False)
    at = models.DateTimeField(editable=False)
    actor_kind = models.TextField(editable=False)
    actor_id = models.TextField(editable=False)
    actor_name = models.TextField(editable=False)
    verb = models.TextField(editable=False)
    subject_kind = models.TextField(editable=False)
    subject_id = models.TextField(editable=False)
    body = models.TextField(editable=False)
    leaf = models.BinaryField(editable=False)

    class Meta:
        db_table = "journal_entries"
        verbose_name = _("journal entry")
        verbose_name_plural = _("journal entries")
        default_permissions = ("view",)
        permissions = [
            ("verify_journal", "Can verify the journal"),
            ("seal_journal", "Can seal the journal"),
            ("export_journal", "Can export the journal"),
        ]
        indexes = [
            models.Index(fields=["at", "seq"], name="journal_by_time"),
            models.Index(fields=["subject_kind", "subject_id"], name="journal_by_subject"),
            models.Index(fields=["actor_id"], name="journal_by_actor"),
            models.Index(fields=["verb"], name="journal_by_verb"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.subject_kind}:{self.subject_id}"

    @property
    def content(self) -> dict[str, Any]:
        """The body as an object: v, seq, id, at, actor, verb, subject, before, after, reason, request_id."""
        return json.loads(self.body)  # type: ignore[no-any-return] # the trigger makes objects only


class Pending(models.Model):
    """An entry that the sealer has yet to give its place in the tree."""

    seq = models.BigIntegerField(primary_key=True)
    leaf = models.BinaryField()

    class Meta:
        db_table = "journal_pending"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.seq)


class Leaf(models.Model):
    """The place of an entry in the tree: index by order of sealing, from 0 on without a gap."""

    index = models.BigIntegerField(primary_key=True)
    seq = models.BigIntegerField(unique=True)
    hash = models.BinaryField()

    class Meta:
        db_table = "journal_leaves"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.index)


class Node(models.Model):
    """The hash of a perfect subtree at level 8, 16, 24 ...: with these a proof reads hundreds of rows, not millions."""

    pk = models.CompositePrimaryKey("level", "index")
    level = models.SmallIntegerField()
    index = models.BigIntegerField()
    hash = models.BinaryField()

    class Meta:
        db_table = "journal_nodes"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.level}/{self.index}"


class Tree(models.Model):
    """The tree as it is now, in one row with id 1: number of leaves, and the right edge that the next leaf joins."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    size = models.BigIntegerField()
    edge = ArrayField(models.BinaryField())

    class Meta:
        db_table = "journal_tree"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.size)


class Checkpoint(models.Model):
    """A signed statement of size and root; `note` is what was signed, and what is held outside as well."""

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField()
    note = models.TextField()
    at = models.DateTimeField()

    class Meta:
        db_table = "journal_checkpoints"
        verbose_name = _("checkpoint")
        verbose_name_plural = _("checkpoints")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.size)
