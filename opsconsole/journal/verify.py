"""Is the journal as it was written? Everything is computed anew from the stored bytes and held against what is signed.

One pass over the leaves in the order of the tree recomputes each entry's hash and columns and grows the tree; wherever
a checkpoint was signed, in the table or outside, the root must be the one it names. A change to any single column of
any journal table disagrees with something here; so does a row that is missing or one too many. Who changes an entry,
its leaf, the tree and every checkpoint in the table alike still cannot change the ones held outside, nor sign.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.conf import settings

from opsconsole.journal.gateways import OutsideCheckpoints
from opsconsole.journal.keys import trusted
from opsconsole.journal.merkle import Edge
from opsconsole.journal.notes import BadNote, TreeHead, open_note
from opsconsole.journal.outcomes import SHOWN, Finding, Outcome
from opsconsole.journal.proofs import STORED_EVERY
from opsconsole.journal.selectors import snapshot, stream

_decode = json.JSONDecoder().raw_decode

Progress = Callable[[int, int], None]
Row = tuple[Any, ...]

_AT = "%Y-%m-%dT%H:%M:%S.%fZ"
_TIME = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""

# What an entry says beside its body, in the order in which _said_by reads it there.
_COLUMNS = ("seq", "id", "at", "actor_kind", "actor_id", "actor_name", "verb", "subject_kind", "subject_id")
_ENTRY = f"""
    e.body, e.leaf, e.seq, e.id::text, to_char(e.at at time zone 'UTC', {_TIME}), e.actor_kind, e.actor_id,
    e.actor_name, e.verb, e.subject_kind, e.subject_id
"""
_LEAVES = f"""
    select l.index, l.seq, l.hash, {_ENTRY} from journal_leaves l left join journal_entries e on e.seq = l.seq
    order by l.index
"""
_PENDING = f"""
    select l.index, p.seq, p.leaf, {_ENTRY} from journal_pending p
    left join journal_entries e on e.seq = p.seq left join journal_leaves l on l.seq = p.seq
    order by p.seq
"""
_CHECKPOINTS = f"""
    select size, root, note, to_char(at at time zone 'UTC', {_TIME}) from journal_checkpoints order by size
"""
_STRAYS = """
    select e.seq, e.id::text from journal_entries e
    where not exists (select from journal_leaves l where l.seq = e.seq)
      and not exists (select from journal_pending p where p.seq = e.seq)
    order by e.seq limit %s
