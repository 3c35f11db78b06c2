"""The journal as an auditor uses it: narrowed, taken away as files, and proven where it is looked at."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import openpyxl
import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.operations import operation
from opsconsole.core.storage import artifacts
from opsconsole.journal import downloads
from opsconsole.journal.models import Checkpoint, Entry, Leaf
from opsconsole.journal.record import Subject, record
from opsconsole.journal.services import record_export
from opsconsole.monitoring.compliance import write_day
from tests.admin.conftest import contents, press, send
from tests.journal.conftest import empty_journal, journal, offline, seal_all, write_entries

__all__ = ["empty_journal", "journal", "offline"]

pytestmark = pytest.mark.django_db(transaction=True)

WRITER = SYSTEM("test")
OTHER = SYSTEM("other")
LIST, EXPORT, EXPORTS = (reverse(f"admin:journal_entry_{name}") for name in ("changelist", "export", "exports"))
HOSTILE = "=1+2"


def page(entry: Any, name: str = "change") -> str:
    return reverse(f"admin:journal_entry_{name}", args=[entry])


def bytes_of(answer: Any) -> bytes:
    assert answer.status_code == 200, answer.content[:300]
    return b"".join(answer.streaming_content)


def shown(client: Client, **narrowed: str) -> set[int]:
    return {entry.seq for entry in client.get(LIST, narrowed).context["cl"].result_list}


@operation
def write_hostile(*, actor: Actor) -> None:
    """What a spreadsheet would calculate, what XML cannot hold, and more than a cell takes."""
    record(actor, "hostile.said", Subject("thing", "+1"), after={"long": "x" * 40_000}, reason=f"{HOSTILE}\x07")


def test_the_list_is_narrowed(journal: Any, browse: Callable[..., Client]) -> None:
    journal(5)
    write_entries(count=3, actor=OTHER, verb="other.done")
    client = browse("auditor")
    others = set(Entry.objects.filter(verb="other.done").values_list("seq", flat=True))
    for narrowed in ({"verb": "other.done"}, {"actor": "system:other"}, {"actor": "system:other", "last": "hour"}):
        assert shown(client, **narrowed) == others, narrowed
    about = set(Entry.objects.filter(subject_kind="thing", subject_id="2").values_list("seq", flat=True))
    assert len(about) == 2
    assert shown(client, subject_kind="thing", subject_id="2") == about
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M}"
    assert shown(client, since=tomorrow) == set()
    assert shown(client, verb="other.done", until=tomorrow) == others
    wrong = client.get(LIST, {"since": "yesterday"})
    assert wrong.status_code == 200
    assert "Enter a valid date/time." in wrong.content.decode()


@pytest.mark.parametrize("form", ["csv", "jsonl", "xlsx"])
def test_an_export_is_what_the_list_shows(form: str, journal: Any, browse: Callable[..., Client]) -> None:
    journal(4)
    write_entries(count=6, actor=OTHER, verb="other.done")
    seal_all()
    client = browse("auditor")
    answer = press(client, f"{EXPORT}?verb=other.done", form=form, verb="other.done")
    content = bytes_of(answer)
    assert f".{form}" in answer["Content-Disposition"]
    assert seqs_of(form, content) == sorted(shown(client, verb="other.done"))
    entry = Entry.objects.latest("seq")
    told = entry.content["after"]
    assert (entry.verb, entry.actor_name) == ("journal.exported", "auditor")
    assert (told["format"], told["entries"], told["narrowed"]) == (form, 6, {"verb": "other.done"})
    assert told["sha256"] == hashlib.sha256(content).hexdigest()


def seqs_of(form: str, content: bytes) -> list[int]:
    """The numbers of the entries in a file."""
    if form == "jsonl":
        *lines, last = [json.loads(line) for line in content.splitlines()]
        assert set(last) <= {"narrowed", "proof"}
        return sorted(json.loads(line["body"])["seq"] for line in lines)
    if form == "csv":
        rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
        assert rows[-1][0] in ("narrowed", "proof")
        return sorted(int(row[1]) for row in rows[1:-1])
    sheet = openpyxl.load_workbook(io.BytesIO(content), read_only=True)["Entries"]
    return sorted(row[1] for row in sheet.iter_rows(min_row=2, values_only=True))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_stretch_of_time_proves_itself(form: str, journal: Any, offline: Any, browse: Callable[..., Client]) -> None:
    journal(20)
    content = bytes_of(press(browse("auditor"), EXPORT, form=form))
    checked = offline("export", content)
    assert checked.returncode == 0, checked.stdout
    assert len(seqs_of(form, content)) == Entry.objects.latest("seq").content["after"]["entries"]


def test_a_workbook_calculates_nothing(journal: Any, browse: Callable[..., Client]) -> None:
    journal(1)
    write_hostile(actor=WRITER)
    seal_all()
    content = bytes_of(press(browse("auditor"), EXPORT, form="xlsx", verb="hostile.said"))
    book = openpyxl.load_workbook(io.BytesIO(content))
    head, row = book["Entries"].iter_rows()
    cells = dict(zip([cell.value for cell in head], row, strict=True))
    assert not any(cell.data_type == "f" for cell in row)
    assert cells["reason"].value == f"'{HOSTILE}\N{REPLACEMENT CHARACTER}"
    assert cells["subject_id"].value == "'+1"
    entry = Entry.objects.get(verb="hostile.said")
    assert abs(cells["at"].value.replace(tzinfo=UTC) - entry.at) < timedelta(seconds=1)
    assert len(cells["body"].value) == 32_767
    assert ("cut cells", 1) in book["About"].values
    assert ("verb", "hostile.said") in book["About"].values


def test_too_many_entries_are_refused(
    journal: Any, browse: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal(6)
    monkeypatch.setattr(downloads, "MOST", dict.fromkeys(downloads.MOST, 5))
    client = browse("auditor")
    seal_all()
    before = contents()
    for form in ("csv", "jsonl", "xlsx"):
        answer = press(client, EXPORT, form=form)
        assert answer.status_code == 409
        assert "more than 5 entries" in answer.content.decode()
    assert contents() == before


def test_who_may_not_export_gets_nothing(journal: Any, browse: Callable[..., Client]) -> None:
    (first,) = journal(1)
    clients = {role: browse(role) for role in ("ops", "pay_admin", "admin", "dev")}
    before = contents()
    for role, client in clients.items():
        for url in (EXPORT, page(first, "download")):
            assert client.get(url).status_code == 403, role
            assert send(client, url, form="csv").status_code == 403, role
        assert client.get(EXPORTS).status_code == (403 if role == "dev" else 200)
    assert contents() == before


def test_a_stored_export_is_listed_and_taken(journal: Any, browse: Callable[..., Client]) -> None:
    journal(3)
    written = write_day(datetime.now(UTC).date())
    facts = {"since": written.since, "until": written.until, "form": "jsonl", "entries": written.entries}
    record_export(**facts, file=written.file, sha256=written.sha256, actor=WRITER)
    kept = Entry.objects.latest("seq")
    client = browse("auditor")
    listed = client.get(EXPORTS).content.decode()
    assert written.sha256 in listed
    assert page(kept.pk, "download") in listed
    assert page(kept.pk, "download") not in browse("ops").get(EXPORTS).content.decode()
    content = bytes_of(press(client, page(kept.pk, "download")))
    assert hashlib.sha256(content).hexdigest() == written.sha256
    told = Entry.objects.latest("seq")
    assert (told.verb, told.actor_name, told.content["after"]["copy_of"]) == (
        "journal.exported",
        "auditor",
        written.file,
    )
    artifacts().delete(written.file)
    artifacts().save(written.file, ContentFile(b"something else\n"))
    answer = press(client, page(kept.pk, "download"))
    assert answer.status_code == 409
    assert "it was changed" in answer.content.decode()
    artifacts().delete(written.file)
    assert "no longer in the storage" in press(client, page(kept.pk, "download")).content.decode()
    assert press(client, page(Entry.objects.earliest("seq").pk, "download")).status_code in (200, 409)
    assert Entry.objects.filter(verb="journal.exported").count() == 2


def test_a_checkpoint_continues_the_one_before(journal: Any, browse: Callable[..., Client], superuser: Any) -> None:
    journal(30, batch=7)
    client = browse("auditor")
    sizes = list(Checkpoint.objects.order_by("size").values_list("size", flat=True))
    assert len(sizes) > 3
    urls = [reverse("admin:journal_checkpoint_change", args=[size]) for size in sizes]
    assert "It is the first there is." in client.get(urls[0]).content.decode()
    assert all("Consistent: " in client.get(url).content.decode() for url in urls[1:])
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update journal_leaves set hash = sha256('x') where index = %s", [sizes[-1] - 1])
    last = client.get(urls[-1]).content.decode()
    assert "Not consistent: it does not continue" in last
    assert Leaf.objects.count() >= sizes[-1]


def test_every_filter_has_an_index(journal: Any, browse: Callable[..., Client]) -> None:
    """No filter of the explorer reads the whole journal: with sequential reading forbidden the plan has none."""
    journal(3)
    client = browse("auditor")
    for narrowed in (
        {},
        {"verb": "direct_sql"},
        {"actor": "auditor"},
        {"subject_kind": "thing"},
        {"subject_id": "2"},
        {"last": "hour"},
        {"q": "anything"},
    ):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(LIST, narrowed).status_code == 200
        asked = [query["sql"] for query in queries if 'FROM "journal_entries"' in query["sql"]]
        assert asked
        with connection.cursor() as cursor:
            for sql in asked:
                cursor.execute("set enable_seqscan = off")
                cursor.execute(f"explain {sql}")
                plan = "\n".join(row[0] for row in cursor.fetchall())
                cursor.execute("reset enable_seqscan")
                assert "Seq Scan on journal_entries" not in plan, (narrowed, plan)
