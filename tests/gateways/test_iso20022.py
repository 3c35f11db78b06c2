"""Files laid out for a bank: once, complete, recallable until they are collected."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage

from opsconsole.core.errors import Invalid
from opsconsole.treasury.gateways.base import (
    Absent,
    Accepted,
    Ambiguous,
    CannotTell,
    FileGateway,
    Known,
    NoAnswer,
    NotSent,
    PaymentState,
    Recall,
    Recalled,
    Rejected,
    TooLate,
)
from opsconsole.treasury.gateways.iso20022 import Iso20022Gateway, Tray

CONTENT = b"<Document>one</Document>"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
OTHER = b"<Document>another</Document>"


@pytest.fixture(params=["disk", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """A storage on disk, and one that cannot rename."""
    return FileSystemStorage(tmp_path / "artifacts") if request.param == "disk" else InMemoryStorage()


@pytest.fixture
def gateway(storage: Storage) -> Iso20022Gateway:
    """A bank of files."""
    return Iso20022Gateway(storage, "BNP")


def collect(storage: Storage, digest: str = DIGEST) -> None:
    """What the bank's connection does."""
    old, new = f"banks/BNP/outgoing/{digest}.xml", f"banks/BNP/collected/{digest}.xml"
    with storage.open(old) as file:
        storage.save(new, file)
    storage.delete(old)


def names(storage: Storage, tray: str) -> list[str]:
    """What lies in a tray."""
    folder = f"banks/BNP/{tray}"
    return sorted(storage.listdir(folder)[1]) if storage.exists(folder) else []


def test_a_file_is_laid_out_by_its_digest(gateway: Iso20022Gateway, storage: Storage) -> None:
    assert isinstance(gateway, FileGateway)
    assert gateway.honours_key
    assert gateway.status("step-1") == Absent()
    assert gateway.submit_file(CONTENT, "step-1") == Accepted(DIGEST)
    with storage.open(f"banks/BNP/outgoing/{DIGEST}.xml") as file:
        assert file.read() == CONTENT
    found = gateway.status("step-1")
    assert isinstance(found, Known)
    assert (found.reference, found.state) == (DIGEST, PaymentState.ACCEPTED)
    assert names(storage, "prepared") == []


def test_the_same_bytes_again_are_one_file(gateway: Iso20022Gateway, storage: Storage) -> None:
    for _ in range(3):
        assert gateway.submit_file(CONTENT, "step-1") == Accepted(DIGEST)
    assert names(storage, "outgoing") == [f"{DIGEST}.xml"]
    collect(storage)
    assert gateway.submit_file(CONTENT, "step-1") == Accepted(DIGEST)
    assert names(storage, "outgoing") == []
    found = gateway.status("step-1")
    assert isinstance(found, Known)
    assert found.reason == "collected by the bank"


def test_a_key_stands_for_one_file(gateway: Iso20022Gateway, storage: Storage) -> None:
    gateway.submit_file(CONTENT, "step-1")
    assert isinstance(gateway.submit_file(OTHER, "step-1"), Ambiguous)
    assert names(storage, "outgoing") == [f"{DIGEST}.xml"]


def test_recalled_before_collection(gateway: Iso20022Gateway, storage: Storage) -> None:
    gateway.submit_file(CONTENT, "step-1")
    assert gateway.recall("undo-1", DIGEST) == Recalled()
    assert gateway.recall("undo-1", DIGEST) == Recalled()
    assert (names(storage, "outgoing"), names(storage, "withdrawn")) == ([], [f"{DIGEST}.xml"])
    found = gateway.status("step-1")
    assert isinstance(found, Known)
    assert found.state == PaymentState.RECALLED
    outcome = gateway.submit_file(CONTENT, "step-1")
    assert isinstance(outcome, Rejected), "a straggler must not lay a recalled file out again"
    assert outcome.code == "withdrawn"
    assert names(storage, "outgoing") == []


def test_too_late_once_collected(gateway: Iso20022Gateway, storage: Storage) -> None:
    gateway.submit_file(CONTENT, "step-1")
    collect(storage)
    assert gateway.recall_many([Recall("undo-1", DIGEST)]) == [TooLate("collected")]
    assert names(storage, "withdrawn") == []


def test_what_nobody_knows(gateway: Iso20022Gateway, storage: Storage) -> None:
    assert isinstance(gateway.recall("undo-1", DIGEST), Ambiguous)
    gateway.submit_file(CONTENT, "step-1")
    storage.delete(f"banks/BNP/outgoing/{DIGEST}.xml")
    assert [type(one) for one in gateway.status_many(["step-1", "step-2", "../x"])] == [CannotTell, Absent, Absent]
    assert isinstance(gateway.submit_file(CONTENT, "step-1"), Ambiguous), "the bank may have it: not laid out again"
    assert names(storage, "outgoing") == []
    assert isinstance(gateway.balance("DE89370400440532013000"), CannotTell)
    gateway.close()


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a/b", "x" * 129, ".hidden"])
def test_names_stay_in_their_folder(gateway: Iso20022Gateway, name: str) -> None:
    with pytest.raises(Invalid):
        gateway.submit_file(CONTENT, name)
    with pytest.raises(Invalid):
        Iso20022Gateway(InMemoryStorage(), f"../{name}")
    assert isinstance(gateway.recall("undo-1", name), Ambiguous)