"""


def verify(*, progress: Progress = lambda _done, _total: None) -> Outcome:
    """Check the whole journal against itself, the signatures, and every checkpoint in the table and outside.

    Takes one snapshot and holds nobody up. `progress` is told the leaves done and their number.
    """
    # What is held outside is listed first: every note there was committed before the snapshot is taken.
    outside = OutsideCheckpoints()
    held = outside.sizes()
    with snapshot():
        return _Verification(outside, held, progress).run()


class _Verification:
    """One run, inside a snapshot."""

    def __init__(self, outside: OutsideCheckpoints, held: Sequence[int], progress: Progress) -> None:
        self.outcome = Outcome(outside=len(held))
        self.outside = outside
        self.keys = trusted()
        self.progress = progress
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.edge = Edge(finished=self._keep_node)
        self.whole = True  # no leaf is missing so far, so the tree can be computed
        self.diverged = False  # a root was wrong, so every later one will be
        self.missing_outside = 0
        self.heads = _by_size(held)
        self.next_head = next(self.heads, None)

    def run(self) -> Outcome:
        """All checks, in the order in which their findings are worth reading."""
        self._check_leaves()
        self._check_beyond()
        self._check_nodes()
        self._check_tree()
        self._check_pending()
        self._check_strays()
        return self.outcome

    def _found(self, what: str, *, seq: int | None = None, entry: str | None = None, index: int | None = None) -> None:
        self.outcome.findings.append(Finding(what, seq=seq, entry=entry, index=index))

    def _keep_node(self, level: int, index: int, subtree: bytes) -> None:
        if level % STORED_EVERY == 0:
            self.nodes[level, index] = subtree

    # Leaves with their entries, in the order of the tree

    def _check_leaves(self) -> None:
        (total,) = _only_row("select count(*) from journal_leaves")
        for rows in stream(_LEAVES):
            for row in rows:
                self._check_leaf(row)
            self.progress(self.outcome.sealed, total)

    def _check_leaf(self, row: Row) -> None:
        index, seq, leaf = row[:3]
        outcome = self.outcome
        if self.whole and index != outcome.sealed:
            self.whole = False
            self._found(f"the leaf was deleted; the next one there is {index}", index=outcome.sealed)
        outcome.sealed += 1
        if row[3] is None:
            self._found("the entry of this leaf was deleted", seq=seq, index=index)
        else:
            outcome.entries += 1
            if wrong := _wrong_with(row):
                self._found(wrong, seq=seq, entry=row[6], index=index)
        if self.whole:
            self.edge.append(leaf)
            while self.next_head is not None and self.next_head[0] <= self.edge.size:
                self._check_head(*self.next_head)
                self.next_head = next(self.heads, None)

    # Signed checkpoints, in the table and outside

    def _check_head(self, size: int, row: Row | None, held: bool) -> None:  # noqa: FBT001 - as `_by_size` yields it
        """Hold the tree, as it is at this size, against what was signed for it."""
        for head, where in self._signed(size, row, held):
            if head.size != self.edge.size:
                continue
            if head.root == self.edge.root():
                self.outcome.size = size
            elif not self.diverged:
                self.diverged = True
                self._found(
                    f"the checkpoint of size {size} ({where}) was signed for another tree: leaves after"
                    f" {self.outcome.size} and before {size} were changed",
                    index=self.outcome.size,
                )
        if row is None:
            self._found(f"the checkpoint of size {size} was deleted from the table; it is held outside")

    def _check_beyond(self) -> None:
        """Whatever was signed beyond the last leaf shows that the tail was cut off."""
        leaves = self.outcome.sealed
        furthest = 0
        while self.next_head is not None:
            for head, _ in self._signed(*self.next_head):
                furthest = max(furthest, head.size)
            self.next_head = next(self.heads, None)
        if furthest > leaves:
            self._found(f"the tail was cut off: {furthest} leaves were signed, {leaves} are there", index=leaves)
        if self.whole and self.outcome.size < leaves:
            self._found(f"no genuine checkpoint covers the last {leaves - self.outcome.size} leaves")
        if self.missing_outside:
            self.outcome.remarks.append(f"{self.missing_outside} checkpoints of the table are not held outside")

    def _signed(self, size: int, row: Row | None, held: bool) -> Iterator[tuple[TreeHead, str]]:  # noqa: FBT001
        """The genuine statements about this size, and where they are; what is not genuine becomes a finding."""
        note = None
        if row is not None:
            self.outcome.checkpoints += 1
            _, root, note, at = row
            where = "in the table"
            if head := self._opened(note, size, where):
                if (bytes(root), at) != (head.root, f"{head.at:{_AT}}"):
                    self._found(f"the checkpoint of size {size} ({where}): its root or time is not the signed one")
                yield head, where
        if not held:
            self.missing_outside += 1
            return
        where = "held outside"
        text = self.outside.read(size)
        if text != note and (head := self._opened(text, size, where)):
            yield head, where

    def _opened(self, note: str, size: int, where: str) -> TreeHead | None:
        try:
            head = TreeHead.parse(open_note(note, self.keys))
        except BadNote as error:
            self._found(f"the checkpoint of size {size} ({where}) is not genuine: {error}")
            return None
        if (head.origin, head.size) != (settings.JOURNAL_ORIGIN, size):
            self._found(
                f"the checkpoint of size {size} ({where}) was signed as that of {head.origin}, size {head.size}"
            )
        return head

    # The stored tree

    def _check_nodes(self) -> None:
        if not self.whole:
            return
        stored: dict[tuple[int, int], bytes] = {}
        for rows in stream("select level, index, hash from journal_nodes order by level, index"):
            stored.update({(level, index): bytes(node) for level, index, node in rows})
        for level, index in sorted(stored.keys() | self.nodes.keys()):
            if (level, index) not in stored:
                self._found(f"the node at level {level}, index {index} of journal_nodes was deleted")
            elif stored[level, index] != self.nodes.get((level, index)):
                self._found(f"the node at level {level}, index {index} of journal_nodes is not that of the leaves")

    def _check_tree(self) -> None:
        rows = [row for chunk in stream("select id, size, edge from journal_tree order by id") for row in chunk]
        if [row[0] for row in rows] != [1]:
            self._found(f"journal_tree must hold one row, of id 1; it holds {[row[0] for row in rows]}")
        for _, size, edge in rows[:1]:
            if size != self.outcome.sealed:
                self._found(f"journal_tree says size {size}; there are {self.outcome.sealed} leaves")
            if self.whole and [bytes(node) for node in edge] != self.edge.hashes:
                self._found("the edge in journal_tree is not that of the leaves")

    # Entries without a leaf

    def _check_pending(self) -> None:
        for rows in stream(_PENDING):
            for row in rows:
                index, seq = row[:2]
                self.outcome.unsealed += 1
                if index is not None:
                    self._found("the entry waits to be sealed and is sealed", seq=seq, index=index)
                elif row[3] is None:
                    self._found("the entry was deleted before it was sealed", seq=seq)
                else:
                    self.outcome.entries += 1
                    if wrong := _wrong_with(row):
                        self._found(f"{wrong} (not sealed yet)", seq=seq, entry=row[6])

    def _check_strays(self) -> None:
        # Each leaf and each pending row was matched with its own entry, so with equal counts none is left over.
        (entries,) = _only_row("select count(*) from journal_entries")
        if entries == self.outcome.entries:
            return
        self.outcome.entries = entries
        for rows in stream(_STRAYS, [SHOWN]):
            for seq, entry in rows:
                self._found("the entry is neither sealed nor waiting to be", seq=seq, entry=entry)


def _by_size(held: Sequence[int]) -> Iterator[tuple[int, Row | None, bool]]:
    """The checkpoints, ascending by size: the table's row of that size if any, and whether it is held outside."""
    table = ((row[0], row) for rows in stream(_CHECKPOINTS) for row in rows)
    outside = ((size, None) for size in held)
    for size, found in groupby(heapq.merge(table, outside, key=itemgetter(0)), key=itemgetter(0)):
        rows = [row for _, row in found]
        yield size, next((row for row in rows if row is not None), None), None in rows


def _wrong_with(row: Row) -> str:
    """What is wrong with an entry beside the hash it was queued or sealed with; empty when nothing is."""
    sealed, body, leaf = row[2], row[3], row[4]
    computed = sha256(b"\x00" + body.encode()).digest()
    if computed != sealed or computed != leaf:
        if computed == sealed:
            return "the column leaf was changed"
        if leaf == sealed:
            return "the body was changed"
        return "the entry is not the one that was hashed: its body and leaf, or the hash, were changed"
    try:
        said = _said_by(_decode(body)[0])
    except (ValueError, LookupError, TypeError):
        return "the body is not an entry"
    if said != row[5:]:
        pairs = zip(_COLUMNS, said, row[5:], strict=True)
        return ", ".join(f"the column {name} was changed" for name, was, now in pairs if was != now)
    return ""


def _said_by(body: dict[str, Any]) -> Row:
    actor, subject = body["actor"], body["subject"]
    return (
        body["seq"],
        body["id"],
        body["at"],
        actor["kind"],
        actor["id"],
        actor["name"],
        body["verb"],
        subject["kind"],
        subject["id"],
    )


def _only_row(query: str) -> Row:
    return next(row for rows in stream(query) for row in rows)
