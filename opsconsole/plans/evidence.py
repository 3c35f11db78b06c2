"""The evidence of a plan in one zip: what was approved, by whom, what was done, and the proof that the journal has it.

Everything is read in one view of the database and written to a temporary file as it comes, so a plan of ten thousand
steps takes no more memory than one of ten. `tools/verify_journal.py evidence FILE`, which lies inside, checks it
offline.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.db import connection
from django.db.models import Model, QuerySet
from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

from opsconsole.approvals.models import Decision, Request, Review, SignerKey
from opsconsole.approvals.signatures import signing_text
from opsconsole.approvals.states import DecisionKind
from opsconsole.core.actors import Actor
from opsconsole.core.canonical import canonical, to_plain
from opsconsole.journal import keys, merkle
from opsconsole.journal.proofs import newest_checkpoint, perfect_hash
from opsconsole.journal.selectors import snapshot, stream
from opsconsole.plans import access
from opsconsole.plans.content import staged_steps
from opsconsole.plans.models import BreakGlass, Plan, Run, Step
from opsconsole.plans.services.evidence import note_evidence
from opsconsole.plans.states import PlanState
from opsconsole.plans.transitions import SUBJECT, policy_action
from opsconsole.plans.types import EvidenceFile, FileGone, UnknownPlanType, type_named

VERIFIER: Final = "tools/verify_journal.py"
CHUNK: Final = 1 << 16

README: Final = """\
Evidence of the plan {name}
{external_id}, {plan_id}, made {at}

    plan.json             the plan as its row is
    content.json          what was approved, byte for byte: its SHA-256 is the digest of plan.json (not of a draft)
    staged-steps.jsonl    its steps, byte for byte: their SHA-256 stands in content.json as `steps`
    requests.jsonl        every approval request of every revision: content, policy, decisions, signatures, public keys
    runs.jsonl            the runs, and what came of them
    steps.jsonl           every step of every revision, doing and undoing, with what its target said
    reviews.jsonl         reviews after the fact
    break-glass.jsonl     executions in an emergency
    artifacts.jsonl       the files it left behind, which lie in artifacts/ under their digest
    journal.jsonl         its journal entries as they were hashed, and the proof that they are in the signed journal
    journal.key           the journal's public keys; trust the one that somebody you trust gives you, not this file
    manifest.json         size and SHA-256 of each file above

To check all of it, with Python 3.11 and the package `cryptography`, without any connection:

    python verify_journal.py evidence THIS.zip --key journal.key

