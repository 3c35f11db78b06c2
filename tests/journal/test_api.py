"""The journal over HTTP: list, filters, pages, one entry, its proof."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from opsconsole.core.actors import SYSTEM
from opsconsole.journal.models import Entry
from tests.journal.conftest import WRITER, seal_all, write_entries

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]


def listed(api: Api, **query: Any) -> list[dict[str, Any]]:
    response = api("auditor").get("/api/journal", query)
    assert response.status_code == 200, response.content
    return response.json()["results"]


def test_one_entry_in_full(api: Api) -> None:
    (entry_id,) = write_entries(count=1, actor=WRITER)
    response = api("auditor").get(f"/api/journal/{entry_id}")
    assert response.status_code == 200
    entry = Entry.objects.get(pk=entry_id)
    assert response.json() == {
        "id": entry_id,
        "seq": entry.seq,
        "at": entry.content["at"],
        "actor": {"kind": "system", "id": "system:test", "name": "system:test"},
        "verb": "thing.changed",
        "subject": {"kind": "thing", "id": "0"},
        "before": {"n": 0},
        "after": {"n": 1},
        "reason": "because é",
        "request_id": entry.content["request_id"],
    }


def test_the_list_is_newest_first_and_comes_in_pages(api: Api) -> None:
    ids = write_entries(count=7, actor=WRITER, verb="paged")
    client = api("auditor")
    response = client.get("/api/journal", {"verb": "paged", "page_size": 3})
    assert set(response.json()) == {"results", "next", "previous"}
    seen = [entry["id"] for entry in response.json()["results"]]
    while following := response.json()["next"]:
        write_entries(count=1, actor=WRITER, verb="paged")  # what comes in meanwhile shifts no page
        response = client.get(following)
        seen += [entry["id"] for entry in response.json()["results"]]
    assert seen == ids[::-1]
    assert client.get(response.json()["previous"]).status_code == 200


def test_filters(api: Api, person: Any) -> None:
    alice = person("alice", "ops")
    first = write_entries(count=2, actor=alice, verb="plan.staged")
    write_entries(count=2, actor=SYSTEM("sweeper"), verb="plan.expired")
    assert len(listed(api, verb="plan.staged")) == 2
    assert {entry["verb"] for entry in listed(api, actor=alice.id)} == {"plan.staged"}
    assert [entry["id"] for entry in listed(api, actor="alice")] == first[::-1]
    assert len(listed(api, actor="system:sweeper")) == 2
    assert len(listed(api, actor="system:sweeper", subject_kind="thing", subject_id="1")) == 1
    assert listed(api, actor="nobody") == []
    middle = Entry.objects.get(pk=first[1]).at
    since = {entry["id"] for entry in listed(api, since=middle.isoformat())}
    until = {entry["id"] for entry in listed(api, until=middle.isoformat())}
    assert first[1] in since
    assert first[0] in until
    assert not since & until
    later = (middle + timedelta(hours=1)).isoformat()
    assert listed(api, since=later) == []


@pytest.mark.parametrize(
    "query", [{"since": "yesterday"}, {"verb": "a\x00b"}, {"subject_id": "\x00"}, {"actor": "\x00"}, {"cursor": "x"}]
)
def test_bad_queries_are_said_to_be_bad(query: dict[str, str], api: Api) -> None:
    write_entries(count=1, actor=WRITER)
    response = api("auditor").get("/api/journal", query)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


def test_the_proof_over_http_holds_offline(api: Api, offline: Any) -> None:
    entry_id = write_entries(count=5, actor=WRITER)[2]
    client = api("auditor")
    response = client.get(f"/api/journal/{entry_id}/proof")
    assert response.status_code == 409
    assert response.json()["code"] == "not_sealed"
    seal_all()
    response = client.get(f"/api/journal/{entry_id}/proof")
    assert response.status_code == 200
    assert offline("proof", response.content).returncode == 0
    altered = response.json() | {"leaf_index": response.json()["leaf_index"] ^ 1}
    assert offline("proof", json.dumps(altered)).returncode == 1


@pytest.mark.parametrize("path", ["", "/{id}", "/{id}/proof"])
def test_who_may_not_look(path: str, api: Api) -> None:
    (entry_id,) = write_entries(count=1, actor=WRITER)
    seal_all()
    url = f"/api/journal{path.format(id=entry_id)}"
    assert api(None).get(url).status_code == 401
    assert api("dev").get(url).status_code == 403
    assert api("ops").get(url).status_code == 200
    for method in ("post", "put", "patch", "delete"):
        assert getattr(api("auditor"), method)(url, {}).status_code == 405
    assert Entry.objects.filter(pk=entry_id).exists()


@pytest.mark.parametrize("path", ["/{id}", "/{id}/proof"])
def test_what_is_not_there(path: str, api: Api) -> None:
    assert api("auditor").get(f"/api/journal{path.format(id=uuid4())}").status_code == 404
    assert api("auditor").get(f"/api/journal{path.format(id='nonsense')}").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_an_export_proves_itself_and_is_told(api: Api, offline: Any) -> None:
    write_entries(count=5, actor=WRITER)
    seal_all()
    answer = api("auditor").get("/api/journal/export", {"until": "2999-01-01T00:00:00Z"}, headers={"Accept": "*/*"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/x-ndjson")
    assert re.fullmatch(r'attachment; filename="journal-\d{8}-\d{6}\.jsonl"', answer["Content-Disposition"])
    file = b"".join(answer.streaming_content)
    sha256 = hashlib.sha256(file).hexdigest()
    assert answer["Content-Digest"] == f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
    told = Entry.objects.get(verb="journal.exported")
    assert told.content["actor"]["name"] == "auditor"
    assert {name: told.content["after"][name] for name in ("format", "sha256")} == {"format": "jsonl", "sha256": sha256}
    proven = offline("export", file)
    assert proven.returncode == 0, proven.stdout + proven.stderr


@pytest.mark.django_db(transaction=True)
def test_an_export_is_narrowed_as_the_list_is(api: Api) -> None:
    write_entries(count=3, actor=WRITER)
    write_entries(count=2, actor=WRITER, verb="wanted")
    seal_all()
    asked = {"format": "csv", "verb": "wanted"}
    answer = api("auditor").get("/api/journal/export", asked, headers={"Accept": "text/csv"})
    assert answer.status_code == 200
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert len(lines) == 1 + 2 + 1  # the columns, the entries, what they were narrowed by
    for wrong, where in (({"format": "pdf"}, "format"), ({"since": "soon"}, "since"), ({"colour": "red"}, "colour")):
        refused = api("auditor").get("/api/journal/export", wrong)
        assert (refused.status_code, list(refused.json()["errors"])) == (400, [where])
    finance = api("finance_ops")
    before = Entry.objects.count()
    assert finance.get("/api/journal/export", asked).status_code == 403
    assert Entry.objects.count() == before
