"""State folders of their own, and nothing left of them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from opsconsole import embedded
from opsconsole.embedded import Servers
from opsconsole.embedded.places import Places
from opsconsole.embedded.postgres import Postgres
from opsconsole.embedded.redis import Redis
from tests.embedded.acting import OrdinaryUser, User


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that any account may pass through; pytest's own are closed."""
    top = Path(tempfile.mkdtemp(prefix="ops-test-")).resolve()
    top.chmod(0o711)
    try:
        yield top
    finally:
        shutil.rmtree(top)


def stop(var: Path) -> None:
    """End what a failed test left running."""
    places = Places(var)
    Redis(places).stop()
    Postgres(places).stop()
    embedded.unkeep(var)


@pytest.fixture(autouse=True)
def shares(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give back what a failed test still holds: its traceback keeps it alive, and the next test would meet it."""
    taken: list[Servers] = []
    begin = Servers.__init__

    def note(self: Servers, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        taken.append(self)

    monkeypatch.setattr(Servers, "__init__", note)
    yield
    for user in (*User.started, *OrdinaryUser.started):
        user.kill()
    for servers in taken:
        servers.release()


@pytest.fixture(scope="session")
def only_var() -> Iterator[Path]:
    """A state folder whose database is made once."""
    with open_folder() as top:
        embedded.start(top / "var").release()
        yield top / "var"


@pytest.fixture
def var(only_var: Path) -> Iterator[Path]:
    """A state folder with a database, stopped; tests name their tables differently."""
    yield only_var
    stop(only_var)


@pytest.fixture
def new_var() -> Iterator[Callable[..., Path]]:
    """Make a state folder, not there yet: `new_var("odd name")`."""
    made: list[Path] = []
    with open_folder() as top:

        def make(name: str = "var") -> Path:
            folder = top / str(len(made))
            folder.mkdir()
            folder.chmod(0o711)
            made.append(folder / name)
            return made[-1]

        yield make
        for var in made:
            if var.exists():
                stop(var)
                if (sockets := Places(var).sockets).parent != var:
                    shutil.rmtree(sockets, ignore_errors=True)


@pytest.fixture
def root() -> None:
    """Only for root: it hands the servers to other accounts."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
