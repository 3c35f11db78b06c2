"""Proofs from the stored tree: that an entry is in it, and that it only ever grew."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import Invalid
from opsconsole.journal import merkle
from opsconsole.journal.errors import JournalDamaged, NoCheckpoint, NotSealed
from opsconsole.journal.models import Checkpoint, Entry
from opsconsole.journal.selectors import last_checkpoint, leaf_index

STORED_EVERY = 8  # levels whose nodes are kept: 8, 16, 24 ...; level 0 are the leaves


def perfect_hash(level: int, index: int) -> bytes:
    """The hash of a complete perfect subtree, from at most 128 stored rows."""
    base = level - level % STORED_EVERY
    width = 1 << (level - base)
    wanted: Sequence[int] = [index * width, index * width + width - 1]
    with connection.cursor() as cursor:
        if base == 0:
            cursor.execute('select hash from journal_leaves where "index" between %s and %s order by "index"', wanted)
        else:
            cursor.execute(
                'select hash from journal_nodes where level = %s and "index" between %s and %s order by "index"',
                [base, *wanted],
            )
        row = [bytes(found[0]) for found in cursor.fetchall()]
    if len(row) != width:
        raise JournalDamaged(
            format_lazy(
                _("The tree lacks hashes of level {level} from {first} on; verify the journal."),
                level=base,
                first=index * width,
            )
        )
    while len(row) > 1:
        row = merkle.parent_row(row)
    return row[0]


def prove_entry(entry: Entry) -> dict[str, Any]:
    """The inclusion proof of an entry under the newest checkpoint, as the offline verifier takes it.

    `{"entry": the body, "leaf_index", "tree_size", "audit_path": [base64], "checkpoint": the note}`. Raises NotSealed
    in the moments before the sealer has come by.
    """
    index = leaf_index(entry.seq)
    if index is None:
        raise NotSealed(_("The entry is not sealed yet; ask again in a moment."), id=str(entry.pk))
    head = newest_checkpoint()
    path = merkle.inclusion_path(index, head.size, perfect_hash)
    return {
        "entry": entry.body,
        "leaf_index": index,
        "tree_size": head.size,
        "audit_path": [base64.b64encode(node).decode() for node in path],
        "checkpoint": head.note,
    }


def prove_growth(old_size: int) -> dict[str, Any]:
    """The consistency proof from the checkpoint of `old_size` to the newest; raises Invalid when there is none of it.

    `{"old": that note, "consistency_path": [base64], "checkpoint": the newest note}`. An auditor who kept the old note
    need not trust `old`: the offline verifier takes theirs instead.
    """
    head = newest_checkpoint()
    old = Checkpoint.objects.filter(size=old_size).first()
    if old is None:
        raise Invalid(format_lazy(_("There is no checkpoint of size {size}."), size=old_size), size=old_size)
    path = merkle.consistency_path(old.size, head.size, perfect_hash)
    return {
        "old": old.note,
        "consistency_path": [base64.b64encode(node).decode() for node in path],
        "checkpoint": head.note,
    }


def newest_checkpoint() -> Checkpoint:
    """The newest checkpoint; raises NoCheckpoint before the first."""
    head = last_checkpoint()
    if head is None:
        raise NoCheckpoint(_("Nothing has been sealed yet."))
    return head
