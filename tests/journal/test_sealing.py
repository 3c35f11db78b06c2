"""Every committed entry is sealed exactly once, whatever happens at the same time."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connection, connections

from opsconsole.core.actors import SYSTEM, shell_actor
from opsconsole.core.errors import Denied
from opsconsole.journal import jobs, keys, merkle, selectors, services
from opsconsole.journal.gateways import OutsideCheckpoints
from opsconsole.journal.models import Checkpoint, Entry, Leaf, Node, Pending, Tree
from opsconsole.journal.notes import TreeHead, open_note
from opsconsole.journal.verify import verify
from tests.journal.conftest import WRITER, seal_all, write_entries, write_in_bulk

pytestmark = pytest.mark.django_db(transaction=True)

BODY = (
    '{"actor": {"kind": "system", "id": "w", "name": "w"}, "verb": "race.ran",'
    ' "subject": {"kind": "race", "id": "1"}, "reason": "%s"}'
)


def test_a_batch_becomes_leaves_and_a_signed_checkpoint(outside: Path) -> None:
    seal_all()
    start = Leaf.objects.count()
    write_entries(count=5, actor=WRITER)
    assert Pending.objects.count() == 5
    assert services.seal(actor=SYSTEM("sealer")) == 5
    assert not Pending.objects.exists()

    entries = list(Entry.objects.order_by("seq"))
    leaves = list(Leaf.objects.order_by("index"))
    assert [leaf.index for leaf in leaves] == list(range(start + 5))
    assert [leaf.seq for leaf in leaves[start:]] == [entry.seq for entry in entries[-5:]]
    assert [bytes(leaf.hash) for leaf in leaves] == [bytes(entry.leaf) for entry in entries]

    checkpoint = Checkpoint.objects.order_by("-size").first()
    assert checkpoint is not None
    head = TreeHead.parse(open_note(checkpoint.note, keys.trusted()))
    assert head.size == checkpoint.size == Tree.objects.get().size == start + 5
    assert head.root == bytes(checkpoint.root) == merkle.root_of([bytes(leaf.hash) for leaf in leaves])
    assert head.at == checkpoint.at
    assert services.seal(actor=SYSTEM("sealer")) == 0


def test_the_database_grows_the_same_tree_as_we_do() -> None:
    write_in_bulk(count=700, actor=WRITER)
    while services.seal(actor=WRITER, most=random.Random(7).randint(1, 90)):
        pass
    told: dict[tuple[int, int], bytes] = {}
    edge = merkle.Edge(finished=lambda level, index, subtree: told.update({(level, index): subtree}))
    for leaf in Leaf.objects.order_by("index"):
        edge.append(bytes(leaf.hash))
    tree = Tree.objects.get()
    assert (tree.size, [bytes(node) for node in tree.edge]) == (edge.size, edge.hashes)
    assert tree.size >= 700
    stored = {(node.level, node.index): bytes(node.hash) for node in Node.objects.all()}
    assert stored == {place: node for place, node in told.items() if place[0] == 8}
    assert len(stored) >= 2
    assert verify().sound


def test_late_commits_rollbacks_and_two_sealers(connect_as: Any, settings: Any) -> None:
    """Eight writers for three seconds, some of them slow to commit, some rolled back; two sealers all the while."""
    seal_all()
    known = set(Leaf.objects.values_list("seq", flat=True))
    over = time.monotonic() + 3
    writing = threading.Event()
    writing.set()
    connections_of = [connect_as(settings.DB_APP_ROLE) for _ in range(8)]

    def write(number: int) -> tuple[list[int], int]:
        chance = random.Random(number)
        committed: list[int] = []
        rolled_back = 0
        app = connections_of[number]
        while time.monotonic() < over:
            seqs: list[int] = []
            try:
                with app.transaction():
                    for _ in range(chance.randint(1, 6)):
                        row = app.execute(
                            "insert into journal_entries (body) values (%s) returning seq", [BODY % number]
                        )
                        seqs.append(row.fetchone()[0])
                    if chance.random() < 0.1:
                        time.sleep(chance.random() * 0.3)
                    if chance.random() < 0.2:
                        raise InterruptedError
            except InterruptedError:
                rolled_back += len(seqs)
                continue
            committed += seqs
        return committed, rolled_back

    def seal() -> int:
        sealed = 0
        try:
            while writing.is_set():
                sealed += services.seal(actor=SYSTEM("sealer"), most=50)
        finally:
            connections.close_all()
        return sealed

    with ThreadPoolExecutor(10) as pool:
        sealers = [pool.submit(seal) for _ in range(2)]
        results = [job.result() for job in [pool.submit(write, number) for number in range(8)]]
        writing.clear()
        by_sealer = [job.result() for job in sealers]
    rest = seal_all()

    committed = {seq for seqs, _ in results for seq in seqs}
    assert sum(lost for _, lost in results) > 0, "nothing was rolled back"
    assert min(by_sealer) > 0, "one of the sealers never sealed"
    sealed = Leaf.objects.exclude(seq__in=known)
    assert set(sealed.values_list("seq", flat=True)) == committed
    assert sealed.count() == len(committed) == sum(by_sealer) + rest
    order = list(sealed.order_by("index").values_list("seq", flat=True))
    assert order != sorted(order), "no entry came late: the race did not happen"
    outcome = verify()
    assert outcome.sound, outcome.findings
    assert outcome.checkpoints > 2


def test_a_sealer_that_fails_before_signing_changes_nothing(settings: Any, connect_as: Any) -> None:
    write_entries(count=3, actor=WRITER)
    settings.JOURNAL_SIGNING_KEY = "bm90IGEga2V5"
    with pytest.raises(ValueError, match="32 bytes"):
        services.seal(actor=WRITER)
    assert Pending.objects.filter(seq__in=Entry.objects.filter(verb="thing.changed").values("seq")).count() == 3


def test_sealing_without_signing_cannot_be_committed(connect_as: Any, settings: Any) -> None:
    write_entries(count=3, actor=WRITER)
    pending = Pending.objects.count()
    app = connect_as(settings.DB_APP_ROLE)
    with pytest.raises(psycopg.errors.CheckViolation, match="no signed checkpoint") as refused:
        app.execute("select journal_seal(1000)")
    assert refused.value.diag.constraint_name == "journal_tree_signed"
    assert Pending.objects.count() == pending


def test_a_checkpoint_of_another_tree_is_refused(connect_as: Any, settings: Any) -> None:
    write_entries(count=3, actor=WRITER)
    app = connect_as(settings.DB_APP_ROLE)
    with app.transaction(force_rollback=True):
        size, root, at = app.execute("select size, root, at from journal_seal(1000)").fetchone()
        lie = keys.signer().sign(TreeHead(settings.JOURNAL_ORIGIN, size, root[::-1], at).text)
        with pytest.raises(psycopg.errors.CheckViolation, match="does not say what the tree is"):
            app.execute("select journal_checkpoint(%s)", [lie])
    assert Pending.objects.count() >= 3


def test_checkpoints_are_put_outside_and_made_up_for(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seal_all()
    already = sorted(outside.glob("*.txt")) if outside.exists() else []
    write_entries(count=6, actor=WRITER)
    real = FileSystemStorage.save
    calls: list[str] = []

    def fails_at_second(self: FileSystemStorage, name: str, *rest: Any, **more: Any) -> str:
        calls.append(name)
        if len(calls) == 2:
            raise OSError("the disk is full")
        return real(self, name, *rest, **more)

    while services.seal(actor=WRITER, most=2):
        pass
    monkeypatch.setattr(FileSystemStorage, "save", fails_at_second)
    with pytest.raises(OSError, match="disk is full"):
        OutsideCheckpoints().publish(selectors.notes_newest_first())
    assert len(list(outside.glob("*.txt"))) == len(already) + 1
    monkeypatch.undo()

    write_entries(count=2, actor=WRITER)
    jobs.seal_entries()
    held = {path.name: path.read_text() for path in outside.glob("*.txt")}
    assert held == {f"{c.size:016d}.txt": c.note for c in Checkpoint.objects.all()}
    assert len(held) == len(already) + 4

    newest = max(outside.glob("*.txt"))
    newest.write_bytes(b"")  # what a power cut may leave
    jobs.seal_entries()
    assert newest.read_text() == held[newest.name]


def test_the_job_goes_on_until_nothing_is_left(outside: Path) -> None:
    write_in_bulk(count=2 * services.BATCH + 5, actor=WRITER)
    jobs.seal_entries()
    assert not Pending.objects.exists()
    assert Checkpoint.objects.count() >= 3
    assert len(list(outside.glob("*.txt"))) == Checkpoint.objects.count()


def test_who_may_seal(person: Callable[..., Any]) -> None:
    write_entries(count=1, actor=WRITER)
    with pytest.raises(Denied):
        services.seal(actor=person("auditor"))
    assert Pending.objects.exists()
    assert services.seal(actor=shell_actor()) >= 1


def test_sealing_leaves_no_entry_of_its_own() -> None:
    seal_all()
    before = Entry.objects.count()
    jobs.seal_entries()
    assert Entry.objects.count() == before
    assert connection.in_atomic_block is False
