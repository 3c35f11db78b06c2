"""Entries as people read them: who did what to what, what changed, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from django.apps import apps
from django.contrib import admin
from django.db.models import Model, UUIDField
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from opsconsole.core.admin import display
from opsconsole.core.admin.pages import Column, Fragment, Link, Table
from opsconsole.core.admin.phrases import KINDS
from opsconsole.core.admin.viewing import opens
from opsconsole.core.states import Stateful, States
from opsconsole.core.texts import Text
from opsconsole.journal.admin.verbs import DIRECT_SQL, words_of
from opsconsole.journal.models import Entry

SHOWN_ON_PAGES: Final = 25
TONES: Final[dict[str, str]] = {
    DIRECT_SQL: "bad",
    "journal.broken": "bad",
    "ledger.broken": "bad",
    "ledger.drifted": "bad",
}


@lru_cache(maxsize=1)
def models_by_table() -> dict[str, type[Model]]:
    """Every model by its table: the kinds of subjects that are rows."""
    return {model._meta.db_table: model for model in apps.get_models()}


def model_of(kind: str) -> type[Model] | None:
    """The model whose rows are subjects of this kind; None for what is no row."""
    return models_by_table().get(kind)


def subject_text(kind: str, named: str) -> str:
    """A subject in words: what it is, and its name or id."""
    model = model_of(kind)
    name = str(model._meta.verbose_name) if model and kind not in KINDS else display.word(kind)
    return f"{name} {named}"


def names_of(request: HttpRequest, subjects: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What those of the subjects are called that the viewer may see, with a query for each kind of them."""
    wanted: dict[str, set[str]] = {}
    for kind, subject_id in subjects:
        if display.UUID_FORM.fullmatch(subject_id):
            wanted.setdefault(kind, set()).add(subject_id)
    names = {}
    for kind, ids in wanted.items():
        shown = admin.site._registry.get(model) if (model := model_of(kind)) else None
        if shown is not None and isinstance(shown.opts.pk, UUIDField) and shown.has_view_permission(request):
            for row in shown.get_queryset(request).prefetch_related(None).filter(pk__in=ids):
                names[kind, str(row.pk)] = str(row)
    return names


def subject_link(request: HttpRequest, kind: str, subject_id: str) -> SafeString | str:
    """A subject by its name, leading to its page, where the viewer may see it."""
    model = model_of(kind)
    if model is None or not opens(model, subject_id):
        return subject_text(kind, subject_id)
    name = names_of(request, [(kind, subject_id)]).get((kind, subject_id), subject_id)
    return display.link(display.row_url_of(model, subject_id), subject_text(kind, name))


def verb_label(verb: str) -> SafeString:
    """A verb in words, itself where the pointer rests; in red where it should not have happened."""
    tone = TONES.get(verb)
    words = display.label(words_of(verb), tone) if tone else words_of(verb)
    return format_html('<span title="{}">{}</span>', verb, words)


def actor_text(kind: str, name: str) -> str:
    """An actor in words: users by their name, others with what they are."""
    return name if kind == "user" or name.startswith(f"{kind}:") else f"{kind}: {name}"


def change_table(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, title: Text = "") -> Table:
    """What changed, a line for each member."""
    was, now = before or {}, after or {}
    names = list(dict.fromkeys([*was, *now]))
    return Table(
        title or _("What changed"),
        [Column(_("field")), Column(_("before")), Column(_("after"))],
        [
            [display.word(name), display.member(name, was.get(name)), display.member(name, now.get(name))]
            for name in names
        ],
        empty=_("Nothing: the entry only says that it happened."),
    )


@dataclass(frozen=True, slots=True)
class Happening:
    """One entry in a timeline."""

    at: datetime
    actor: str
    verb: SafeString | str
    move: str
    detail: Text
    reason: str
    url: str


_details: dict[str, Callable[[Mapping[str, Any]], Text]] = {}


def register_detail(verb: str, told: Callable[[Mapping[str, Any]], Text]) -> None:
    """Have timelines tell of entries with this verb what `told` reads from their `after`."""
    _details[verb] = told


def _states_of(kind: str, *states: str) -> type[States] | None:
    """What these are states of: the subject, or what belongs to it, such as the request of a plan."""
    own = model_of(kind)
    models = [*([own] if own else []), *models_by_table().values()]
    known = (model.states for model in models if issubclass(model, Stateful))
    return next((one for one in known if set(states) <= set(one.values)), None)


def _move(kind: str, was: str, now: str) -> str:
    known = _states_of(kind, was, now)
    return " → ".join(str(known(state).label) if known else state.replace("_", " ") for state in (was, now))


def _happening(entry: Entry) -> Happening:
    content = entry.content
    was, now = (content["before"] or {}).get("status"), (content["after"] or {}).get("status")
    return Happening(
        at=entry.at,
        actor=actor_text(entry.actor_kind, entry.actor_name),
        verb=verb_label(entry.verb),
        move=_move(entry.subject_kind, was, now) if was and now and was != now else "",
        detail=_details[entry.verb](content["after"]) if entry.verb in _details and content["after"] else "",
        reason=content["reason"],
        url=display.row_url(entry) if opens(Entry, entry.pk) else "",
    )


def timeline(request: HttpRequest, entries: Iterable[Entry], *, more: Link | None = None) -> Fragment:
    """The newest of these entries; each leads to its page where the viewer may see the journal."""
    linked = admin.site._registry[Entry].has_view_permission(request)
    happenings = [_happening(entry) for entry in list(entries)[:SHOWN_ON_PAGES]]
    return Fragment(
        "console/sections/timeline.html",
        _("Journal"),
        {"happenings": happenings},
        more=more if linked else None,
    )


def all_entries_of(kind: str, subject_id: str | int | UUID) -> Link:
    """The list of the journal, narrowed to a subject."""
    return Link(display.list_url(Entry, subject_kind=kind, subject_id=subject_id), _("All entries"))
