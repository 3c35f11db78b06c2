"""Exactly what is approved of a change, and the digest it is known by."""

from __future__ import annotations

from typing import Any

from opsconsole.changes.kinds.base import fingerprint, kind_named
from opsconsole.changes.models import Change
from opsconsole.core.canonical import digest, to_plain


def content_of(change: Change) -> dict[str, Any]:
    """What approvers are shown: the change as its row has it, secrets by the fingerprints of what is stored."""
    values = change.values
    hidden = {name: fingerprint(values.get(name, "")) for name in kind_named(change.kind).secret_fields}
    shown: dict[str, Any] = to_plain(
        {
            "kind": change.kind,
            "subject": {"kind": change.subject_kind, "id": change.subject_id, "name": change.subject_name},
            "before": change.before,
            "after": change.after,
            "asked": {**change.payload, **{name: value for name, value in hidden.items() if value}},
            "warnings": change.warnings,
            "reason": change.reason,
            "requested_by": change.requested_by.username,
        }
    )
    return shown


def digest_of(change: Change, policy: dict[str, Any]) -> str:
    """The digest over the content and the terms of approval; another one means that somebody altered the row."""
    return digest({**content_of(change), "policy": policy})