def test_an_interrupted_preparation_is_made_good(tmp_path: Path) -> None:
    storage = FileSystemStorage(tmp_path)
    gateway = Iso20022Gateway(storage, "BNP")
    partial = tmp_path / "banks/BNP/prepared"
    partial.mkdir(parents=True)
    (partial / f"{DIGEST}.xml").write_bytes(CONTENT[:7])
    (tmp_path / "banks/BNP/submissions").mkdir()
    (tmp_path / "banks/BNP/submissions/step-1").write_text(DIGEST)
    assert gateway.status("step-1") == Absent(), "stored, but never laid out"
    assert gateway.submit_file(CONTENT, "step-1") == Accepted(DIGEST)
    assert (tmp_path / f"banks/BNP/outgoing/{DIGEST}.xml").read_bytes() == CONTENT


def test_a_storage_that_fails_sends_nothing(tmp_path: Path) -> None:
    gateway = Iso20022Gateway(FileSystemStorage(tmp_path), "BNP")
    (tmp_path / "banks/BNP").mkdir(parents=True)
    (tmp_path / "banks/BNP/prepared").write_text("a file where a folder should be")
    assert isinstance(gateway.submit_file(CONTENT, "step-1"), NotSent)
    (tmp_path / "banks/BNP/lock").unlink()
    (tmp_path / "banks/BNP/lock").mkdir()
    assert isinstance(gateway.status("step-1"), NoAnswer)
    assert isinstance(gateway.recall("undo-1", DIGEST), Ambiguous)


def test_of_a_collection_and_a_recall_at_once_one_happens(tmp_path: Path) -> None:
    storage = FileSystemStorage(tmp_path)
    gateway = Iso20022Gateway(storage, "BNP")
    (tmp_path / "banks/BNP/collected").mkdir(parents=True)
    outcomes: Counter[str] = Counter()

    def fetch(digest: str) -> str:
        try:
            Path(storage.path(gateway.path(Tray.OUTGOING, digest))).rename(
                storage.path(gateway.path(Tray.COLLECTED, digest))
            )
        except FileNotFoundError:
            return "missed"
        return "collected"

    with ThreadPoolExecutor(4) as threads:
        for number in range(100):
            accepted = gateway.submit_file(f"file {number}".encode(), f"step-{number}")
            assert isinstance(accepted, Accepted)
            digest = accepted.reference
            fetching = threads.submit(fetch, digest)
            recalling = threads.submit(gateway.recall, "undo", digest)
            again = threads.submit(gateway.submit_file, f"file {number}".encode(), f"step-{number}")
            pair = (fetching.result(), type(recalling.result()).__name__)
            assert pair in {("collected", "TooLate"), ("missed", "Recalled")}
            assert isinstance(again.result(), Accepted | Rejected)
            outcomes[pair[0]] += 1
    assert names(storage, "outgoing") == []
    assert len(names(storage, "collected")) == outcomes["collected"]
    assert len(names(storage, "withdrawn")) == outcomes["missed"]


def test_many_workers_lay_out_one_file(tmp_path: Path) -> None:
    gateway = Iso20022Gateway(FileSystemStorage(tmp_path), "BNP")
    with ThreadPoolExecutor(16) as threads:
        outcomes = list(threads.map(lambda _: gateway.submit_file(CONTENT, "step-1"), range(64)))
    assert outcomes == [Accepted(DIGEST)] * 64
    assert names(FileSystemStorage(tmp_path), "outgoing") == [f"{DIGEST}.xml"]


@pytest.mark.fault
def test_killed_anywhere_it_is_complete_or_absent(tmp_path: Path) -> None:
    """A process lays files out in a loop and is killed; what it left is whole, and can be handed in again."""
    program = """
import sys
from django.core.files.storage import FileSystemStorage
from opsconsole.treasury.gateways.iso20022 import Iso20022Gateway
gateway = Iso20022Gateway(FileSystemStorage(sys.argv[1]), "BNP")
print("ready", flush=True)
for number in range(100_000):
    gateway.submit_file(b"%06d" % number * 20_000, f"step-{number}")
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "opsconsole.settings"}
    worker = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).resolve().parents[2],
        env=environment,
        stdout=subprocess.PIPE,
    )
    assert worker.stdout is not None
    worker.stdout.readline()
    outgoing = tmp_path / "banks/BNP/outgoing"
    while not outgoing.exists() or len(os.listdir(outgoing)) < 20:
        assert worker.poll() is None
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    gateway = Iso20022Gateway(FileSystemStorage(tmp_path), "BNP")
    left = len(os.listdir(outgoing))
    for file in outgoing.iterdir():
        assert hashlib.sha256(file.read_bytes()).hexdigest() == file.stem
    for number in range(left + 2):
        assert isinstance(gateway.status(f"step-{number}"), Known if number < left else Absent)
        assert isinstance(gateway.submit_file(b"%06d" % number * 20_000, f"step-{number}"), Accepted)
    assert len(os.listdir(outgoing)) == left + 2
