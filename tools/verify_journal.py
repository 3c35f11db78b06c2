#!/usr/bin/env python3
"""Check what the OpsConsole journal handed out, offline: with this file, Python 3.11 and `cryptography` alone.

    verify_journal.py proof  FILE --key KEY      an entry is in the signed journal   (manage.py journal prove)
    verify_journal.py export FILE --key KEY      so is every entry of an export      (manage.py journal export)
    verify_journal.py growth FILE --key KEY      the journal only ever grew          (manage.py journal growth)
    verify_journal.py evidence FILE --key KEY    what a plan's evidence says is so   (manage.py plan_evidence)

KEY is a verifier key, `NAME+ID+BASE64`, or a file with one on each line; get it from somebody you trust, not with the
file. Exit status: 0 if everything holds, 1 if anything does not, 2 if the command is wrong. The rules are those of
RFC 6962 (tree), RFC 9162 2.1.3.2 and 2.1.4.2 (proofs), c2sp.org/signed-note and c2sp.org/tlog-checkpoint.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import csv
import io
import json
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

HASH_BYTES = 32
KEY_ID_BYTES = 4
ED25519 = b"\x01"
MOST_LEVELS = 63
CSV_COLUMNS = [
    *("leaf_index", "seq", "id", "at", "actor_kind", "actor_id", "actor_name", "verb", "subject_kind", "subject_id"),
    *("reason", "request_id", "body"),
]
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Disproved(Exception):  # noqa: N818 - a verdict, and not an accident
    """The file does not show what it claims; the message says where."""


# Keys and notes


@dataclass(frozen=True)
class Key:
    """A public key under its name."""

    name: str
    id: bytes
    public: bytes


def read_keys(given: Sequence[str]) -> list[Key]:
    """The keys in the arguments, or in the files they name; raises ValueError."""
    texts: list[str] = []
    for argument in given:
        path = Path(argument)
        texts += path.read_text().split() if len(argument) < 4096 and path.is_file() else [argument]  # noqa: PLR2004 - PATH_MAX
    return [read_key(text) for text in texts]


def read_key(text: str) -> Key:
    """The key behind `NAME+ID+BASE64`; raises ValueError when it is not one, or its id is not that of its bytes."""
    name, _, rest = text.partition("+")
    key_id, _, blob = rest.partition("+")
    try:
        raw = base64.b64decode(blob, validate=True)
    except binascii.Error:
        raw = b""
    if not name or raw[:1] != ED25519 or len(raw) != 1 + HASH_BYTES:
        raise ValueError(f"{text!r} is neither a verifier key (NAME+ID+BASE64) nor a file with one")
    real = sha256(name.encode() + b"\n" + raw).digest()[:KEY_ID_BYTES]
    if real.hex() != key_id:
        raise ValueError(f"the key of {name} was mistyped: its id is {real.hex()}, not {key_id}")
    return Key(name, real, raw[1:])


@dataclass(frozen=True)
class Checkpoint:
    """A signed statement: the journal of this origin had this many leaves and this root, then."""

    origin: str
    size: int
    root: bytes
    at: str


def open_checkpoint(note: Any, keys: Sequence[Key]) -> Checkpoint:
    """The checkpoint in a note that one of the keys has signed; raises Disproved."""
    if not isinstance(note, str):
        raise Disproved("there is no checkpoint in it")
    text, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise Disproved("the checkpoint is not a signed note")
    text += "\n"
    trusted = 0
    for line in tail[:-1].split("\n"):
        name, blob = read_signature(line)
        for key in keys:
            if (key.name, key.id) == (name, blob[:KEY_ID_BYTES]):
                check_signature(key, blob[KEY_ID_BYTES:], text)
                trusted += 1
    if not trusted:
        raise Disproved("the checkpoint is not signed by the key given")
    lines = text.split("\n")
    if len(lines) < 4 or not lines[1].isdecimal() or str(int(lines[1])) != lines[1]:  # noqa: PLR2004 - origin, size, root
        raise Disproved("the note is not a checkpoint")
    at = next((line[3:] for line in lines[3:] if line.startswith("at ")), "a time it does not say")
    return Checkpoint(lines[0], int(lines[1]), read_hash(lines[2]), at)


def read_signature(line: str) -> tuple[str, bytes]:
    """Name and blob (key id, signature) of a signature line."""
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—":  # noqa: PLR2004 - dash, name, base64
        raise Disproved("a signature line of the checkpoint is malformed")
    try:
        return parts[1], base64.b64decode(parts[2], validate=True)
    except binascii.Error:
        raise Disproved("a signature of the checkpoint is not base64") from None


def check_signature(key: Key, signature: bytes, text: str) -> None:
    """Raise Disproved unless the key made the signature over the text."""
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text.encode())
    except InvalidSignature:
        raise Disproved("the signature of the checkpoint does not verify") from None


# The tree


def hash_leaf(body: str) -> bytes:
    """The leaf of an entry."""
    return sha256(b"\x00" + body.encode()).digest()


def hash_pair(left: bytes, right: bytes) -> bytes:
    """An inner node."""
    return sha256(b"\x01" + left + right).digest()


def read_hash(text: Any) -> bytes:
    """A hash in base64; raises Disproved."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raw = b""
    if len(raw) != HASH_BYTES:
        raise Disproved(f"{text!r} is not a hash in base64")
    return raw


