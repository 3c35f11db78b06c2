"""A domain of its own, with a runbook in which everything that can be live is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.runbooks import domains, library
from opsconsole.runbooks.actions import ActionLink
from opsconsole.runbooks.checks import Check
from opsconsole.runbooks.diagnostics import Column, Diagnostic, Shown
from opsconsole.runbooks.domains import Contact, Domain
from opsconsole.runbooks.parameters import Parameter, ParameterKind

MAY = "core.view_user"
WORD = Parameter("word", "word", ParameterKind.TEXT)
COUNT = Parameter("count", "count", ParameterKind.INT, default="3", most=10**12)
WHO = Parameter("who", "who", ParameterKind.UUID, options=lambda _actor: [("0", "Ada")])

ECHO = Diagnostic(
    name="echo", label="Echo", permission=MAY, parameters=[WORD],
    columns=[Column("word", "the word")], sql="select %(word)s::text as word",
)  # fmt: skip
SERIES = Diagnostic(
    name="series", label="Series", permission=MAY, parameters=[COUNT],
    columns=[Column("n", "number", Shown.NUMBER)], sql="select generate_series(1, %(count)s) as n",
)  # fmt: skip
USERS = Diagnostic(
    name="users", label="Users", permission=MAY, parameters=[replace(WORD, required=False)],
    columns=[Column("id", "id", of="core.User"), Column("username", "name", Shown.CODE)],
    sql="""
        select id, username from core_user
        where %(word)s::text is null or username like %(word)s || '%%'
        order by username
    """,
    empty="Nobody is called that.",
)  # fmt: skip
SLEEP = Diagnostic(
    name="sleep", label="Sleep", permission=MAY, columns=[Column("slept", "slept")],
    sql="select 'long' as slept from (select pg_sleep(30)) s",
)  # fmt: skip
USER_COUNT = Check(
    name="users-there", label="There are users", permission=MAY, parameters=[COUNT],
    sql="select count(*) >= %(count)s as in_order, count(*) as found from core_user", told="{found} users",
)  # fmt: skip
OPEN_INCIDENT = ActionLink(
    name="open-incident", label="Open it", address="monitoring_incident_open", parameters=[WORD],
    given={"title": "word"},
)  # fmt: skip
LEAVE = ActionLink(name="leave", label="Send away", address="core_user_offboard", parameters=[WHO], row="who")
CHANNELS = ActionLink(name="channels", label="Channels", address="notifications_channel_changelist")

TEXT = """---
id: lamps
title: {title}
summary: {summary}
order: 1
alerts:
  LampsOut: {meaning}
---
{intro} <b>bold</b>, [{title}](runbook:lamps).

## {first}

1. {intro}

   ::diagnostic users word=lamp
2. `code`

::diagnostic echo
::diagnostic series

- [ ] {intro} ::check users-there
- [ ] **{intro}**

| a | b |
|---|--:|
| 1 | 2 |

## {second}

> {intro}

::action open-incident
::action leave
::action channels

```
::diagnostic this is text
```
"""
SPOKEN = {
    "en": {
        "title": "The lamps are out", "summary": "When it is dark.", "meaning": "No lamp burns.",
        "intro": "Light them", "first": "Look", "second": "Act",
    },
    "fr": {
        "title": "Les lampes sont éteintes", "summary": "Quand il fait nuit.", "meaning": "Aucune lampe ne brûle.",
        "intro": "Allumez-les", "first": "Regarder", "second": "Agir",
    },
}  # fmt: skip


def write(folder: Path, id: str = "lamps", *, languages: str = "en fr", text: str = TEXT) -> None:
    """A runbook as files."""
    for language in languages.split():
        (folder / f"{id}.{language}.md").write_text(text.format(**SPOKEN[language]).replace("id: lamps", f"id: {id}"))


def lamps(folder: Path, **changes: Any) -> Domain:
    """The domain over these files."""
    return replace(
        Domain(
            name="lamps",
            title="Lamps",
            folder=folder,
            diagnostics=(ECHO, SERIES, USERS, SLEEP),
            actions=(OPEN_INCIDENT, LEAVE, CHANNELS),
            checks=(USER_COUNT,),
            contacts=(Contact("keeper", "Keeper", then="the mayor"), Contact("mayor", "Mayor", "nobody", "0123")),
        ),
        **changes,
    )


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Domain]]:
    """Put the domain, as it is or changed, on the shelf instead of all others."""

    def put(**changes: Any) -> Domain:
        domain = lamps(tmp_path, **changes)
        monkeypatch.setattr(domains, "_domains", {domain.name: domain})
        library.shelf.cache_clear()
        return domain

    write(tmp_path)
    put()
    yield put
    library.shelf.cache_clear()


@pytest.fixture
def browse(person: Callable[..., Actor]) -> Callable[..., Client]:
    """A browser in which somebody is logged in."""

    def make(name: str, *roles: str) -> Client:
        client = Client()
        client.force_login(person(name, *roles).user, "django.contrib.auth.backends.ModelBackend")
        return client

    return make


def users() -> int:
    """How many users there are."""
    return User.objects.count()
