"""The shelf: every runbook of every domain in both languages, read from its files once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from opsconsole.runbooks import markdown
from opsconsole.runbooks.domains import Domain, registered

LANGUAGES: Final = ("en", "fr")
FIRST: Final = LANGUAGES[0]
_FILE: Final = re.compile(r"(?P<id>[a-z0-9][a-z0-9-]*)\.(?P<language>[a-z]{2})\.md")
_FRONT: Final = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)
_MEMBERS: Final = {"id", "title", "summary", "alerts", "order"}


@dataclass(frozen=True, slots=True)
class Edition:
    """A runbook in one language; `alerts` are those that lead to it, each with what it means."""

    language: str
    title: str
    summary: str
    alerts: Mapping[str, str]
    order: int
    source: str
    text: markdown.Text


@dataclass(frozen=True, slots=True)
class Book:
    """A runbook: its domain, and the same text in each language."""

    id: str
    domain: Domain
    editions: Mapping[str, Edition]

    def in_language(self, language: str | None) -> Edition:
        """The edition in this language, or in English."""
        return self.editions.get((language or FIRST)[:2]) or self.editions[FIRST]

    @property
    def alerts(self) -> tuple[str, ...]:
        """The alerts that lead to it."""
        return tuple(self.editions[FIRST].alerts)

    @property
    def parts(self) -> tuple[markdown.Part, ...]:
        """Its live parts, from top to bottom."""
        return self.editions[FIRST].text.parts


@cache
def shelf() -> Mapping[str, Book]:
    """Every runbook by its id: the domains as they came, in each the order that the files say."""
    books = [book for domain in registered() for book in _books(domain)]
    return {book.id: book for book in books}


def alerts() -> dict[str, list[Book]]:
    """Each alert that a runbook names, by name, with its runbooks."""
    found: dict[str, list[Book]] = {}
    for book in shelf().values():
        for alert in book.alerts:
            found.setdefault(alert, []).append(book)
    return dict(sorted(found.items()))


def files(domain: Domain) -> Iterator[tuple[Path, str, str]]:
    """Each file of a domain's folder with its id and language; raises Unreadable for one that is neither."""
    for path in sorted(domain.folder.glob("*.md")):
        named = _FILE.fullmatch(path.name)
        if named is None:
            raise markdown.Unreadable(f"{path.name} is not called ID.LANGUAGE.md")
        yield path, named["id"], named["language"]


def edition(path: Path, id: str, language: str) -> Edition:
    """What a file says; raises Unreadable."""
    parted = _FRONT.match(path.read_text())
    if parted is None:
        raise markdown.Unreadable("it does not begin with front matter between two lines of ---")
    front, source = parted.groups()
    try:
        facts: Any = yaml.safe_load(front)
    except yaml.YAMLError as error:
        raise markdown.Unreadable(f"its front matter is no YAML: {error}") from error
    _agree(facts, id)
    return Edition(
        language=language,
        title=facts["title"],
        summary=facts["summary"],
        alerts=facts["alerts"] or {},
        order=facts["order"],
        source=source,
        text=markdown.read("\n" * (front.count("\n") + 3) + source),  # so that its lines are those of the file
    )


def _agree(facts: Any, id: str) -> None:
    if not isinstance(facts, dict) or set(facts) != _MEMBERS:
        raise markdown.Unreadable(f"its front matter must have {', '.join(sorted(_MEMBERS))}, and nothing else")
    if facts["id"] != id:
        raise markdown.Unreadable(f"its id is {facts['id']!r}, and its file is called {id!r}")
    alerts = facts["alerts"] or {}
    texts = [facts["title"], facts["summary"], *alerts, *(alerts.values() if isinstance(alerts, dict) else [None])]
    if not all(isinstance(text, str) and text for text in texts) or not isinstance(facts["order"], int):
        raise markdown.Unreadable("its title and summary are texts, alerts are NAME: meaning, and order is a number")


def _books(domain: Domain) -> list[Book]:
    found: dict[str, dict[str, Edition]] = {}
    for path, id, language in files(domain):
        found.setdefault(id, {})[language] = edition(path, id, language)
    books = [Book(id, domain, editions) for id, editions in found.items()]
    return sorted(books, key=lambda book: (book.editions[FIRST].order, book.id))
