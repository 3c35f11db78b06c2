"""The doors: the shelf, a text in either language, and the answer of a diagnostic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from opsconsole.runbooks import running
from opsconsole.runbooks.diagnostics import Column
from opsconsole.runbooks.domains import Domain
from tests.runbooks.conftest import ECHO, SERIES, SLEEP, USERS

pytestmark = pytest.mark.django_db

ONE = "/api/runbooks/lamps"


def test_the_shelf(shelf: Callable[..., Domain], api: Callable[..., APIClient]) -> None:
    english, french = (api("dev").get(f"/api/runbooks?lang={language}").json() for language in ("en", "fr"))
    assert english == [
        {
            "id": "lamps", "domain": "lamps", "title": "The lamps are out", "summary": "When it is dark.",
            "alerts": {"LampsOut": "No lamp burns."}, "language": "en",
        }
    ]  # fmt: skip
    assert french[0]["title"] == "Les lampes sont éteintes"
    assert api("dev").get("/api/runbooks?q=LampsOut").json() == english
    assert api("dev").get("/api/runbooks?q=sun").json() == []


def test_one_with_its_parts(shelf: Callable[..., Domain], api: Callable[..., APIClient]) -> None:
    body = api("dev").get(ONE).json()
    assert body["text"].strip().startswith("Light them")
    assert [(part["kind"], part["name"]) for part in body["parts"]] == [
        ("diagnostic", "users"), ("diagnostic", "echo"), ("diagnostic", "series"), ("check", "users-there"),
        ("action", "open-incident"), ("action", "leave"), ("action", "channels"),
    ]  # fmt: skip
    users, _echo, series, *_others = body["parts"]
    assert users["parameters"] == [
        {"name": "word", "label": "word", "kind": "text", "required": False, "default": "lamp"}
    ]
    assert (series["permission"], series["parameters"][0]["default"]) == ("core.view_user", "3")
    assert "Allumez-les" in api("dev").get(f"{ONE}?lang=fr").json()["text"]


def test_an_answer(shelf: Callable[..., Domain], api: Callable[..., APIClient]) -> None:
    body = api("auditor").get(f"{ONE}/diagnostics/series?count=2").json()
    assert body.pop("milliseconds") >= 0
    assert body == {
        "runbook": "lamps", "name": "series", "label": "Series", "columns": [{"name": "n", "label": "number"}],
        "rows": [{"n": 1}, {"n": 2}], "row_count": 2, "truncated": False,
        "sql": "select generate_series(1, 2) as n",
    }  # fmt: skip
    assert api("auditor").get(f"{ONE}/diagnostics/series").json()["row_count"] == 3
    assert api("auditor").get(f"{ONE}/diagnostics/series?count=999").json()["truncated"]


def test_values_as_json_has_them(shelf: Callable[..., Domain], api: Callable[..., APIClient]) -> None:
    names = ("amount", "at", "address", "several", "span", "nothing", "ratio")
    every = replace(
        ECHO,
        columns=[Column(name, name) for name in names],
        sql="""
            select 1.50::numeric as amount, '2026-01-02 03:04:05+00'::timestamptz as at, '10.0.0.1'::inet as address,
                   array['10.0.0.2'::inet] as several, interval '90 seconds' as span, null as nothing,
                   0.5::float8 as ratio from (select %(word)s::text) w
        """,
    )
    shelf(diagnostics=(every, SERIES, USERS))
    (row,) = api("auditor").get(f"{ONE}/diagnostics/echo?word=x").json()["rows"]
    assert Decimal(row["amount"]) == Decimal("1.50")
    assert datetime.fromisoformat(row["at"]) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (row["address"], row["several"], row["span"], row["nothing"], row["ratio"]) == (
        "10.0.0.1", ["10.0.0.2"], "0:01:30", None, "0.5",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        (f"{ONE}/diagnostics/series?count=many", 400, "parameters_invalid"),
        (f"{ONE}/diagnostics/echo", 400, "parameters_invalid"),
        (f"{ONE}/diagnostics/echo?word=%00", 400, "invalid"),
        (f"{ONE}/diagnostics/series?counts=2", 400, "invalid"),
        (f"{ONE}/diagnostics/sleep", 404, "diagnostic_not_found"),  # registered, and not of this runbook
        (f"{ONE}/diagnostics/nothing", 404, "diagnostic_not_found"),
        ("/api/runbooks/nothing", 404, "runbook_not_found"),
        ("/api/runbooks/nothing/diagnostics/echo", 404, "runbook_not_found"),
        (f"{ONE}?lang=de", 400, "invalid"),
        (f"{ONE}?language=fr", 400, "invalid"),
        ("/api/runbooks?page_size=2", 400, "invalid"),
    ],
)
def test_refusals(
    shelf: Callable[..., Domain], api: Callable[..., APIClient], url: str, status: int, code: str
) -> None:
    answer = api("auditor").get(url)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_who_may(shelf: Callable[..., Domain], api: Callable[..., APIClient]) -> None:
    for url, status in (("/api/runbooks", 403), (ONE, 404), (f"{ONE}/diagnostics/echo?word=x", 404)):
        assert api("newcomer").get(url).status_code == status
        assert APIClient().get(url).status_code == 401
    refused = api("trader").get(f"{ONE}/diagnostics/echo?word=x")
    assert (refused.status_code, refused.json()["permission"]) == (403, "core.view_user")


def test_too_slow(shelf: Callable[..., Domain], api: Callable[..., APIClient], monkeypatch: pytest.MonkeyPatch) -> None:
    run = running.run
    monkeypatch.setattr(running, "run", lambda *args, **more: run(*args, **more, patience=timedelta(milliseconds=50)))
    shelf(diagnostics=(replace(SLEEP, name="echo"), USERS, SERIES))
    answer: Any = api("auditor").get(f"{ONE}/diagnostics/echo")
    assert (answer.status_code, answer.json()["code"]) == (503, "diagnostic_too_slow")
    assert "Retry-After" in answer


ANYTHING = ("", "\x00", "x" * 3_000, "-1", "9" * 30, "١", "é", "'", "%00", "[]", "true", "0001-01-01", "\ud800")


def test_anything_typed_is_answered_calmly(
    shelf: Callable[..., Domain], api: Callable[..., APIClient], browse: Callable[..., Any]
) -> None:
    client, browser = api("auditor"), browse("auditor")
    doors = [("/api/runbooks", "q"), (ONE, "lang"), (f"{ONE}/diagnostics/series", "count")]
    doors += [(f"{ONE}/diagnostics/users", name) for name in ("word", "parameters")]
    for typed in ANYTHING:
        written = typed.encode("utf-8", "surrogatepass")
        for url, name in doors:
            assert client.get(url, {name: written}).status_code in (200, 400), (url, name, typed)
        asked = dict.fromkeys(("count", "word", "who"), written) | {"run": "diagnostic-series"}
        assert browser.get("/admin/runbooks/lamps/", asked).status_code == 200, typed
