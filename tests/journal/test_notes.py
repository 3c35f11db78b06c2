"""Signed notes and checkpoints: published vectors, and what must not be believed."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.journal.notes import BadNote, Signer, TreeHead, VerifierKey, open_note

# The key and note of the Go reference implementation (golang.org/x/mod/sumdb/note).
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_SECRET = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = (
    f"{TEXT}\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
GO_CHECKSUMS = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"

SIGNER = Signer("example.com/log", Ed25519PrivateKey.from_private_bytes(b"k" * 32))
OTHER = Signer("example.com/log", Ed25519PrivateKey.from_private_bytes(b"o" * 32))
HEAD = TreeHead("example.com/log", 12, b"r" * 32, datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC))


def test_published_note_and_keys() -> None:
    key = VerifierKey.parse(NEUMANN)
    assert str(key) == NEUMANN
    assert key.id.hex() == "c74f20a3"
    assert str(VerifierKey.parse(GO_CHECKSUMS)) == GO_CHECKSUMS
    assert open_note(NOTE, [key]) == TEXT
    seed = base64.b64decode(NEUMANN_SECRET)[1:]
    assert Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(seed)).sign(TEXT) == NOTE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq",
        "PeterNeumann+c74f20a3+AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\nx",
    ],
)
def test_a_mangled_key_is_no_key(text: str) -> None:
    with pytest.raises(BadNote):
        VerifierKey.parse(text)


def test_a_checkpoint_survives_its_note() -> None:
    note = SIGNER.sign(HEAD.text)
    assert note.startswith(
        "example.com/log\n12\ncnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=\nat 2026-01-31T12:00:00.000005Z\n\n— "
    )
    assert TreeHead.parse(open_note(note, [OTHER.verifier, SIGNER.verifier])) == HEAD


def test_unknown_signatures_are_ignored_and_a_bad_known_one_is_not() -> None:
    ours, theirs = SIGNER.sign(HEAD.text), OTHER.sign(HEAD.text)
    both = ours + theirs.rpartition("\n\n")[2]
    assert open_note(both, [SIGNER.verifier]) == open_note(both, [OTHER.verifier]) == HEAD.text
    forged = ours + SIGNER.sign(HEAD.text.replace("12", "13")).rpartition("\n\n")[2]
    with pytest.raises(BadNote, match="does not verify"):
        open_note(forged, [SIGNER.verifier])
    with pytest.raises(BadNote, match="no key we trust"):
        open_note(ours, [OTHER.verifier])
    with pytest.raises(BadNote, match="no key we trust"):
        open_note(ours, [])


@pytest.mark.parametrize(
    "note",
    [
        "",
        "no signatures\n",
        "\n\n",
        "text\n\n",
        "text\n\n— name\n",
        "text\n\n— name AAAA\n",
        "text\n\n- name AAAAAAA=\n",
        "text\n\n— na+me AAAAAAA=\n",
        NOTE.rstrip("\n"),
        NOTE.replace("=\n", "\n"),
        NOTE + "\n",
        NOTE.replace("think", "thi\tnk"),
        NOTE.replace("think", "th1nk"),
        NOTE + NOTE.rpartition("\n\n")[2] * 100,
    ],
)
def test_a_mangled_note_is_no_note(note: str) -> None:
    with pytest.raises(BadNote):
        open_note(note, [VerifierKey.parse(NEUMANN)])


@given(st.integers(0, len(NOTE) - 1), st.characters(exclude_categories=["Cs"]))
def test_any_changed_character_is_noticed(place: int, character: str) -> None:
    changed = NOTE[:place] + character + NOTE[place + 1 :]
    if changed == NOTE:
        return
    with pytest.raises(BadNote):
        open_note(changed, [VerifierKey.parse(NEUMANN)])


@given(st.text())
def test_any_text_is_a_note_or_a_bad_one(text: str) -> None:
    try:
        open_note(text, [VerifierKey.parse(NEUMANN)])
    except BadNote:
        return
    pytest.fail("a text that nobody signed was believed")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n1\n",
        "origin\n01\ncnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=\nat 2026-01-31T12:00:00.000005Z\n",
        "origin\n-1\ncnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=\nat 2026-01-31T12:00:00.000005Z\n",
        "origin\n1\ncnJy\nat 2026-01-31T12:00:00.000005Z\n",
        "origin\n1\ncnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI\nat 2026-01-31T12:00:00.000005Z\n",
        "origin\n1\ncnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=\nat noon\n",
        "origin\n1\ncnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=\n",
        "\n1\ncnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=\nat 2026-01-31T12:00:00.000005Z\n",
    ],
)
def test_not_every_text_is_a_checkpoint(text: str) -> None:
    with pytest.raises(BadNote):
        TreeHead.parse(text)