def climb(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that the audit path leads to; raises Disproved when it is too long or too short for the place."""
    node, last, reached = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise Disproved("the path is too long for this leaf")
        if node & 1 or node == last:
            reached = hash_pair(sibling, reached)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            reached = hash_pair(reached, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise Disproved("the path is too short for this leaf")
    return reached


def climb_both(old: Checkpoint, new: Checkpoint, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The old and the new root that a consistency path leads to; raises Disproved when it cannot lead to any."""
    steps = [old.root, *path] if old.size & (old.size - 1) == 0 else list(path)
    if not steps:
        raise Disproved("the path is empty")
    node, last = old.size - 1, new.size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    was = now = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            raise Disproved("the path is too long")
        if node & 1 or node == last:
            was, now = hash_pair(sibling, was), hash_pair(sibling, now)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            now = hash_pair(now, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise Disproved("the path is too short")
    return was, now


@dataclass
class Cover:
    """Perfect subtrees side by side, as (first leaf, level, hash): twins become their parent at once."""

    parts: list[tuple[int, int, bytes]] = field(default_factory=list)

    def add(self, start: int, level: int, subtree: bytes) -> None:
        """Put a subtree at the right end; raises Disproved where it overlaps or cannot lie."""
        if start < self.end or start & ((1 << level) - 1):
            raise Disproved(f"leaf {start} is out of place")
        while self.parts:
            left, left_level, left_hash = self.parts[-1]
            if left_level != level or left + (1 << level) != start or left & (1 << level):
                break
            self.parts.pop()
            start, level, subtree = left, level + 1, hash_pair(left_hash, subtree)
        self.parts.append((start, level, subtree))

    @property
    def end(self) -> int:
        """The leaf after the last one covered."""
        return self.parts[-1][0] + (1 << self.parts[-1][1]) if self.parts else 0

    def root(self, size: int) -> bytes:
        """The root over exactly `size` leaves; raises Disproved when leaves are missing or too many."""
        following, reached = 0, b""
        for start, level, _ in self.parts:
            if start != following:
                raise Disproved(f"leaf {following} is neither in the file nor covered by the proof")
            following += 1 << level
        if following != size:
            raise Disproved(f"the file covers {following} leaves, the checkpoint {size}")
        for _, _, subtree in reversed(self.parts):
            reached = hash_pair(subtree, reached) if reached else subtree
        return reached or sha256(b"").digest()


# What can be checked


def check_proof(path: Path, keys: Sequence[Key], _old: str | None) -> str:
    """That the entry in a proof is the leaf it says it is, under a signed root."""
    proof = read_object(path.read_text(encoding="utf-8"))
    head = open_checkpoint(proof.get("checkpoint"), keys)
    index, size, body = proof.get("leaf_index"), proof.get("tree_size"), proof.get("entry")
    if type(index) is not int or size != head.size or not 0 <= index < head.size or not isinstance(body, str):
        raise Disproved("leaf_index, tree_size or entry do not fit the checkpoint")
    if climb(hash_leaf(body), index, head.size, read_path(proof, "audit_path")) != head.root:
        raise Disproved("the entry, its index or the path is not the one that was signed")
    entry = read_object(body)
    return (
        f"entry {entry.get('id')} ({entry.get('verb')}, {entry.get('at')}) is leaf {index} of the {head.size} that"
        f" {head.origin} signed at {head.at}"
    )


def check_growth(path: Path, keys: Sequence[Key], old_note: str | None) -> str:
    """That the old checkpoint's tree is the beginning of the new one's."""
    proof = read_object(path.read_text(encoding="utf-8"))
    new = open_checkpoint(proof.get("checkpoint"), keys)
    old = open_checkpoint(Path(old_note).read_text(encoding="utf-8") if old_note else proof.get("old"), keys)
    if old.origin != new.origin or not 0 < old.size <= new.size:
        raise Disproved(f"size {old.size} of {old.origin} is not the beginning of size {new.size} of {new.origin}")
    steps = read_path(proof, "consistency_path")
    if old.size == new.size:
        grown = not steps and old.root == new.root
    else:
        grown = climb_both(old, new, steps) == (old.root, new.root)
    if not grown:
        raise Disproved("what was signed first is not the beginning of what was signed later")
    return (
        f"the {old.size} leaves that {old.origin} signed at {old.at} are the first of the {new.size} signed at {new.at}"
    )


def check_export(path: Path, keys: Sequence[Key], _old: str | None) -> str:
    """That every row is a leaf of the signed tree, unchanged, and that the proof accounts for every other leaf."""
    with path.open(encoding="utf-8", newline="") as lines:
        return check_rows(lines, keys, lambda _entry: None)


def check_rows(lines: Any, keys: Sequence[Key], see: Callable[[dict[str, Any]], object]) -> str:
    """The same of the lines of a file that can be read twice; `see` is handed every entry."""
    rows = Cover()
    proof: dict[str, Any] | None = None
    count, first, last = 0, 0, -1
    latest, earliest = "", "~"
    for number, (index, body, ended) in enumerate(read_rows(lines), start=1):
        if proof is not None:
            raise Disproved(f"row {number} follows the proof")
        if ended is not None:
            proof = ended
            continue
        rows.add(index, 0, hash_leaf(body))
        entry = read_object(body)
        see(entry)
        at = str(entry.get("at"))
        earliest, latest = min(earliest, at), max(latest, at)
        first, last = (index if count == 0 else first), index
        count += 1
    if proof is None:
        raise Disproved("the proof at its end is missing: the file was cut short")
    head = open_checkpoint(proof.get("checkpoint"), keys)
    if proof.get("entries") != count:
        raise Disproved(f"the proof speaks of {proof.get('entries')} entries, the file has {count}")
    since, until = proof.get("since"), proof.get("until")
    if count and ((since and earliest < since) or (until and latest >= until)):
        raise Disproved(f"it says {since} to {until} and holds entries from {earliest} to {latest}")
    if merge(rows, proof).root(head.size) != head.root:
        raise Disproved("an entry, or its place, is not the one that was signed")
    between = last - first + 1 - count if count else 0
    return (
        f"{count} entries from {since or 'the beginning'} to {until or 'the end'} are leaves of the {head.size} that"
        f" {head.origin} signed at {head.at}; {between} leaves between the first and the last are not in the file"
    )


def merge(rows: Cover, proof: dict[str, Any]) -> Cover:
    """The rows' subtrees and the skipped ones of the proof, side by side."""
    skipped = proof.get("skipped")
    if not isinstance(skipped, list):
        raise Disproved("the proof does not say what is skipped")
    parts = list(rows.parts)
    for part in skipped:
        match part:
            case [int(start), int(level), str(text)] if start >= 0 and 0 <= level <= MOST_LEVELS:
                parts.append((start, level, read_hash(text)))
            case _:
                raise Disproved(f"{part!r} is not a skipped subtree")
    whole = Cover()
    for start, level, subtree in sorted(parts):
        whole.add(start, level, subtree)
    return whole


def read_rows(lines: Any) -> Iterator[tuple[int, str, dict[str, Any] | None]]:
    """The rows of an export in either form, as (index, body, None); its proof as (-1, "", proof)."""
    head = lines.readline()
    lines.seek(0)
    yield from read_jsonl(lines) if head.startswith("{") else read_csv(lines)


def read_jsonl(lines: Any) -> Iterator[tuple[int, str, dict[str, Any] | None]]:
    """Rows of the form jsonl."""
    for number, line in enumerate(lines, start=1):
        row = read_object(line)
        match row:
            case {"proof": dict(proof), **others} if not others:
                yield -1, "", proof
            case {"leaf_index": int(index), "body": str(body), **others} if not others and index is not True:
                yield index, body, None
            case _:
                raise Disproved(f"line {number} is neither an entry nor the proof")


def read_csv(lines: Any) -> Iterator[tuple[int, str, dict[str, Any] | None]]:
    """Rows of the form csv; every readable cell must say what the hashed body says."""
    csv.field_size_limit(sys.maxsize)
    table = csv.reader(lines, strict=True)
    if next(table, None) != CSV_COLUMNS:
        raise Disproved("it is no export: its first line is neither JSON nor the columns of one")
    for number, cells in enumerate(table, start=2):
        if len(cells) != len(CSV_COLUMNS):
            raise Disproved(f"row {number} has {len(cells)} cells")
        if cells[0] == "proof":
            if any(cells[1:-1]):
                raise Disproved(f"row {number} is the proof and says something else")
            yield -1, "", read_object(cells[-1])
            continue
        if not cells[0].isdecimal():
            raise Disproved(f"row {number} has no leaf index")
        if cells[1:-1] != readable(read_object(cells[-1])):
            raise Disproved(f"a cell of row {number} does not say what the signed body says")
        yield int(cells[0]), cells[-1], None


def readable(entry: dict[str, Any]) -> list[str]:
    """The cells between index and body that belong to a body."""
    try:
        actor, subject = entry["actor"], entry["subject"]
        values = [entry["seq"], entry["id"], entry["at"], actor["kind"], actor["id"], actor["name"], entry["verb"]]
        values += [subject["kind"], subject["id"], entry["reason"], entry["request_id"]]
    except (KeyError, TypeError):
        raise Disproved("a body is not a journal entry") from None
    return [f"'{value}" if str(value).startswith(FORMULA) else str(value) for value in values]


def read_path(proof: dict[str, Any], name: str) -> list[bytes]:
    """The hashes of the path of that name."""
    path = proof.get(name)
    if not isinstance(path, list):
        raise Disproved(f"there is no {name} in it")
    return [read_hash(node) for node in path]


def read_object(text: str) -> dict[str, Any]:
    """A JSON object; raises Disproved."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Disproved("it is not the JSON it should be")
    return value


# The evidence of a plan: what is in it has to agree with the journal entries in it, and those with the checkpoint


@dataclass
class Said:
    """What the journal says of a plan, gathered from its proven entries."""

    plan: str
    staged: set[str] = field(default_factory=set)
    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    steps: dict[tuple[str, int], tuple[int, str]] = field(default_factory=dict)
    references: set[str] = field(default_factory=set)
    glass: list[dict[str, Any]] = field(default_factory=list)
    by_hand: int = 0

    def see(self, entry: dict[str, Any]) -> None:
        """Take in one entry."""
        verb, after, seq = entry.get("verb"), entry.get("after") or {}, entry.get("seq", 0)
        if verb == "direct_sql":
            self.by_hand += 1
        if not isinstance(after, dict) or entry.get("subject", {}).get("id") != self.plan:
            return
        if verb == "plan.staged":
            self.staged.add(str(after.get("digest")))
        elif verb in ("approval.approved", "approval.rejected"):
            self.decisions[str(after.get("decision"))] = after
        elif verb == "plan.glass_broken":
            self.glass.append(after)
        elif verb == "step.resolved":
            self.note(str(after.get("direction")), after.get("step"), seq, after.get("status"))
            self.references.add(str(after.get("reference")))
        for done in after.get("done", ()) if verb in ("run.steps", "run.waits", "steps.probed") else ():
            self.note(str(after.get("direction")), done.get("seq"), seq, done.get("status"))
            self.references.add(str(done.get("reference")))

    def note(self, direction: str, number: Any, seq: int, status: Any) -> None:
        """What became of a step; the latest entry counts."""
        known = self.steps.get((direction, int(number)))
        if known is None or known[0] < seq:
            self.steps[direction, int(number)] = (seq, str(status))


def check_evidence(path: Path, keys: Sequence[Key], _old: str | None) -> str:
    """That a pack is whole, and that content, approvals, signatures, steps and files are as the signed journal says."""
    try:
        pack = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise Disproved("it is not a zip file") from None
    with pack:
        try:
            return check_pack(pack, keys)
        except Disproved as wrong:
            unsealed = read_json(pack, "manifest.json").get("unsealed") if "manifest.json" in pack.namelist() else 0
            if not unsealed:
                raise
            raise Disproved(
                f"{wrong} (or it was made before {unsealed} entries were sealed: have it made again)"
            ) from None
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise Disproved(f"it is not made as evidence is: {error}") from None


def check_pack(pack: zipfile.ZipFile, keys: Sequence[Key]) -> str:
    """The same, of an open pack."""
    plan = read_json(pack, "plan.json")
    said = Said(str(plan["id"]))
    check_manifest(pack, said.plan)
    with pack.open("journal.jsonl") as raw, io.TextIOWrapper(raw, encoding="utf-8", newline="") as lines:
        proven = check_rows(lines, keys, said.see)
    check_content(pack, plan, said)
    signatures = check_requests(pack, said)
    steps = check_steps(pack, plan, said)
    files = check_files(pack, said)
    known = {(one.get("incident"), one.get("digest")) for one in said.glass}
    for broken in read_lines(pack, "break-glass.jsonl"):
        if (broken["incident"], broken["digest"]) not in known:
            raise Disproved(f"the journal does not know of break-glass for {broken['incident']}")
    by_hand = f"; {said.by_hand} changes were made by hand in the database" if said.by_hand else ""
    return (
        f"plan {plan['external_id']} ({plan['status']}): {steps} steps, {signatures} signatures and {files} files agree"
        f" with its journal; {proven}{by_hand}"
    )


def check_manifest(pack: zipfile.ZipFile, plan: str) -> None:
    """That every file is as the manifest says, and no other is there."""
    manifest = read_json(pack, "manifest.json")
    if manifest.get("plan") != plan:
        raise Disproved("the manifest is of another plan")
    names = [name for name in pack.namelist() if name != "manifest.json"]
    if sorted(names) != sorted(manifest["files"]):
        raise Disproved("a file is there that the manifest does not name, or the other way round")
    for name in names:
        size, digest = digest_of(pack, name)
        if manifest["files"][name] != {"sha256": digest, "size": size}:
            raise Disproved(f"{name} is not what the manifest says")


def check_content(pack: zipfile.ZipFile, plan: dict[str, Any], said: Said) -> None:
    """That the content has the digest that was staged, and names the steps that are there."""
    if "content.json" not in pack.namelist():
        if plan["status"] != "draft":
            raise Disproved("what was approved is not in it")
        return
    _, digest = digest_of(pack, "content.json")
    if digest != plan["digest"]:
        raise Disproved("content.json does not have the digest of the plan")
    if digest not in said.staged:
        raise Disproved("the journal does not say that this content was ever staged")
    content = read_json(pack, "content.json")
    if content["plan"] != said.plan or content["steps"] != digest_of(pack, "staged-steps.jsonl")[1]:
        raise Disproved("the staged steps are not those that the content names")


def check_requests(pack: zipfile.ZipFile, said: Said) -> int:
    """That each verdict is in the journal, for this digest, and each signature its owner's; how many were checked."""
    checked = 0
    for request in read_lines(pack, "requests.jsonl"):
        canonical = json.dumps(request["content"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if sha256(canonical.encode()).hexdigest() != request["digest"]:
            raise Disproved(f"the content of request {request['id']} does not have its digest")
        for decision in request["decisions"]:
            if decision["kind"] not in ("approve", "reject"):
                continue
            key = decision["signer_key"]
            known = said.decisions.get(decision["id"], {})
            told = (known.get("digest"), known.get("signature", ""), known.get("signer_key"))
            if told != (decision["digest"], decision["signature"], key["fingerprint"] if key else None):
                raise Disproved(
                    f"the journal does not have the verdict {decision['id']} of {decision['user']} as it is"
                )
            if decision["digest"] != request["digest"]:
                raise Disproved(f"the verdict {decision['id']} is about other content")
            if key is not None:
                check_decision(request, decision, key)
                checked += 1
    return checked


def check_decision(request: dict[str, Any], decision: dict[str, Any], key: dict[str, Any]) -> None:
    """Raise Disproved unless the owner of the key signed exactly this verdict."""
    lines = [
        "opsconsole approval v1",
        f"request: {request['id']}",
        f"digest: {decision['digest']}",
        f"decision: {decision['kind']}",
        *([f"round: {decision['nth']}"] if decision["nth"] != 1 else []),
    ]
    text = "".join(f"{line}\n" for line in lines).encode()
    public = load_pem_public_key(key["pem"].encode())
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signature = base64.b64decode(decision["signature"], validate=True)
    wrong = Disproved(f"the signature of {decision['user']} does not verify")
    if key.get("kind") == "passkey":
        text = asserted(decision["assertion"], text, key, wrong)
    elif sha256(der).hexdigest() != key["fingerprint"]:
        raise Disproved(f"the public key of {decision['user']} does not have its fingerprint")
    try:
        match public:
            case Ed25519PublicKey():
                public.verify(signature, text)
            case ec.EllipticCurvePublicKey():
                public.verify(signature, text, ec.ECDSA(SHA256()))
            case rsa.RSAPublicKey():
                public.verify(signature, text, padding.PKCS1v15(), SHA256())
            case _:
                raise wrong
    except InvalidSignature:
        raise wrong from None


def asserted(assertion: dict[str, Any], text: bytes, key: dict[str, Any], wrong: Disproved) -> bytes:
    """The bytes that a passkey signed, when they are about this text (WebAuthn: its SHA-256 is the challenge)."""
    data, client = (unbase64url(assertion[name]) for name in ("authenticator_data", "client_data_json"))
    said = json.loads(client)
    verified = len(data) > 32 and data[32] & 0b101 == 0b101  # noqa: PLR2004 - flags: the person was there, and verified
    if (
        not verified
        or said.get("type") != "webauthn.get"
        or unbase64url(said.get("challenge", "")) != sha256(text).digest()
        or data[:32] != sha256(key["rp_id"].encode()).digest()
    ):
        raise wrong
    return data + sha256(client).digest()


def check_steps(pack: zipfile.ZipFile, plan: dict[str, Any], said: Said) -> int:
    """That each step of the revision that ran ended as the journal says; how many there are."""
    count, seen = 0, set()
    for step in read_lines(pack, "steps.jsonl"):
        if step["revision"] != plan["revision"]:
            continue
        count += 1
        place = (step["direction"], step["seq"])
        seen.add(place)
        told = said.steps.get(place, (0, ""))[1]
        ended = step["status"] if step["status"] in ("succeeded", "failed") else ""
        if (ended or told == "succeeded") and told != ended:
            raise Disproved(
                f"step {step['seq']} ({step['direction']}) is {step['status']}; the journal says {told or 'nothing'}"
            )
    if missing := sorted(said.steps.keys() - seen):
        raise Disproved(f"step {missing[0][1]} ({missing[0][0]}), of which the journal tells, is missing")
    return count


def check_files(pack: zipfile.ZipFile, said: Said) -> int:
    """That each file has the digest under which the journal says it was sent; how many there are."""
    count = 0
    for file in read_lines(pack, "artifacts.jsonl"):
        if file["sha256"] not in said.references:
            raise Disproved(f"{file['name']} is not a file that the journal says was sent")
        if "file" in file:
            if digest_of(pack, file["file"])[1] != file["sha256"]:
                raise Disproved(f"{file['name']} does not have the digest under which it was sent")
            count += 1
    return count


def digest_of(pack: zipfile.ZipFile, name: str) -> tuple[int, str]:
    """The size and the SHA-256 of a file of the pack."""
    running, size = sha256(), 0
    with pack.open(name) as file:
        while chunk := file.read(1 << 16):
            running.update(chunk)
            size += len(chunk)
    return size, running.hexdigest()


def read_json(pack: zipfile.ZipFile, name: str) -> dict[str, Any]:
    """A file of the pack that is one object."""
    return read_object(pack.read(name).decode())


def read_lines(pack: zipfile.ZipFile, name: str) -> Iterator[dict[str, Any]]:
    """The objects of a file of the pack, one on each line."""
    with pack.open(name) as raw, io.TextIOWrapper(raw, encoding="utf-8") as lines:
        for line in lines:
            yield read_object(line)


def unbase64url(text: str) -> bytes:
    """The bytes behind base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


CHECKS = {"proof": check_proof, "export": check_export, "growth": check_growth, "evidence": check_evidence}


def main(arguments: Sequence[str] | None = None) -> int:
    """Check one file; 0 and a sentence when it holds, 1 and a sentence when it does not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=sorted(CHECKS))
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", action="append", required=True, help="verifier key, or a file of them; repeatable")
    parser.add_argument("--old", metavar="FILE", help="growth only: the old checkpoint you kept, instead of theirs")
    options = parser.parse_args(arguments)
    try:
        keys = read_keys(options.key)
    except (OSError, ValueError) as error:
        usage(parser, str(error))
    try:
        verdict = CHECKS[options.what](options.file, keys, options.old)
    except (Disproved, csv.Error, UnicodeDecodeError) as error:
        print(f"NOT VERIFIED: {error}.")
        return 1
    except OSError as error:
        usage(parser, f"{options.file}: {error.strerror}")
    print(f"Verified: {verdict}.")
    return 0


def usage(parser: argparse.ArgumentParser, problem: str) -> NoReturn:
    """Say what is wrong with the command, and exit 2."""
    parser.error(problem)


if __name__ == "__main__":
    sys.exit(main())