It holds the journal's entries against the signed checkpoint, and the rest against those entries: what was approved is
what was staged, each signature is its owner's, each approval is in the journal, each step ended as the journal says,
each file is the one that was sent. {unsealed} entries were not sealed yet and are left out.
"""


@dataclass(slots=True)
class Pack:
    """A finished pack: its bytes from the beginning on, and what is known of it."""

    file: BinaryIO
    name: str
    size: int = 0
    digest: str = ""
    files: int = 0
    entries: int = 0
    unsealed: int = 0
    missing: list[str] = field(default_factory=list)


def export(*, plan_id: UUID, actor: Actor) -> Pack:
    """Pack the evidence of a plan and journal that it left the house; the caller closes `file`.

    Raises PlanNotFound, Denied without `plans.export_evidence`, NoCheckpoint before anything was ever sealed.
    """
    plan = access.plan_seen_by(actor, plan_id)
    actor.require("plans.export_evidence", plan)
    pack = make_pack(plan)
    note_evidence(
        plan_id=plan.pk,
        facts={"sha256": pack.digest, "size": pack.size, "entries": pack.entries, "unsealed": pack.unsealed},
        actor=actor,
    )
    return pack


def make_pack(plan: Plan) -> Pack:
    """Write the pack to a temporary file."""
    pack = Pack(cast(BinaryIO, tempfile.TemporaryFile(prefix="evidence-")), f"evidence-{plan.pk}.zip")  # noqa: SIM115 - the caller's
    try:
        with zipfile.ZipFile(pack.file, "w", zipfile.ZIP_DEFLATED) as archive:
            _fill(_Writer(archive), plan, pack)
        pack.size = pack.file.tell()
        pack.file.seek(0)
        pack.digest = _digest(pack.file)
        pack.file.seek(0)
    except BaseException:
        pack.file.close()
        raise
    return pack


def _digest(file: BinaryIO) -> str:
    running = hashlib.sha256()
    while chunk := file.read(CHUNK):
        running.update(chunk)
    return running.hexdigest()


@dataclass(slots=True)
class _Writer:
    """Writes files into the archive and remembers what it wrote."""

    archive: zipfile.ZipFile
    written: dict[str, dict[str, Any]] = field(default_factory=dict)

    def put(self, name: str, chunks: Iterable[bytes]) -> str:
        """Write a file piece by piece; its SHA-256."""
        running, size = hashlib.sha256(), 0
        with self.archive.open(name, "w", force_zip64=True) as out:
            for chunk in chunks:
                out.write(chunk)
                running.update(chunk)
                size += len(chunk)
        self.written[name] = {"sha256": running.hexdigest(), "size": size}
        return running.hexdigest()


def _fill(writer: _Writer, plan: Plan, pack: Pack) -> None:
    with _one_view():
        plan = Plan.objects.select_related("created_by").get(pk=plan.pk)
        files = _files_of(plan)
        writer.put("plan.json", [_pretty(_row(plan) | {"created_by": plan.created_by.username})])
        staged = _request_of(plan)
        if staged is not None:
            writer.put("content.json", [canonical(staged.content)])
            writer.put("staged-steps.jsonl", (canonical(list(row)) + b"\n" for row in staged_steps(plan)))
        writer.put("requests.jsonl", _lines(map(_request, _requests(plan))))
        writer.put("runs.jsonl", _lines(map(_row, Run.objects.filter(plan=plan).order_by("run_at", "pk"))))
        writer.put("steps.jsonl", _steps(plan))
        writer.put("reviews.jsonl", _lines(map(_review, _reviews(plan))))
        broken = BreakGlass.objects.filter(plan=plan).order_by("at").select_related("broken_by")
        writer.put("break-glass.jsonl", _lines(_row(one) | {"broken_by": one.broken_by.username} for one in broken))
        writer.put("journal.jsonl", _journal(plan, pack))
        made_at = _scalar("select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
    writer.put("artifacts.jsonl", _lines(list(_artifacts(writer, files, pack))))
    writer.put("journal.key", ["".join(f"{key}\n" for key in keys.trusted()).encode()])
    writer.put("verify_journal.py", [(Path(settings.BASE_DIR) / VERIFIER).read_bytes()])
    readme = README.format(
        name=plan.name, external_id=plan.external_id, plan_id=plan.pk, at=made_at, unsealed=pack.unsealed
    )
    writer.put("README.txt", [readme.encode()])
    pack.files = len(writer.written) + 1
    writer.put(
        "manifest.json",
        [_pretty({"v": 1, "plan": str(plan.pk), "unsealed": pack.unsealed, "files": dict(writer.written)})],
    )


def _one_view() -> AbstractContextManager[None]:
    """One unchanging view of everything; inside a transaction of the caller's, that one's has to do."""
    return nullcontext() if connection.in_atomic_block else snapshot()


# --- what the database has ---


def _request_of(plan: Plan) -> Request | None:
    """The newest request for what is staged; None for a draft, which nobody can approve yet."""
    if plan.status == PlanState.DRAFT:
        return None
    return _requests(plan).filter(action=policy_action(plan), digest=plan.digest).order_by("-created_at").first()


def _requests(plan: Plan) -> QuerySet[Request]:
    return (
        Request.objects.filter(subject_kind=SUBJECT, subject_id=str(plan.pk))
        .select_related("requested_by")
        .order_by("created_at", "pk")
    )


def _request(request: Request) -> dict[str, Any]:
    decisions = request.decisions.select_related("user", "signer_key").order_by("at", "pk")
    return _row(request) | {
        "requested_by": request.requested_by.username,
        "decisions": [_decision(request, decision) for decision in decisions],
    }


def _decision(request: Request, decision: Decision) -> dict[str, Any]:
    text = ""
    if decision.kind in (DecisionKind.APPROVE, DecisionKind.REJECT):
        text = signing_text(request_id=request.pk, digest=decision.digest, decision=decision.kind, nth=decision.nth)
    key = decision.signer_key
    return _row(decision) | {
        "user": decision.user.username,
        "signing_text": text,
        "signer_key": None if key is None else {**_row(key), "owner": decision.user.username, "pem": _pem(key)},
    }


def _pem(key: SignerKey) -> str:
    """The public key in the form that every tool reads."""
    raw = base64.b64decode(key.public_key)
    public: Any
    if key.kind == "passkey":
        public = decoded_public_key_to_cryptography(decode_credential_public_key(raw))
    else:
        public = Ed25519PublicKey.from_public_bytes(raw)
    pem: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def _reviews(plan: Plan) -> Iterable[Review]:
    return Review.objects.filter(subject_kind=SUBJECT, subject_id=str(plan.pk)).order_by("opened_at", "pk")


def _review(review: Review) -> dict[str, Any]:
    answers = review.answers.select_related("user").order_by("at")
    return _row(review) | {
        "answers": [
            {"user": one.user.username, "verdict": one.verdict, "comment": one.comment, "at": one.at} for one in answers
        ]
    }


def _steps(plan: Plan) -> Iterator[bytes]:
    """Every step, in order, by a cursor of the server's."""
    columns = [str(column.column) for column in Step._meta.concrete_fields]
    query = (
        f"select to_jsonb(s) from (select {', '.join(columns)} from ops_plan_steps where plan_id = %s"
        " order by revision, direction, seq) s"
    )
    for rows in _stream(query, [plan.pk]):
        for (step,) in rows:
            yield _line(step if isinstance(step, dict) else json.loads(step))


