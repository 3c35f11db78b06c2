"""Where artifacts live: rendered bank files, journal checkpoints, evidence. Files under var/, or S3 by setting."""

from __future__ import annotations

from django.core.files.storage import Storage, storages


def artifacts() -> Storage:
    """The artifact storage; names are never reused, and content is never overwritten."""
    return storages["artifacts"]
