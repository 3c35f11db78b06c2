"""The `iso20022` gateway: rendered files laid out in the artifact storage for the bank's connection to collect.

    banks/<code>/prepared/<digest>.xml    stored, not laid out yet
    banks/<code>/submissions/<name>       the digest that is submitted under this key
    banks/<code>/outgoing/<digest>.xml    laid out; the bank's connection moves it to
    banks/<code>/collected/<digest>.xml   the bank has it, and no recall is possible any more
    banks/<code>/withdrawn/<digest>.xml   recalled before it was collected

A file is stored by the SHA-256 of its bytes, never changed and never rendered again: handing the same bytes in twice
leaves one file. It is written in this order, so whatever interrupts it, a probe tells the truth: the file lies in
outgoing/ complete or not at all, and never before its key is known. On a local disk every move is one rename, so of
a collection and a recall at the same instant exactly one happens. Where the storage cannot rename (S3), a recall
copies, deletes, and looks whether the bank was faster; there the connection has to look under withdrawn/ before it
uses what it read.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped] # it has no stubs
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage

from opsconsole.core.errors import Invalid
from opsconsole.core.faults import crashpoint
from opsconsole.treasury.gateways.base import (
    IN_FLIGHT,
    Absent,
    Accepted,
    Ambiguous,
    BalanceAnswer,
    CannotTell,
    Finding,
    Known,
    NoAnswer,
    NotSent,
    Outcome,
    PaymentState,
    Recall,
    Recalled,
    RecallOutcome,
    Rejected,
    TooLate,
)

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
TAKEN_OUT = "the file was taken out of the storage by other hands"
# What a storage raises when it cannot be had.
FAILURES = (OSError, BotoCoreError, ClientError)


class Tray(StrEnum):
    """Where a file of a bank can lie."""

    PREPARED = "prepared"
    OUTGOING = "outgoing"
    COLLECTED = "collected"
    WITHDRAWN = "withdrawn"


class Iso20022Gateway:
    """A bank that takes files of payments; `name` and `key` are the idempotency key of the submission."""

    honours_key = True

    def __init__(self, storage: Storage, bank_code: str) -> None:
        if _CODE.fullmatch(bank_code) is None:
            raise Invalid("A bank's code for files is letters, digits, - and _.", bank_code=bank_code)
        self._storage = storage
        self._folder = f"banks/{bank_code}"

    def submit_file(self, content: bytes, name: str) -> Outcome:
        """Lay the file out for the bank, once; Accepted carries its digest, also if it was handed in before."""
        if _NAME.fullmatch(name) is None:
            raise Invalid("A file's name is 1 to 128 letters, digits and . _ : -", name=name)
        try:
            return self._submit(content, hashlib.sha256(content).hexdigest(), name)
        except FAILURES as error:
            return Ambiguous(f"the storage failed: {error}")

    def status(self, key: str) -> Finding:
        """Whether the file of this key waits, was collected, or was withdrawn."""
        try:
            return self._find(key)
        except FAILURES as error:
            return NoAnswer(f"the storage failed: {error}")

    def status_many(self, keys: Sequence[str], in_flight: int = IN_FLIGHT) -> list[Finding]:  # noqa: ARG002 - the protocol's
        """The same for many."""
        return [self.status(key) for key in keys]

    def recall(self, key: str, reference: str) -> RecallOutcome:  # noqa: ARG002 - a file is withdrawn once by itself
        """Withdraw the file of this digest, unless the bank has collected it."""
        if _DIGEST.fullmatch(reference) is None:
            return Ambiguous(f"{reference!r} is not the digest of a file")
        try:
            return self._withdraw(reference)
        except FAILURES as error:
            return Ambiguous(f"the storage failed: {error}")

    def recall_many(self, recalls: Sequence[Recall], in_flight: int = IN_FLIGHT) -> list[RecallOutcome]:  # noqa: ARG002 - the protocol's
        """The same for many."""
        return [self.recall(recall.key, recall.reference) for recall in recalls]

    def balance(self, iban: str) -> BalanceAnswer:  # noqa: ARG002 - the protocol's
        """Balances come in with account statements, not by asking."""
        return CannotTell("a bank spoken to by files tells balances in its statements")

    def close(self) -> None:
        """Nothing is held open."""

    def path(self, tray: Tray, digest: str) -> str:
        """The storage name of a file."""
        return f"{self._folder}/{tray}/{digest}.xml"

    # Laying out

    def _submit(self, content: bytes, digest: str, name: str) -> Outcome:
        with self._locked():
            try:
                known = self._digest_of(name)
                if known not in {None, digest}:
                    # The key's first file may be on its way: nobody may take this for a refusal of its payments.
                    return Ambiguous(f"{name} was used for another file, {known}")
                tray = self._tray_of(digest)
                if known is not None and tray is None:
                    return Ambiguous(TAKEN_OUT)
                if tray is Tray.WITHDRAWN:
                    return Rejected("withdrawn", "this file was recalled; its payments go out only in a new one")
                if tray in {None, Tray.PREPARED}:
                    self._prepare(content, digest)
                    crashpoint("treasury.file.after_prepare")
                if known is None:
                    self._write(f"{self._folder}/submissions/{name}", digest.encode())
                    crashpoint("treasury.file.after_key")
            except FAILURES as error:
                return NotSent(f"the storage failed: {error}")
            if tray in {None, Tray.PREPARED} and not self._move(Tray.PREPARED, Tray.OUTGOING, digest):
                return Ambiguous("the prepared file was taken away by other hands")
            crashpoint("treasury.file.after_layout")
            return Accepted(digest)

    def _prepare(self, content: bytes, digest: str) -> None:
        """Store the whole file where nobody collects it; what an interrupted attempt left there is replaced."""
        path = self.path(Tray.PREPARED, digest)
        if self._storage.exists(path):
            if self._read(path) == content:
                return
            self._storage.delete(path)
        self._write(path, content)

    def _write(self, path: str, content: bytes) -> None:
        saved = self._storage.save(path, ContentFile(content))
        if saved != path:  # the name was taken a moment ago, which only an unlocked storage allows
            self._storage.delete(saved)
            raise FileExistsError(f"{path} is being written by another worker")
        local = self._local(path)
        if local is not None:
            _sync(local)
            _sync(local.parent)

    # Asking and withdrawing

    def _digest_of(self, name: str) -> str | None:
        path = f"{self._folder}/submissions/{name}"
        return self._read(path).decode("ascii") if self._storage.exists(path) else None

    def _find(self, name: str) -> Finding:
        with self._locked():
            digest = self._digest_of(name) if _NAME.fullmatch(name) else None
            if digest is None:
                return Absent()
            match self._tray_of(digest):
                case Tray.OUTGOING:
                    return Known(digest, PaymentState.ACCEPTED, "waits to be collected by the bank")
                case Tray.COLLECTED:
                    return Known(digest, PaymentState.ACCEPTED, "collected by the bank")
                case Tray.WITHDRAWN:
                    return Known(digest, PaymentState.RECALLED, "withdrawn before the bank collected it")
                case Tray.PREPARED:
                    return Absent()  # stored, and never laid out
            return CannotTell(TAKEN_OUT)

    def _withdraw(self, digest: str) -> RecallOutcome:
        with self._locked():
            tray = self._tray_of(digest)
            if tray is None:
                return Ambiguous(f"no file {digest} lies with this bank")
            if tray in {Tray.OUTGOING, Tray.PREPARED} and self._move(tray, Tray.WITHDRAWN, digest):
                crashpoint("treasury.file.after_withdrawal")
                if not self._lies_in(Tray.COLLECTED, digest):
                    return Recalled()
                # Only where a move takes two steps: the bank was faster between them.
                self._storage.delete(self.path(Tray.WITHDRAWN, digest))
            return Recalled() if tray is Tray.WITHDRAWN else TooLate("collected")

    def _tray_of(self, digest: str) -> Tray | None:
        """Where the file lies; asked in the order of its way, so that one collected meanwhile is still met."""
        order = (Tray.OUTGOING, Tray.COLLECTED, Tray.WITHDRAWN, Tray.PREPARED)
        return next((tray for tray in order if self._lies_in(tray, digest)), None)

    # The storage

    def _lies_in(self, tray: Tray, digest: str) -> bool:
        return self._storage.exists(self.path(tray, digest))

    def _read(self, path: str) -> bytes:
        with self._storage.open(path) as stored:
            return bytes(stored.read())

    def _move(self, source: Tray, target: Tray, digest: str) -> bool:
        """Move a file to another tray; False when it lies there no more: the bank has just collected it."""
        old, new = self.path(source, digest), self.path(target, digest)
        here, there = self._local(old), self._local(new)
        if here is None or there is None:
            self._write(new, self._read(old))
            self._storage.delete(old)
            return True
        there.parent.mkdir(parents=True, exist_ok=True)
        try:
            here.rename(there)
        except FileNotFoundError:
            return False
        _sync(there.parent)
        return True

    def _local(self, path: str) -> Path | None:
        """Where the storage keeps this name on a local disk, or None if it does not."""
        return Path(self._storage.path(path)) if isinstance(self._storage, FileSystemStorage) else None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One at a time at this bank's trays, on a local disk; elsewhere the lease of the run has to do."""
        local = self._local(f"{self._folder}/lock")
        if local is None:
            yield
            return
        local.parent.mkdir(parents=True, exist_ok=True)
        with local.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _sync(path: Path) -> None:
    """Let a file's bytes, or a folder's names, outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
