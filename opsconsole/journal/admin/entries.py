"""Journal entries: the explorer, and each entry with its change and its proof."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, Button
from opsconsole.core.admin.base import ConsoleAdmin, Tab, View, actor_of
from opsconsole.core.admin.pages import Facts, Link, Notice, Section
from opsconsole.core.admin.paging import NarrowList
from opsconsole.core.errors import DomainError
from opsconsole.core.models import User
from opsconsole.journal import keys, merkle, proofs, selectors
from opsconsole.journal.admin.exporting import (
    EXPORTS_SHOWN,
    DownloadExport,
    ExportEntries,
    export_url,
    exports_table,
)
from opsconsole.journal.admin.filters import Narrowed, form_of
from opsconsole.journal.admin.timeline import (
    actor_text,
    change_table,
    names_of,
    subject_link,
    subject_text,
    verb_label,
)
from opsconsole.journal.admin.verbs import DIRECT_SQL, words_of
from opsconsole.journal.errors import NotSealed
from opsconsole.journal.models import Entry
from opsconsole.journal.narrowing import subject_kinds
from opsconsole.journal.notes import BadNote, TreeHead, open_note

REASON_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Whether an entry is in the signed tree, checked now from its stored bytes."""

    tone: str
    text: str
    index: int | None = None
    size: int | None = None


def inclusion_of(entry: Entry) -> Inclusion:
    """Hash the entry's bytes, walk its path, and hold the root against the signed checkpoint."""
    try:
        proof = proofs.prove_entry(entry)
        head = TreeHead.parse(open_note(proof["checkpoint"], keys.trusted()))
    except NotSealed:
        return Inclusion("warn", now_("Not sealed yet: the sealer gives it its place within a second or two."))
    except DomainError as error:
        return Inclusion("bad", str(error.told))
    except BadNote as error:
        return Inclusion("bad", now_("The note does not verify: %(error)s.") % {"error": error.told})
    path = [base64.b64decode(node) for node in proof["audit_path"]]
    index, size = proof["leaf_index"], proof["tree_size"]
    if head.size == size and merkle.verify_inclusion(
        merkle.leaf_hash(entry.body.encode()), index, size, path, head.root
    ):
        return Inclusion("good", now_("In the signed tree: the proof verifies."), index, size)
    return Inclusion("bad", now_("The entry does not hash to what was signed: it was changed."), index, size)


class EntryList(NarrowList):
    """A page of entries, each with the name of what it is about."""

    def get_results(self, request: HttpRequest) -> None:
        """The page, and the names of all its subjects at once."""
        super().get_results(request)
        entries = list(self.result_list)
        names = names_of(request, ((entry.subject_kind, entry.subject_id) for entry in entries))
        for entry in entries:
            entry.subject_name = names.get((entry.subject_kind, entry.subject_id), "")
        self.result_list = entries


