"""Every button of the admin x every role, against the table in actions.txt. Refused means that nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from opsconsole.core.roles import ROLES
from opsconsole.journal import downloads
from tests.access.buttons import EXPORT, EXPORT_FILE, NOBODY, WHO, Stage, actions, set_up
from tests.access.conftest import Doors, savepoint
from tests.access.test_matrix import ask
from tests.api.unchanged import fingerprint

REFUSED = {"x": 403, ".": 404}
PRESSED = (200, 302, 409, 422)  # a file, on to the next page, or this row stood in a way


def table() -> dict[str, dict[str, str]]:
    """The table: action -> who -> cell."""
    rows: dict[str, dict[str, str]] = {}
    for line in Path(__file__).with_name("actions.txt").read_text().splitlines():
        fields = line.split()
        if not fields or line.startswith((" ", "#")):
            continue
        address, *cells = fields
        assert len(cells) == len(WHO), line
        assert set(cells) <= {"+", *REFUSED}, line
        name = address.replace(".", "_")
        assert name not in rows, f"{line} stands twice"
        rows[name] = dict(zip(WHO, cells, strict=True))
    return rows


TABLE = table()


@pytest.fixture(scope="module")
def stage(doors: Doors, django_db_blocker: Any) -> Iterator[Stage]:
    """Built once, on top of the doors."""
    with django_db_blocker.unblock():
        yield set_up(doors)


@pytest.fixture(scope="module")
def untouched(stage: Stage, django_db_blocker: Any) -> Any:
    """How every table is before anything is pressed."""
    with django_db_blocker.unblock():
        return fingerprint(ask)


def test_the_table_has_every_action_and_no_other() -> None:
    assert sorted(actions().keys() - TABLE.keys()) == [], "not in tests/access/actions.txt"
    assert sorted(TABLE.keys() - actions().keys()) == [], "in tests/access/actions.txt only"


def test_the_table_has_every_role() -> None:
    assert set(WHO) == {*ROLES, NOBODY}


@pytest.fixture
def outside(settings: Any, monkeypatch: pytest.MonkeyPatch, artifacts: Path) -> None:
    """What does not stand in the database: a mail server that is never spoken to, the file of an export.

    A new export reads one unchanging view of the committed journal, which a world that is never committed has not:
    who may gets as far as being told that these are too many entries.
    """
    settings.EMAIL_HOST = "127.0.0.1"
    monkeypatch.setattr(downloads, "MOST", dict.fromkeys(downloads.MOST, 0))
    file = artifacts / EXPORT_FILE
    file.parent.mkdir(parents=True)
    file.write_bytes(EXPORT)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_cell(name: str, stage: Stage, untouched: Any, outside: None, django_db_blocker: Any) -> None:
    pressed = name == "journal_entry_export"
    with django_db_blocker.unblock():
        with savepoint():
            for who, cell in TABLE[name].items():
                if cell != "+":
                    answer = stage.send(name, who)
                    if answer.status_code == 400:  # who has the form and must not succeed with it
                        answer = stage.press(name, who)
                    assert answer.status_code == REFUSED[cell], told(name, who, answer)
            assert fingerprint(ask) == untouched, f"{name}: somebody who was refused has changed something"
            transaction.set_rollback(True)
        for who, cell in TABLE[name].items():
            if cell == "+":
                with savepoint():
                    answer = stage.press(name, who)
                    assert answer.status_code in PRESSED, told(name, who, answer)
                    pressed = pressed or answer.status_code in (200, 302)
                    transaction.set_rollback(True)
    assert pressed or "+" not in TABLE[name].values(), "nobody could press it: its row is in no suitable state"


def told(name: str, who: str, answer: Any) -> str:
    """What happened instead."""
    problems = answer.context["form"].errors if answer.context and "form" in answer.context else answer.content[:300]
    return f"{name} as {who}: {answer.status_code} {problems}"
