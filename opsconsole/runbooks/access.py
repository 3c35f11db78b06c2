"""Who may read runbooks, and which diagnostic of which runbook there is."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.runbooks.diagnostics import Diagnostic
from opsconsole.runbooks.errors import AlertNotFound, DiagnosticNotFound, RunbookNotFound
from opsconsole.runbooks.library import Book, alerts, shelf
from opsconsole.runbooks.markdown import Part

READ = "runbooks.view_runbook"


def visible_runbooks(actor: Actor) -> list[Book]:
    """All of them; raises Denied for whom runbooks are no business of."""
    actor.require(READ)
    return list(shelf().values())


def visible_alerts(actor: Actor) -> dict[str, list[Book]]:
    """Each alert with the runbooks that it leads to; raises Denied."""
    actor.require(READ)
    return alerts()


def runbook_seen_by(actor: Actor, id: str) -> Book:
    """The runbook; raises RunbookNotFound, also for whom runbooks are no business of."""
    book = shelf().get(id)
    if book is None or not actor.may(READ):
        raise RunbookNotFound(_("There is no such runbook."))
    return book


def alert_seen_by(actor: Actor, name: str) -> list[Book]:
    """The runbooks of an alert; raises AlertNotFound."""
    books = alerts().get(name, [])
    if not books or not actor.may(READ):
        raise AlertNotFound(_("No runbook knows this alert."))
    return books


def diagnostic_of(actor: Actor, id: str, name: str) -> tuple[Diagnostic, Part]:
    """A diagnostic of a runbook, with the parameters preset there; raises RunbookNotFound or DiagnosticNotFound."""
    book = runbook_seen_by(actor, id)
    part = next((one for one in book.parts if (one.kind, one.name) == ("diagnostic", name)), None)
    diagnostic = book.domain.diagnostic(name)
    if part is None or diagnostic is None:
        raise DiagnosticNotFound(_("This runbook has no such diagnostic."))
    return diagnostic, part


def narrowed(books: Sequence[Book], words: str, language: str | None) -> list[Book]:
    """Those in which all of the words stand, those first that have them in the title."""
    wanted = words.casefold().split()
    found = []
    for book in books:
        edition = book.in_language(language)
        title = edition.title.casefold()
        everything = " ".join(
            [book.id, title, edition.summary, *edition.alerts, *edition.alerts.values(), edition.source]
        ).casefold()
        if all(word in everything for word in wanted):
            found.append((not all(word in title for word in wanted), book))
    return [book for _place, book in sorted(found, key=lambda one: one[0])]