@admin.register(Entry)
class EntryAdmin(ConsoleAdmin[Entry]):
    """What happened, newest first."""

    list_display = ("number", "when", "who", "what", "about", "why")
    list_filter = (Narrowed,)
    list_filter_submit = True
    ordering = selectors.NEWEST_FIRST
    search_fields = ("verb",)
    search_help_text = _("A verb, a user, or the id of an entry or a subject, in full")

    row_actions = (DownloadExport(),)

    def list_actions(self) -> Sequence[Action[None]]:
        """Take them away."""
        return [ExportEntries()]

    def tabs(self, request: HttpRequest) -> Sequence[Tab]:
        """Everything, what no operation made, what left the house."""
        here = request.path == self._list_url()
        verb = request.GET.get("verb", "")
        return [
            Tab(_("All entries"), self._list_url(), here and not verb),
            Tab(_("Direct SQL"), f"{self._list_url()}?verb={DIRECT_SQL}", here and verb == DIRECT_SQL),
            Tab(_("Exports"), self._exports_url(), request.path == self._exports_url()),
        ]

    def get_urls(self) -> list[URLPattern]:
        """The exports besides."""
        return [self._url("exports/", "exports", self.exports_view), *super().get_urls()]

    def _list_url(self) -> str:
        return reverse(f"{self.admin_site.name}:journal_entry_changelist")

    def _exports_url(self) -> str:
        return reverse(f"{self.admin_site.name}:journal_entry_exports")

    def _list_buttons(self, request: HttpRequest) -> list[Button]:
        """The form of an export begins with what the list is narrowed by."""
        narrowed = form_of(request).narrowing()
        return [replace(one, url=export_url(narrowed, one.url)) for one in super()._list_buttons(request)]

    @method_decorator(require_safe)
    def exports_view(self, request: HttpRequest) -> HttpResponse:
        """Every export there was, with the digests of the files that are kept."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        actor = actor_of(request)
        known = selectors.exports(actor=actor)
        before = request.GET.get("before", "")
        if before.isdigit():
            known = known.filter(seq__lt=int(before[:18]))
        page = list(known[: EXPORTS_SHOWN + 1])
        more = None
        if len(page) > EXPORTS_SHOWN:
            page.pop()
            more = Link(f"{self._exports_url()}?before={page[-1].seq}", _("Older exports"))
        context = {
            "heading": _("Exports"),
            "tabs": self.tabs(request),
            "buttons": self._list_buttons(request),
            "sections": [exports_table(page, actor, more=more)],
        }
        return self._render(request, self.detail_template, None, context)

    def visible(self, actor: Actor) -> QuerySet[Entry]:
        """The entries the actor may see."""
        return selectors.entries(actor=actor).defer("leaf")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[EntryList]:  # noqa: ARG002 - Django's form
        """The list that knows the names of subjects."""
        return EntryList

    def find(self, rows: QuerySet[Entry], words: str) -> QuerySet[Entry]:
        """What an index finds: an id, a verb, an actor."""
        known = [str(pk) for pk in User.objects.filter(username=words).values_list("pk", flat=True)]
        wanted = Q(verb=words) | Q(actor_id__in=[words, *known])
        wanted |= Q(subject_kind__in=subject_kinds(), subject_id=words)
        if display.UUID_FORM.fullmatch(words):
            wanted |= Q(pk=words)
        return rows.filter(wanted)

    @admin.display(description="#")
    def number(self, entry: Entry) -> str:
        """Its number."""
        return display.number(entry.seq)

    @admin.display(description=_("time"))
    def when(self, entry: Entry) -> SafeString | str:
        """When."""
        return display.moment(entry.at)

    @admin.display(description=_("who"))
    def who(self, entry: Entry) -> str:
        """Who did it."""
        return actor_text(entry.actor_kind, entry.actor_name)

    @admin.display(description=_("what"))
    def what(self, entry: Entry) -> SafeString | str:
        """What was done."""
        return verb_label(entry.verb)

    @admin.display(description=_("to what"))
    def about(self, entry: Entry) -> SafeString:
        """What it was done to."""
        named = getattr(entry, "subject_name", "") or display.short_id(entry.subject_id)
        return format_html('<span title="{}">{}</span>', entry.subject_id, subject_text(entry.subject_kind, named))

    @admin.display(description=_("why"))
    def why(self, entry: Entry) -> str:
        """The reason that was given."""
        reason = str(entry.content["reason"]) or display.NOTHING
        return reason if len(reason) <= REASON_SHOWN else f"{reason[:REASON_SHOWN]}…"

    def heading(self, row: Entry) -> str:
        """What was done."""
        return words_of(row.verb)

    def badge(self, row: Entry) -> SafeString:
        """The number of the entry."""
        return display.label(f"#{row.seq}")

    def sections(self, request: HttpRequest, row: Entry) -> Sequence[Section]:
        """Who, what, the change."""
        content = row.content
        return [
            Facts(
                _("Entry"),
                [
                    (_("time"), display.moment(row.at)),
                    (_("who"), actor_text(row.actor_kind, row.actor_name)),
                    (_("actor id"), display.code(row.actor_id)),
                    (_("what"), verb_label(row.verb)),
                    (_("to what"), subject_link(request, row.subject_kind, row.subject_id)),
                    (_("why"), content["reason"] or display.NOTHING),
                    (_("request id"), display.code(content["request_id"])),
                ],
                more=Link(
                    display.list_url(Entry, subject_kind=row.subject_kind, subject_id=row.subject_id),
                    _("Everything about this subject"),
                ),
            ),
            change_table(content["before"], content["after"]),
        ]

    def side(self, _request: HttpRequest, row: Entry) -> Sequence[Section]:
        """The proof."""
        found = inclusion_of(row)
        facts: list[tuple[Any, Any]] = [(_("leaf hash"), display.short(bytes(row.leaf).hex()))]
        if found.index is not None and found.size is not None:
            facts += [
                (_("leaf index"), display.number(found.index)),
                (_("checkpoint of"), _("%(size)s entries") % {"size": display.number(found.size)}),
            ]
        more = Link(reverse("admin:journal_entry_proof", args=[row.pk]), _("Download the proof (JSON)"))
        return [
            Notice(found.text, found.tone, _("Proof")),
            Facts(_("Place in the tree"), facts, more=more if found.index is not None else None),
        ]

    def more_urls(self) -> dict[str, View]:
        """The proof as a file."""
        return {"proof": self.proof_view}

    def proof_view(self, request: HttpRequest, row: Entry) -> HttpResponse:
        """What `tools/verify_journal.py proof` checks offline; 409 while the entry is not sealed."""
        try:
            proof = proofs.prove_entry(selectors.entry(entry_id=row.pk, actor=actor_of(request)))
        except DomainError as error:
            return HttpResponse(str(error.told), status=error.status, content_type="text/plain; charset=utf-8")
        return HttpResponse(
            json.dumps(proof, indent=2, ensure_ascii=False),
            content_type="application/json",
            headers={"Content-Disposition": f'attachment; filename="journal-{row.seq}.proof.json"'},
        )
