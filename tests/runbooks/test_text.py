"""What a file can say becomes what it should on a page, and what it cannot is refused with the line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.utils.safestring import mark_safe

from opsconsole.runbooks import library, markdown
from opsconsole.runbooks.domains import Domain
from opsconsole.runbooks.markdown import Part, Unreadable
from opsconsole.runbooks.parameters import Parameter, ParameterKind
from opsconsole.runbooks.proofreading import proofread
from tests.runbooks.conftest import ECHO, LEAVE, OPEN_INCIDENT, TEXT, USER_COUNT, USERS, WORD, write


def html(source: str) -> str:
    """A text as it stands on a page, `[n]` for its parts."""
    sections = markdown.read(source).sections(lambda number: mark_safe(f"[{number}]"), lambda id: f"/{id}/")
    return "".join(f"<{one.anchor}|{one.title}>{one.html}" for one in sections)


def test_no_file_can_write_html() -> None:
    shown = html('a <script>alert(1)</script> <img src=x onerror=y>\n\n<div onclick="x">\n\n`<b>`\n\n    <i>\n')
    assert "<script" not in shown
    assert "<img" not in shown
    assert "<div" not in shown
    assert "&lt;b&gt;" in shown
    assert "&lt;i&gt;" in shown


@pytest.mark.parametrize("href", ["javascript:alert(1)", "data:text/html,x", "http://a.example", "//a.example", "x"])
def test_links_lead_where_they_may(href: str) -> None:
    try:
        shown = html(f"[x]({href})")
    except Unreadable:
        return
    assert "<a" not in shown


def test_links_and_headings() -> None:
    shown = html("[a](runbook:b) [c](/admin/) [d](https://e.example/?f=1&g=2)\n\n## Ä b\n\n### c\n\n## Ä b\n")
    assert 'href="/b/"' in shown
    assert 'href="/admin/"' in shown
    assert 'href="https://e.example/?f=1&amp;g=2" rel="noreferrer"' in shown
    assert "<a-b|Ä b>" in shown
    assert "<a-b-2|Ä b>" in shown
    assert "<h4>c</h4>" in shown


def test_parts_stand_in_their_places() -> None:
    source = "::diagnostic one a=1 b=2\ntext\n\n- [ ] do **it** ::check two\n- [ ] by hand\n- plain\n"
    source += "\n1. x\n\n   ::action three\n"
    text = markdown.read(source)
    assert text.parts == (
        Part("diagnostic", "one", {"a": "1", "b": "2"}),
        Part("check", "two"),
        Part("action", "three"),
    )
    shown = html(source)
    assert shown.index("[0]") < shown.index("text") < shown.index("[1]") < shown.index("[2]")
    assert '<li class="ops-task"><span>do <strong>it</strong></span> [1]</li>' in shown
    assert '<label><input type="checkbox" data-tick> <span>by hand</span></label>' in shown
    assert "<li>plain</li>" in shown
    assert markdown.read("```\n::diagnostic one\n```\n").parts == ()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("a\n\n::diagnose x", "line 3: '::diagnose x'"), ("::diagnostic", "line 1"), ("::action X", "line 1"),
        ("::diagnostic x y", "line 1"), ("::check x", "line 1"), ("# a", "line 1: headings"),
        ("> ## a", "line 1: headings"), ("x [a](ftp://b)", "line 1: a link"),
    ],
)  # fmt: skip
def test_what_no_runbook_can_say_is_refused(source: str, said: str) -> None:
    with pytest.raises(Unreadable) as refused:
        html(source)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    "text",
    ["no front", "---\nid: lamps\n---\nx", TEXT.replace("order: 1", "order: x"), TEXT.replace("order: 1", "orders: 1"),
     TEXT.replace("id: lamps", "id: other"), TEXT.replace("  LampsOut: {meaning}", "  - LampsOut"),
     "---\n{x: [\n---\n"],
)  # fmt: skip
def test_front_matter_must_be_whole(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lamps.en.md"
    path.write_text(text)
    with pytest.raises(Unreadable):
        library.edition(path, "lamps", "en")


# --- what every process reads through before it starts ---------------------------------------------------------------


def problems(kind: str = "") -> list[str]:
    return [one.msg for one in proofread() if not kind or one.id == kind]


def test_what_is_in_order_is_passed(shelf: Callable[..., Domain]) -> None:
    assert proofread() == []
    assert [book.id for book in library.shelf().values()] == ["lamps"]


def test_a_name_that_is_not_there_stops_every_command(shelf: Callable[..., Domain]) -> None:
    shelf(diagnostics=(ECHO, USERS), checks=(), actions=(OPEN_INCIDENT, LEAVE))
    assert problems("runbooks.E003") == [
        "lamps: lamps has no diagnostic 'series'.",
        "lamps: lamps has no check 'users-there'.",
        "lamps: lamps has no action 'channels'.",
    ]
    with pytest.raises(SystemCheckError, match="has no diagnostic 'series'"):
        call_command("check")


def test_both_languages_say_the_same(shelf: Callable[..., Domain], tmp_path: Path) -> None:
    path = tmp_path / "lamps.fr.md"
    french = path.read_text()
    path.write_text(french.replace("::diagnostic echo\n::diagnostic series", "::diagnostic series\n::diagnostic echo"))
    assert problems() == ["lamps: its live parts in fr are not those in en, in the same order."]
    path.write_text(french.replace("LampsOut", "LampsOff"))
    assert problems() == ["lamps: its alerts or its order in fr are not those in en."]
    path.unlink()
    assert problems() == ["lamps: it is not written in fr."]


def test_files_are_named_and_readable(shelf: Callable[..., Domain], tmp_path: Path) -> None:
    (tmp_path / "Lamps.md").write_text("x")
    assert "Lamps.md is not called ID.LANGUAGE.md" in problems("runbooks.E001")[0]
    (tmp_path / "Lamps.md").rename(tmp_path / "more.en.md")
    assert "more.en.md: it does not begin with front matter" in problems("runbooks.E001")[0]
    (tmp_path / "more.en.md").unlink()
    write(tmp_path, "alerts")
    assert "alerts: the alerts have that address." in problems()
    (tmp_path / "lamps.en.md").write_text((tmp_path / "lamps.en.md").read_text().replace("runbook:lamps", "runbook:no"))
    assert "lamps: it leads to a runbook 'no', which there is not." in problems()


def test_presets_must_be_possible(shelf: Callable[..., Domain], tmp_path: Path) -> None:
    for language in ("en", "fr"):
        path = tmp_path / f"lamps.{language}.md"
        path.write_text(path.read_text().replace("series\n", "series count=many\n").replace("word=lamp", "words=lamp"))
    assert problems() == [
        "lamps: the diagnostic 'users' takes no words.",
        "lamps: 'series' presets count: Enter a whole number.",
    ]


UUID = Parameter("run", "x", ParameterKind.UUID)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"diagnostics": (ECHO, ECHO)}, "'echo' is registered twice"),
        ({"diagnostics": (replace(ECHO, sql=""),)}, "exactly one of sql, compose and rows"),
        ({"diagnostics": (replace(ECHO, sql="select %(other)s as word"),)}, "names ['other'] in its statement"),
        ({"diagnostics": (replace(ECHO, sql="select %(word)s like '%' as word"),)}, "single %"),
        ({"diagnostics": (replace(ECHO, columns=[]),)}, "has no columns"),
        ({"diagnostics": (replace(ECHO, permission="core.fly"),)}, "'core.fly', which is no permission"),
        ({"diagnostics": (replace(ECHO, columns=[replace(ECHO.columns[0], of="core.Nobody")]),)}, "is no model"),
        ({"diagnostics": (replace(ECHO, columns=[replace(ECHO.columns[0], words={"a": "b"})]),)}, "shown as no state"),
        ({"diagnostics": (replace(ECHO, parameters=[WORD, WORD]),)}, "two parameters of one name"),
        ({"diagnostics": (replace(ECHO, parameters=[UUID], sql="%(run)s"),)}, "which no address can hold"),
        (
            {"diagnostics": (replace(ECHO, parameters=[replace(UUID, name="who", default="x")], sql="%(who)s"),)},
            "which it would refuse",
        ),
        ({"checks": (replace(USER_COUNT, sql="select %(count)s"),)}, "does not answer with in_order"),
        ({"checks": (replace(USER_COUNT, told="{}"),)}, "without its name"),
        ({"actions": (replace(LEAVE, address="core_user_fly"),)}, "admin:core_user_fly, which is no address of a row"),
        ({"actions": (replace(LEAVE, row=""),)}, "no address without a row"),
        ({"actions": (replace(LEAVE, row="whom"),)}, "which is no parameter of it"),
        ({"actions": (replace(OPEN_INCIDENT, given={"title": "name"}),)}, "which it does not take"),
    ],
)  # fmt: skip
def test_what_is_registered_must_hold_together(shelf: Callable[..., Domain], changes: Any, said: str) -> None:
    shelf(**changes)
    assert any(said in problem for problem in problems("runbooks.E004")), problems()
