"""The tree: the vectors of the reference implementation, and properties."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.journal import merkle

# Leaves and roots of Certificate Transparency's own tests (google/certificate-transparency, merkle_tree_test).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# (leaf, size) -> audit path, of the same tests; leaves counted from 0.
PATHS = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
GROWTHS = {
    (1, 1): [],
    (1, 8): PATHS[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


def hashes(count: int) -> list[bytes]:
    return [merkle.leaf_hash(b"%d" % number) for number in range(count)]


def perfect_over(leaves: list[bytes]) -> merkle.PerfectHash:
    return lambda level, index: merkle.root_of(leaves[index << level : (index + 1) << level])


def test_the_empty_tree() -> None:
    assert merkle.EMPTY_ROOT == sha256(b"").digest() == merkle.root_of([]) == merkle.Edge().root()


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size: int) -> None:
    leaves = [merkle.leaf_hash(data) for data in LEAVES[:size]]
    edge = merkle.Edge()
    for leaf in leaves:
        edge.append(leaf)
    assert merkle.root_of(leaves).hex() == edge.root().hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size"), PATHS)
def test_published_inclusion_paths(index: int, size: int) -> None:
    leaves = [merkle.leaf_hash(data) for data in LEAVES[:size]]
    path = merkle.inclusion_path(index, size, perfect_over(leaves))
    assert [node.hex() for node in path] == PATHS[index, size]
    assert merkle.verify_inclusion(leaves[index], index, size, path, bytes.fromhex(ROOTS[size - 1]))


@pytest.mark.parametrize(("old", "new"), GROWTHS)
def test_published_consistency_paths(old: int, new: int) -> None:
    leaves = [merkle.leaf_hash(data) for data in LEAVES[:new]]
    path = merkle.consistency_path(old, new, perfect_over(leaves))
    assert [node.hex() for node in path] == GROWTHS[old, new]
    assert merkle.verify_consistency(old, new, path, bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1]))


@given(st.integers(1, 300))
def test_the_edge_agrees_with_the_definition(size: int) -> None:
    leaves, edge = hashes(size), merkle.Edge()
    for leaf in leaves:
        edge.append(leaf)
    assert edge.root() == merkle.root_of(leaves)
    assert len(edge.hashes) == size.bit_count()
    again = merkle.Edge(edge.size, edge.hashes)
    again.append(leaves[0])
    assert again.root() == merkle.root_of([*leaves, leaves[0]])


@given(st.integers(1, 600))
def test_the_edge_tells_of_every_perfect_subtree(size: int) -> None:
    leaves, told = hashes(size), {}
    edge = merkle.Edge(finished=lambda level, index, subtree: told.update({(level, index): subtree}))
    for leaf in leaves:
        edge.append(leaf)
    expected = {(level, index) for level in range(1, 11) for index in range(size >> level)}
    assert told.keys() == expected
    assert all(told[level, index] == perfect_over(leaves)(level, index) for level, index in expected)


@given(st.data())
def test_every_inclusion_proof_holds_and_no_other_leaf_fits(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 200))
    index = data.draw(st.integers(0, size - 1))
    leaves = hashes(size)
    root, path = merkle.root_of(leaves), merkle.inclusion_path(index, size, perfect_over(leaves))
    assert merkle.verify_inclusion(leaves[index], index, size, path, root)
    for other in range(size):
        if other != index:
            assert not merkle.verify_inclusion(leaves[index], other, size, path, root)
    assert not merkle.verify_inclusion(merkle.leaf_hash(b"other"), index, size, path, root)
    assert not merkle.verify_inclusion(leaves[index], index, size, [*path, root], root)
    assert not merkle.verify_inclusion(leaves[index], index, size, path, leaves[index] if path else root[::-1])
    for place in range(len(path)):
        changed = [*path[:place], path[place][::-1], *path[place + 1 :]]
        assert not merkle.verify_inclusion(leaves[index], index, size, changed, root)
        assert not merkle.verify_inclusion(leaves[index], index, size, path[:place] + path[place + 1 :], root)


@given(st.data())
def test_every_consistency_proof_holds_and_no_changed_one(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, 200))
    old = data.draw(st.integers(1, new))
    leaves = hashes(new)
    was, now = merkle.root_of(leaves[:old]), merkle.root_of(leaves)
    path = merkle.consistency_path(old, new, perfect_over(leaves))
    assert merkle.verify_consistency(old, new, path, was, now)
    assert not merkle.verify_consistency(old, new, path, was[::-1], now)
    assert not merkle.verify_consistency(old, new, path, was, now[::-1])
    assert not merkle.verify_consistency(old, new, [*path, was], was, now)
    for place in range(len(path)):
        changed = [*path[:place], path[place][::-1], *path[place + 1 :]]
        assert not merkle.verify_consistency(old, new, changed, was, now)


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_parts_cover_a_range_exactly(one: int, other: int) -> None:
    start, end = min(one, other), max(one, other)
    following = start
    for level, index in merkle.perfect_parts(start, end):
        assert index << level == following
        following += 1 << level
    assert following == end


@given(st.integers(1, 300), st.integers(1, 300))
def test_subtrees_can_stand_for_their_leaves(first: int, second: int) -> None:
    leaves, edge = hashes(first + second), merkle.Edge()
    for leaf in leaves[:first]:
        edge.append(leaf)
    for level, index in merkle.perfect_parts(first, first + second):
        edge.append_perfect(level, perfect_over(leaves)(level, index))
    assert edge.root() == merkle.root_of(leaves)


def test_what_makes_no_sense_is_refused() -> None:
    leaves = hashes(5)
    with pytest.raises(ValueError, match="leaf 5 is not in a tree of 5"):
        merkle.inclusion_path(5, 5, perfect_over(leaves))
    with pytest.raises(ValueError, match="no consistency proof leads from 6 to 5"):
        merkle.consistency_path(6, 5, perfect_over(leaves))
    with pytest.raises(ValueError, match="an edge of 2, not 1"):
        merkle.Edge(5, leaves[:1])
    with pytest.raises(ValueError, match="no subtree of level 1 begins at leaf 1"):
        merkle.Edge(1, leaves[:1]).append_perfect(1, leaves[0])
    assert not merkle.verify_inclusion(leaves[0], 5, 5, [], leaves[0])
    assert not merkle.verify_inclusion(leaves[0], -1, 5, [], leaves[0])
    assert not merkle.verify_consistency(0, 5, [], merkle.EMPTY_ROOT, merkle.root_of(leaves))
    assert not merkle.verify_consistency(3, 5, [], leaves[0], leaves[0])
