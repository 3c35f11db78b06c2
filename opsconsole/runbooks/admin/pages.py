"""The pages: the shelf, a runbook, the alerts that lead to one, an alert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from opsconsole.core.admin import display
from opsconsole.core.admin.base import Tab, actor_of
from opsconsole.core.admin.pages import Facts, Fragment, Link, Section, Table
from opsconsole.core.texts import Text
from opsconsole.runbooks import access, library
from opsconsole.runbooks.admin.parts import Desk
from opsconsole.runbooks.domains import Domain
from opsconsole.runbooks.library import Book

LONGEST_SEARCH = 200


def runbook_url(id: str) -> str:
    """The page of a runbook."""
    return reverse("admin:runbooks_runbook", args=[id])


def alert_url(name: str) -> str:
    """The page of an alert."""
    return reverse("admin:runbooks_alert", args=[name])


@require_safe
def shelf_page(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """All runbooks by domain, or those in which words are found."""
    language = get_language()
    words = request.GET.get("q", "")[:LONGEST_SEARCH].replace("\x00", "")
    books = access.narrowed(access.visible_runbooks(actor_of(request)), words, language)
    domains = {book.domain.name: book.domain for book in books}
    sections: list[Section] = [
        Table(
            domain.title,
            [_("runbook"), _("when"), _("alerts")],
            [
                [
                    display.link(runbook_url(book.id), book.in_language(language).title),
                    display.prose(book.in_language(language).summary),
                    _alert_links(book.alerts),
                ]
                for book in books
                if book.domain.name == domain.name
            ],
        )
        for domain in domains.values()
    ]
    if not sections:
        sections = [Table(_("Runbooks"), [], [], empty=_("No runbook has these words."))]
    return _page(
        site,
        request,
        "list",
        _("Runbooks"),
        sections=sections,
        tabs=_tabs("runbooks_shelf"),
        search=True,
        words=words,
    )


@require_safe
def runbook_page(request: HttpRequest, id: str, *, site: AdminSite) -> HttpResponse:
    """A runbook: its text, with what is live in it."""
    actor = actor_of(request)
    actor.require(access.READ)
    book = access.runbook_seen_by(actor, id)
    edition, desk = book.in_language(get_language()), Desk(request, book)
    sections: list[Section] = []
    if desk.subject:
        form, options = desk.about()
        title = _("What it is about")
        sections.append(Fragment("console/runbooks/about.html", title, {"form": form, "options": options}))
    text = edition.text.sections(desk.place, runbook_url)
    sections += [
        Fragment("console/runbooks/section.html", one.title, {"anchor": one.anchor, "html": one.html}) for one in text
    ]
    entries = [(one.anchor, one.title) for one in text if one.title]
    return _page(
        site,
        request,
        "page",
        edition.title,
        summary=edition.summary,
        sections=sections,
        side=[
            Fragment("console/runbooks/contents.html", _("Steps"), {"entries": entries}),
            *_leading_here(edition.alerts),
            *_contacts(book.domain),
        ],
    )


@require_safe
def alerts_page(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """Every alert that has a runbook."""
    found = access.visible_alerts(actor_of(request))
    rows = [[_alert_link(name), display.prose(meaning(name, books)), _titles(books)] for name, books in found.items()]
    table = Table("", [_("alert"), _("what it means"), _("runbooks")], rows, empty=_("No alert has a runbook yet."))
    return _page(site, request, "list", _("Alerts with a runbook"), sections=[table], tabs=_tabs("runbooks_alerts"))


@require_safe
def alert_page(request: HttpRequest, name: str, *, site: AdminSite) -> HttpResponse:
    """What an alert means, and what is to be done."""
    actor = actor_of(request)
    actor.require(access.READ)
    books = access.alert_seen_by(actor, name)
    language = get_language()
    sections: list[Section] = [
        Facts(
            book.in_language(language).title,
            [
                (_("what it means"), book.in_language(language).alerts[name]),
                (_("when"), book.in_language(language).summary),
            ],
            more=Link(runbook_url(book.id), _("To the runbook")),
        )
        for book in books
    ]
    return _page(site, request, "list", name, sections=sections, tabs=_tabs(""))


def runbook_link(alert: str) -> SafeString | str:
    """The name of an alert, leading to its page where a runbook knows it."""
    return _alert_link(alert) if alert in library.alerts() else alert


def meaning(name: str, books: Sequence[Book]) -> str:
    """What an alert means, in the viewer's language."""
    return books[0].in_language(get_language()).alerts[name]


def _leading_here(alerts: Any) -> list[Section]:
    if not alerts:
        return []
    return [Facts(_("Alerts that lead here"), [(_alert_link(name), meaning) for name, meaning in alerts.items()])]


def _contacts(domain: Domain) -> list[Section]:
    if not domain.contacts:
        return []
    known = settings.ESCALATION_CONTACTS
    rows = [[one.role, known.get(one.key) or one.reach or display.NOTHING, one.then] for one in domain.contacts]
    return [
        Table(
            _("Escalation"),
            [_("role"), _("to be reached at"), _("then")],
            rows,
            note=""
            if all(known.get(one.key) or one.reach for one in domain.contacts)
            else _("Numbers are set by OPS_ESCALATION_CONTACTS."),
        )
    ]


def _titles(books: Sequence[Book]) -> SafeString:
    language = get_language()
    links = ((display.link(runbook_url(book.id), book.in_language(language).title),) for book in books)
    return format_html_join(mark_safe("<br>"), "{}", links)


def _alert_link(name: str) -> SafeString:
    return display.link(alert_url(name), name)


def _alert_links(names: Sequence[str]) -> SafeString | str:
    return format_html_join(mark_safe("<br>"), "{}", ((_alert_link(name),) for name in names)) or display.NOTHING


def _tabs(active: str) -> list[Tab]:
    pages: list[tuple[str, Text]] = [("runbooks_shelf", _("Runbooks")), ("runbooks_alerts", _("Alerts"))]
    return [Tab(text, reverse(f"admin:{name}"), active=name == active) for name, text in pages]


def _page(site: AdminSite, request: HttpRequest, template: str, title: str, **facts: Any) -> HttpResponse:
    request.current_app = site.name
    context = {**site.each_context(request), "title": title, "heading": title, **facts}
    return TemplateResponse(request, f"console/runbooks/{template}.html", context)