_ENTRIES: Final = """
    select l.index, e.body from (
      select seq, body from journal_entries where subject_kind = 'ops_plans' and subject_id = %s::text
      union all
      select e.seq, e.body from ops_plan_runs r
        join journal_entries e on e.subject_kind = 'ops_plan_runs' and e.subject_id = r.id::text
        where r.plan_id = %s::uuid
      union all
      select e.seq, e.body from ops_plan_steps s
        join journal_entries e on e.subject_kind = 'ops_plan_steps' and e.subject_id = s.id::text
        where s.plan_id = %s::uuid
      union all
      select e.seq, e.body from approvals_requests q
        join journal_entries e on e.subject_kind = 'approvals_requests' and e.subject_id = q.id::text
        where q.subject_kind = 'plan' and q.subject_id = %s::text
    ) e left join journal_leaves l on l.seq = e.seq order by l.index nulls last
"""


def _journal(plan: Plan, pack: Pack) -> Iterator[bytes]:
    """The plan's entries in the order of the tree, and one proof for all of them, in the form of a journal export."""
    head = newest_checkpoint()
    gaps: list[tuple[int, int]] = []
    following = 0
    for rows in _stream(_ENTRIES, [str(plan.pk)] * 4):
        for index, body in rows:
            if index is None or index >= head.size:
                pack.unsealed += 1
                continue
            if index > following:
                gaps.append((following, index))
            following = index + 1
            pack.entries += 1
            yield _line({"leaf_index": index, "body": body})
    gaps.append((following, head.size))
    proof = {
        "v": 1,
        "since": None,
        "until": None,
        "entries": pack.entries,
        "unsealed": pack.unsealed,
        "skipped": [
            [index << level, level, base64.b64encode(perfect_hash(level, index)).decode()]
            for start, end in gaps
            for level, index in merkle.perfect_parts(start, end)
        ],
        "checkpoint": head.note,
    }
    yield _line({"proof": proof})


def _stream(query: str, parameters: Any) -> Iterator[list[tuple[Any, ...]]]:
    return stream(query, parameters, chunk=1_000)


# --- the files of the domain ---


def _files_of(plan: Plan) -> list[EvidenceFile]:
    try:
        return list(type_named(plan.plan_type).evidence(plan))
    except UnknownPlanType:
        return []


def _artifacts(writer: _Writer, files: Iterable[EvidenceFile], pack: Pack) -> Iterator[dict[str, Any]]:
    for one in files:
        facts = {"name": one.name, "sha256": one.digest, **one.about}
        name = f"artifacts/{one.digest}/{one.name}"
        try:
            with tempfile.TemporaryFile() as held:  # whole or not at all: a zip cannot take a file back
                for chunk in one.chunks():
                    held.write(chunk)
                held.seek(0)
                writer.put(name, iter(lambda: held.read(CHUNK), b""))  # noqa: B023 - used up at once
        except (OSError, FileGone) as error:
            pack.missing.append(one.name)
            facts["missing"] = str(error)
        else:
            facts["file"] = name
        yield facts


# --- forms ---


def _row(row: Model) -> dict[str, Any]:
    """Every column of a row."""
    return {str(column.column): getattr(row, column.attname) for column in row._meta.concrete_fields}


def _pretty(value: dict[str, Any]) -> bytes:
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(_plain(value), ensure_ascii=False).encode() + b"\n"


def _lines(values: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    return map(_line, values)


def _plain(value: Any) -> Any:
    """JSON; what has no canonical form, as a float in a payload, as it is."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, float) else to_plain(value)


def _scalar(query: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return str(cursor.fetchone()[0])
