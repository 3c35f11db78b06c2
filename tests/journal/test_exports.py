"""Exports prove themselves offline, in both forms; an altered one does not."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.operations import operation
from opsconsole.core.tokens import create_token
from opsconsole.journal import services
from opsconsole.journal.errors import NoCheckpoint
from opsconsole.journal.exports import COLUMNS, Export
from opsconsole.journal.models import Entry, Leaf
from opsconsole.journal.record import Subject, record
from tests.journal.conftest import WRITER, seal_all, write_entries

Offline = Callable[..., Any]
pytestmark = pytest.mark.django_db(transaction=True)
FORMS = ("jsonl", "csv")


def export(form: Any, since: datetime | None = None, until: datetime | None = None) -> str:
    return "".join(Export(since, until, form))


@operation
def write_hostile(*, actor: Actor) -> None:
    """An entry that would like to be a formula, two rows, and a proof."""
    record(actor, "=cmd", Subject("+1", '-"quoted",'), reason='@x\n"proof",,\r\n{"proof": {}}')


@pytest.mark.parametrize("form", FORMS)
def test_an_export_of_everything_holds_offline(form: str, journal: Any, offline: Offline) -> None:
    journal(300, batch=70)
    result = offline("export", export(form))
    assert result.returncode == 0, result.stdout + result.stderr
    count = Leaf.objects.count()
    assert f"Verified: {count} entries from the beginning to the end are leaves of the {count} that" in result.stdout
    assert "; 0 leaves between the first and the last are not in the file." in result.stdout


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(5))
def test_an_export_of_a_stretch_of_time_holds_offline(form: str, seed: int, journal: Any, offline: Offline) -> None:
    ids = journal(400, batch=150)
    one, other = sorted(random.Random(seed).sample(ids, 2))
    since, until = sorted(Entry.objects.filter(pk__in=[one, other]).values_list("at", flat=True))
    expected = Entry.objects.filter(at__gte=since, at__lt=until).count()
    assert 0 < expected < 400
    result = offline("export", export(form, since, until))
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith(f"Verified: {expected} entries from {since:%Y-%m-%dT%H:%M:%S.%f}Z to ")


@pytest.mark.parametrize("form", FORMS)
def test_late_entries_leave_holes_that_are_covered(
    form: str, empty_journal: None, connect_as: Any, settings: Any, offline: Offline
) -> None:
    """An entry of a long transaction lies later in the tree than its time: the file without it says so."""
    app = connect_as(settings.DB_APP_ROLE)
    with app.transaction():
        early = app.execute(
            "insert into journal_entries (body) values (%s) returning at",
            ['{"actor": {"kind": "k", "id": "i", "name": "n"}, "verb": "late", "subject": {"kind": "k", "id": "i"}}'],
        ).fetchone()[0]
        first = write_entries(count=3, actor=WRITER)[0]
        seal_all()
    assert Leaf.objects.count() == 3
    write_entries(count=4, actor=WRITER)
    seal_all()
    since = Entry.objects.get(pk=first).at
    assert early < since
    assert Leaf.objects.get(seq=Entry.objects.get(verb="late").seq).index == 3
    text = export(form, since)
    assert '"late"' not in text.replace('""', '"')
    result = offline("export", text)
    assert result.returncode == 0, result.stdout
    assert "7 entries" in result.stdout
    assert "; 1 leaves between" in result.stdout


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_stretch_holds_too(form: str, journal: Any, offline: Offline) -> None:
    journal(5)
    result = offline("export", export(form, datetime(1999, 1, 1, tzinfo=UTC), datetime(1999, 1, 2, tzinfo=UTC)))
    assert result.returncode == 0, result.stdout
    assert result.stdout.startswith("Verified: 0 entries")


@pytest.mark.parametrize("form", FORMS)
def test_hostile_text_survives(form: str, offline: Offline) -> None:
    write_hostile(actor=WRITER)
    seal_all()
    text = export(form)
    assert offline("export", text).returncode == 0
    if form == "csv":
        rows = list(csv.reader(io.StringIO(text, newline="")))
        row = dict(zip(COLUMNS, rows[-2], strict=True))
        assert row["verb"] == "'=cmd"
        assert row["subject_kind"] == "'+1"
        assert row["subject_id"] == '\'-"quoted",'
        assert row["reason"].startswith("'@x\n")
        assert json.loads(row["body"])["verb"] == "=cmd"
        assert not any(cell.startswith(("=", "+", "-", "@")) for line in rows for cell in line)


def lines_of(text: str) -> list[str]:
    return text.splitlines(keepends=True)


ALTERATIONS: dict[str, Callable[[list[str]], list[str]]] = {
    "a word": lambda lines: [lines[0], lines[1], lines[2].replace("because", "although"), *lines[3:]],
    "a row deleted": lambda lines: [*lines[:3], *lines[4:]],
    "two rows swapped": lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
    "a row twice": lambda lines: [*lines[:4], lines[3], *lines[4:]],
    "the proof missing": lambda lines: lines[:-1],
    "cut in the middle": lambda lines: lines[:4],
    "a row after the proof": lambda lines: [*lines, lines[3]],
    "two proofs": lambda lines: [*lines, lines[-1]],
    "the count": lambda lines: [
        *lines[:-1],
        lines[-1].replace('entries"": 20', 'entries"": 21').replace('entries": 20', 'entries": 21'),
    ],
    "the window": lambda lines: [
        *lines[:-1],
        lines[-1].replace('since"": null', 'since"": ""2999""').replace('since": null', 'since": "2999"'),
    ],
    "the checkpoint": lambda lines: [*lines[:-1], lines[-1].replace("at 2", "at 3")],
    "nothing skipped": lambda lines: [*lines[:-1], lines[-1].replace("skipped", "skippe")],
    "garbage": lambda lines: [*lines[:3], "garbage\n", *lines[3:]],
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
@pytest.mark.parametrize("form", FORMS)
def test_an_altered_export_is_refused(form: str, alteration: str, journal: Any, offline: Offline) -> None:
    journal(20)
    text = export(form)
    assert offline("export", text).returncode == 0
    altered = "".join(ALTERATIONS[alteration](lines_of(text)))
    assert altered != text, "the alteration changed nothing"
    result = offline("export", altered)
    assert result.returncode == 1, result.stdout + result.stderr
    assert result.stdout.startswith("NOT VERIFIED: ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("column", [name for name in COLUMNS if name != "body"])
def test_an_altered_cell_is_refused(column: str, journal: Any, offline: Offline) -> None:
    """What a person reads in the spreadsheet is what was signed."""
    journal(5)
    rows = list(csv.reader(io.StringIO(export("csv"), newline="")))
    place = COLUMNS.index(column)
    rows[2][place] = f"{rows[2][place]}7"
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    assert offline("export", out.getvalue()).returncode == 1


def test_what_is_not_sealed_is_left_out_and_counted(journal: Any, offline: Offline) -> None:
    journal(5)
    write_entries(count=3, actor=WRITER)
    made = Export(None, None, "jsonl")
    text = "".join(made)
    assert (made.entries, made.unsealed) == (Leaf.objects.count(), 3)
    assert json.loads(text.splitlines()[-1])["proof"]["unsealed"] == 3
    assert offline("export", text).returncode == 0


def test_before_the_first_checkpoint_there_is_nothing_to_export(empty_journal: None) -> None:
    with pytest.raises(NoCheckpoint):
        export("jsonl")


def test_export_by_command(
    journal: Any, offline: Offline, person: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    journal(10)
    monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(person("auditor").user))
    seal_all()
    for form in FORMS:
        path = tmp_path / f"out.{form}"
        err = io.StringIO()
        call_command("journal", "export", "--as", "auditor", "--format", form, "--out", str(path), stderr=err)
        assert "entries exported" in err.getvalue()
        assert offline("export", path.read_bytes()).returncode == 0
        entry = Entry.objects.order_by("-seq")[0]
        assert (entry.verb, entry.actor_name) == ("journal.exported", "auditor")
        assert entry.content["after"]["format"] == form
    out = io.StringIO()
    today = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    call_command("journal", "export", "--as", "auditor", "--since", today, stdout=out, stderr=io.StringIO())
    assert len(out.getvalue().splitlines()) == 1
    with pytest.raises(CommandError, match="is not a time"):
        call_command("journal", "export", "--since", "yesterday")
    err = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("journal", "export", "--as", "auditor", "--out", str(tmp_path / "no" / "where"), stderr=err)
    assert "cannot be written" in err.getvalue()


def test_who_may_export(person: Any) -> None:
    with pytest.raises(Denied):
        services.record_export(since=None, until=None, form="csv", entries=1, actor=person("ops"))
    assert not Entry.objects.filter(verb="journal.exported").exists()
