"""The Merkle tree of RFC 6962 (section 2.1): roots, inclusion proofs, consistency proofs, and its growing right edge.

A *perfect* subtree at `level` and `index` covers the 2**level leaves from index * 2**level on. Whoever asks for a
proof hands in a function that knows the hashes of perfect subtrees; verification follows RFC 9162, 2.1.3.2 and
2.1.4.2, which prints as code what RFC 6962 says in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()

PerfectHash = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf's data."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, straight from the definition of MTH."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = _split(len(leaves))
    return node_hash(root_of(leaves[:split]), root_of(leaves[split:]))


def parent_row(row: Sequence[bytes]) -> list[bytes]:
    """The hashes one level up from a row of even length."""
    pairs = iter(row)
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]


class Edge:
    """The right edge of a tree: the perfect subtrees its size is made of, biggest first.

    It is all that appending needs. `finished` is told of every perfect subtree as it is completed by `append`.
    """

    __slots__ = ("_finished", "hashes", "size")

    def __init__(
        self,
        size: int = 0,
        hashes: Sequence[bytes] = (),
        finished: Callable[[int, int, bytes], None] | None = None,
    ) -> None:
        if size.bit_count() != len(hashes):
            raise ValueError(f"a tree of {size} leaves has an edge of {size.bit_count()}, not {len(hashes)}")
        self.size = size
        self.hashes = list(hashes)
        self._finished = finished

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        hashes, index, level, subtree = self.hashes, self.size, 0, leaf
        while index & 1:
            subtree = sha256(b"\x01" + hashes.pop() + subtree).digest()
            index >>= 1
            level += 1
            if self._finished is not None:
                self._finished(level, index, subtree)
        hashes.append(subtree)
        self.size += 1

    def append_perfect(self, level: int, subtree: bytes) -> None:
        """Add 2**level leaves by the hash of their subtree; raises ValueError where one cannot begin."""
        if self.size & ((1 << level) - 1):
            raise ValueError(f"no subtree of level {level} begins at leaf {self.size}")
        index = self.size >> level
        while index & 1:
            subtree = node_hash(self.hashes.pop(), subtree)
            index >>= 1
        self.hashes.append(subtree)
        self.size += 1 << level

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        return _fold(self.hashes)


def perfect_parts(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The fewest perfect subtrees, as (level, index), that cover the leaves from `start` up to before `end`."""
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


def inclusion_path(index: int, size: int, perfect: PerfectHash) -> list[bytes]:
    """PATH(index, D[size]): the siblings from the leaf up to the root of a tree of `size` leaves."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size} leaves")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            path.append(_range_hash(split, end, perfect))
            end = split
        else:
            path.append(_range_hash(start, split, perfect))
            start = split
    return path[::-1]


def consistency_path(old: int, new: int, perfect: PerfectHash) -> list[bytes]:
    """PROOF(old, D[new]): what shows that the tree of `old` leaves is the beginning of the one of `new`."""
    if not 0 < old <= new:
        raise ValueError(f"no consistency proof leads from {old} to {new} leaves")
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        split = start + _split(end - start)
        if old <= split:
            path.append(_range_hash(split, end, perfect))
            end = split
        else:
            path.append(_range_hash(start, split, perfect))
            start, whole = split, False
    if not whole:
        path.append(_range_hash(start, end, perfect))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the path leads from the leaf at `index` to the root of a tree of `size` leaves."""
    if not 0 <= index < size:
        return False
    node, last, reached = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            reached = node_hash(sibling, reached)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            reached = node_hash(reached, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and reached == root


def verify_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether the path shows that the tree behind `new_root` only appended to the one behind `old_root`."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not steps:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    reached_old = reached_new = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            reached_old, reached_new = node_hash(sibling, reached_old), node_hash(sibling, reached_new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            reached_new = node_hash(reached_new, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and reached_old == old_root and reached_new == new_root


def _split(size: int) -> int:
    # The largest power of two below `size`.
    return 1 << ((size - 1).bit_length() - 1)


def _fold(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def _range_hash(start: int, end: int, perfect: PerfectHash) -> bytes:
    # Ranges that the recursion of the RFC makes begin at a multiple of their own width, so folding is right.
    return _fold([perfect(level, index) for level, index in perfect_parts(start, end)])
