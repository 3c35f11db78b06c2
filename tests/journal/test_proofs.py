"""Proofs: what we hand out, the offline verifier believes; what anybody alters, it does not."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command

from opsconsole.core.errors import Invalid, NotFound
from opsconsole.journal import keys, proofs, selectors
from opsconsole.journal.errors import JournalDamaged, NoCheckpoint, NotSealed
from opsconsole.journal.models import Checkpoint, Entry, Leaf
from opsconsole.journal.notes import Signer, TreeHead
from tests.journal.conftest import WRITER, seal_all, write_entries

Offline = Callable[..., Any]
pytestmark = pytest.mark.django_db(transaction=True)


def prove(entry_id: object) -> dict[str, Any]:
    return proofs.prove_entry(Entry.objects.get(pk=entry_id))


@pytest.mark.parametrize("place", [0, 1, 255, 256, 511, 512, 600])
def test_a_proof_of_any_leaf_holds_offline(place: int, journal: Any, offline: Offline) -> None:
    journal(601, batch=97)
    leaf = Leaf.objects.get(index=place)
    entry = Entry.objects.get(seq=leaf.seq)
    result = offline("proof", json.dumps(proofs.prove_entry(entry)))
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith(f"Verified: entry {entry.id} (thing.changed, ")
    assert f"is leaf {place} of the {Leaf.objects.count()} that" in result.stdout


ALTERATIONS: dict[str, Callable[[dict[str, Any]], object]] = {
    "the reason": lambda p: p.update(entry=p["entry"].replace("because", "although")),
    "a blank in the entry": lambda p: p.update(entry=p["entry"] + " "),
    "the entry is an object": lambda p: p.update(entry=json.loads(p["entry"])),
    "the index": lambda p: p.update(leaf_index=p["leaf_index"] + 1),
    "the index is text": lambda p: p.update(leaf_index=str(p["leaf_index"])),
    "a negative index": lambda p: p.update(leaf_index=-1),
    "the size": lambda p: p.update(tree_size=p["tree_size"] + 1),
    "one hash of the path": lambda p: p["audit_path"].__setitem__(1, p["audit_path"][0]),
    "two hashes swapped": lambda p: p["audit_path"].__setitem__(slice(0, 2), p["audit_path"][1::-1]),
    "the path too short": lambda p: p["audit_path"].pop(),
    "the path too long": lambda p: p["audit_path"].append(p["audit_path"][0]),
    "no path": lambda p: p.pop("audit_path"),
    "a hash that is none": lambda p: p["audit_path"].__setitem__(0, "AAAA"),
    "the root": lambda p: p.update(checkpoint=p["checkpoint"].replace("\n12\n", "\n13\n")),
    "the time": lambda p: p.update(checkpoint=p["checkpoint"].replace("at 2", "at 3")),
    "the origin": lambda p: p.update(checkpoint="x" + p["checkpoint"]),
    "the signature": lambda p: p.update(checkpoint=p["checkpoint"][:-10] + "AAAAAAA=\n"),
    "no signature": lambda p: p.update(checkpoint=p["checkpoint"].rpartition("— ")[0]),
    "no checkpoint": lambda p: p.pop("checkpoint"),
    "the checkpoint is a number": lambda p: p.update(checkpoint=12),
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_an_altered_proof_is_refused(alteration: str, journal: Any, offline: Offline) -> None:
    journal(12)
    entry = Entry.objects.get(seq=Leaf.objects.get(index=5).seq)
    proof = proofs.prove_entry(entry)
    assert offline("proof", json.dumps(proof)).returncode == 0
    altered = json.loads(json.dumps(proof))
    ALTERATIONS[alteration](altered)
    assert altered != proof, "the alteration changed nothing"
    result = offline("proof", json.dumps(altered))
    assert result.returncode == 1, result.stdout + result.stderr
    assert result.stdout.startswith("NOT VERIFIED: ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"{}", b"not json", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("what", ["proof", "growth", "export"])
def test_what_is_no_proof_is_refused(what: str, content: bytes, offline: Offline) -> None:
    result = offline(what, content)
    assert result.returncode == 1, result.stdout + result.stderr
    assert result.stdout.startswith("NOT VERIFIED: ")
    assert "Traceback" not in result.stderr


def test_another_key_is_not_enough(journal: Any, offline: Offline) -> None:
    proof = json.dumps(prove(journal(3)[1]))
    stranger = Signer(keys.trusted()[0].name, Ed25519PrivateKey.generate()).verifier
    result = offline("proof", proof, key=str(stranger))
    assert result.returncode == 1
    assert "not signed by the key given" in result.stdout
    assert offline("proof", proof, "--key", str(keys.trusted()[0]), key=str(stranger)).returncode == 0


def test_the_key_may_be_in_a_file(journal: Any, offline: Offline, tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    out = io.StringIO()
    call_command("journal", "key", stdout=out)
    path.write_text(out.getvalue())
    assert offline("proof", json.dumps(prove(journal(3)[1])), key=str(path)).returncode == 0


def test_a_mistyped_key_is_a_wrong_command(offline: Offline) -> None:
    for key in ("nonsense", str(keys.trusted()[0])[:-2] + "AA"):
        result = offline("proof", "{}", key=key)
        assert result.returncode == 2
        assert "key" in result.stderr
        assert "Traceback" not in result.stderr


def test_an_entry_that_is_not_sealed_yet_has_no_proof(journal: Any) -> None:
    journal(2)
    (fresh,) = write_entries(count=1, actor=WRITER)
    with pytest.raises(NotSealed):
        prove(fresh)
    seal_all()
    assert prove(fresh)["leaf_index"] == Leaf.objects.count() - 1


def test_before_the_first_checkpoint_there_is_nothing_to_prove(empty_journal: None) -> None:
    (fresh,) = write_entries(count=1, actor=WRITER)
    with pytest.raises(NotSealed):
        prove(fresh)
    with pytest.raises(NoCheckpoint):
        proofs.prove_growth(1)


def test_a_hole_in_the_tree_is_said_to_be_one(journal: Any, superuser: Any) -> None:
    ids = journal(8)
    superuser.execute("set session_replication_role = replica")
    assert superuser.execute("delete from journal_leaves where index = 1").rowcount == 1
    with pytest.raises(JournalDamaged, match="verify the journal"):
        prove(ids[-1])


def test_growth_is_proven_and_nothing_else(journal: Any, offline: Offline, tmp_path: Path) -> None:
    journal(60, batch=7)
    sizes = list(Checkpoint.objects.order_by("size").values_list("size", flat=True))
    for size in sizes:
        proof = proofs.prove_growth(size)
        assert offline("growth", json.dumps(proof)).returncode == 0, size
    size = sizes[2]
    proof = proofs.prove_growth(size)
    kept = tmp_path / "kept.txt"
    kept.write_text(proof["old"])
    result = offline("growth", json.dumps(proof | {"old": "what they say"}), "--old", str(kept))
    assert result.returncode == 0, result.stdout
    assert f"the {size} leaves that" in result.stdout
    other = Checkpoint.objects.get(size=sizes[1]).note
    for altered in (
        proof | {"old": other},
        proof | {"consistency_path": proof["consistency_path"][:-1]},
        proof | {"consistency_path": proof["consistency_path"][::-1]},
        proof | {"consistency_path": []},
        proof | {"checkpoint": proof["old"], "old": proof["checkpoint"]},
    ):
        assert altered != proof
        assert offline("growth", json.dumps(altered)).returncode == 1
    with pytest.raises(Invalid):
        proofs.prove_growth(size + 1)


def test_a_journal_that_was_rewritten_did_not_grow(journal: Any, offline: Offline, settings: Any) -> None:
    """Our own key signs another root for an old size: the path cannot lead there."""
    journal(20, batch=10)
    proof = proofs.prove_growth(sorted(Checkpoint.objects.values_list("size", flat=True))[-2])
    old = Checkpoint.objects.order_by("-size")[1]
    lie = TreeHead(settings.JOURNAL_ORIGIN, old.size, bytes(old.root)[::-1], old.at)
    assert offline("growth", json.dumps(proof)).returncode == 0
    result = offline("growth", json.dumps(proof | {"old": keys.signer().sign(lie.text)}))
    assert result.returncode == 1
    assert "not the beginning" in result.stdout


def test_prove_by_command_and_verify_offline(
    journal: Any, offline: Offline, person: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from opsconsole.core.tokens import create_token

    (entry_id, *_) = journal(5)
    monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(person("auditor").user))
    out = io.StringIO()
    call_command("journal", "prove", entry_id, "--as", "auditor", stdout=out, stderr=io.StringIO())
    assert offline("proof", out.getvalue()).returncode == 0
    path = tmp_path / "proof.json"
    call_command("journal", "prove", entry_id, "--as", "auditor", "--out", str(path), stderr=io.StringIO())
    assert json.loads(path.read_text()) == json.loads(out.getvalue())
    size = Checkpoint.objects.order_by("size")[0].size
    out = io.StringIO()
    call_command("journal", "growth", str(size), "--as", "auditor", stdout=out, stderr=io.StringIO())
    assert offline("growth", out.getvalue()).returncode == 0


def test_a_shell_without_a_user_may_not_read(journal: Any, settings: Any, tmp_path: Path) -> None:
    settings.VAR = tmp_path
    (entry_id, *_) = journal(2)
    for arguments in (["prove", entry_id], ["export"], ["growth", "2"]):
        out, err = io.StringIO(), io.StringIO()
        with pytest.raises(SystemExit) as ended:
            call_command("journal", *arguments, stdout=out, stderr=err)
        assert ended.value.code == 1
        assert err.getvalue().startswith("denied: shell:")
        assert out.getvalue() == ""


def test_what_is_not_there_is_not_found(person: Any) -> None:
    with pytest.raises(NotFound):
        selectors.entry(entry_id=uuid4(), actor=person("auditor"))
