"""Taking entries away: the filtered stretch as a file, and the files of exports that were stored before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.http import FileResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press
from opsconsole.core.admin.pages import Column, Link, Section, Table
from opsconsole.core.texts import Text
from opsconsole.journal import downloads, services
from opsconsole.journal.admin.filters import HTML_TIME, NarrowingFields
from opsconsole.journal.errors import FileGone
from opsconsole.journal.models import Entry
from opsconsole.journal.narrowing import Narrowing
from opsconsole.journal.outcomes import EXPORTED

PERMISSION: Final = "journal.export_journal"
EXPORTS_SHOWN: Final = 50


class ExportForm(NarrowingFields, ActionForm):
    """Which entries, and in which form."""

    form = forms.ChoiceField(
        label=_("Form"),
        choices=[
            ("csv", _("CSV: a table, with the exact record in its last column")),
            ("jsonl", _("JSONL: a line for each entry, for programs")),
            ("xlsx", _("XLSX: a workbook for Excel or LibreOffice")),
        ],
        initial="csv",
        widget=forms.RadioSelect,
    )
    field_order = ("form", "since", "until")


class ExportEntries(Action[None]):
    """Take the entries of a stretch of time away as a file."""

    name = "export"
    label = _("Export")
    icon = "download"
    permission = PERMISSION
    form = ExportForm
    downloads = True

    def allowed(self, actor: Actor, _row: None) -> bool:
        """Who may see entries, and take them away."""
        return actor.may("journal.view_entry") and actor.may(PERMISSION)

    def question(self, _row: None) -> Text:
        """What the file is, and that it is told."""
        return now_(
            "Up to %(most)s sealed entries (%(rows)s as XLSX), in the order of the tree. CSV and JSONL of nothing but"
            " a stretch of time end with the proof that tools/verify_journal.py checks. That you took them goes into"
            " the journal."
        ) % {"most": display.number(downloads.MOST["csv"]), "rows": display.number(downloads.MOST["xlsx"])}

    def perform(self, press: Press[None]) -> FileResponse:
        """Write the file, say so in the journal, and only then send it."""
        narrowed = Narrowing(
            **{name: press.data[name] for name in ("since", "until", "actor", "verb", "subject_kind", "subject_id")}
        )
        written = downloads.take_away(narrowed, press.data["form"], actor=press.actor)
        return FileResponse(written.file, as_attachment=True, filename=written.name, content_type=written.content_type)


class DownloadExport(Action[Entry]):
    """Take the file of an earlier export away."""

    name = "download"
    label = _("Download the file")
    icon = "download"
    permission = PERMISSION
    downloads = True

    def offered(self, _actor: Actor, row: Entry) -> bool:
        """Where the entry tells of a stored file."""
        return bool(stored(row))

    def question(self, row: Entry) -> Text:
        """Which file, and that it is told."""
        facts = stored(row)
        if not facts:
            return _("This entry tells of no stored file.")
        return now_("%(file)s: %(count)s entries. That you took it goes into the journal.") % {
            "file": facts["file"],
            "count": display.number(facts["entries"]),
        }

    def obstacle(self, _actor: Actor, row: Entry) -> Text:
        """Nothing to take."""
        return "" if stored(row) else _("There is nothing to download.")

    def perform(self, press: Press[Entry]) -> FileResponse:
        """Hold the file against its digest, say so in the journal, and only then send it."""
        facts = stored(press.row)
        if not facts:
            raise FileGone(_("This entry tells of no stored file."))
        file = downloads.stored_file(facts["file"], facts["sha256"])
        services.record_export(
            since=facts["since"],
            until=facts["until"],
            form=facts["format"],
            entries=facts["entries"],
            sha256=facts["sha256"],
            copy_of=facts["file"],
            actor=press.actor,
        )
        name = str(facts["file"]).rsplit("/", 1)[-1]
        return FileResponse(file, as_attachment=True, filename=name, content_type="application/x-ndjson")


def stored(entry: Entry) -> dict[str, Any]:
    """What the entry says of a file in the storage; nothing where it tells of none."""
    if entry.verb != EXPORTED:
        return {}
    facts = entry.content["after"] or {}
    return dict(facts) if facts.get("file") else {}


def export_url(narrowed: Narrowing, page: str) -> str:
    """The form of an export that begins with what the list is narrowed by."""
    known = {name: at.strftime(HTML_TIME) for name in ("since", "until") if (at := getattr(narrowed, name))}
    filled = urlencode(known | narrowed.facts())
    return f"{page}?{filled}" if filled else page


def exports_table(entries: Iterable[Entry], actor: Actor, *, more: Link | None) -> Section:
    """Exports, the newest first: what each held, what it hashes to, who has it, and where it can be taken."""
    rows: list[list[Any]] = []
    for entry in entries:
        facts = entry.content["after"] or {}
        file = str(facts.get("file") or facts.get("copy_of") or "")
        take: Any = display.NOTHING
        if facts.get("file") and actor.may(PERMISSION):
            take = display.link(reverse(f"{admin.site.name}:journal_entry_download", args=[entry.pk]), _("Download"))
        rows.append(
            [
                display.row_link(entry, display.number(entry.seq)),
                display.moment(entry.at),
                entry.actor_name,
                _stretch(facts),
                facts.get("format", ""),
                display.number(int(facts.get("entries", 0))),
                display.copyable(str(facts.get("sha256", "")), str(facts.get("sha256", ""))[:12] + "…")
                if facts.get("sha256")
                else display.NOTHING,
                file.rsplit("/", 1)[-1] or display.NOTHING,
                take,
            ]
        )
    return Table(
        _("Exports of the journal"),
        [
            _("entry"),
            _("at"),
            _("by"),
            _("stretch"),
            _("form"),
            Column(_("entries"), right=True),
            _("SHA-256"),
            _("file"),
            "",
        ],
        rows,
        empty=_("Nothing has been exported yet."),
        note=_(
            "Each day that is over is exported by itself, complete and with its proof; what people took away is listed"
            " too, though its file is not kept."
        ),
        more=more,
    )


def _stretch(facts: dict[str, Any]) -> Text:
    since, until = (str(facts.get(name) or "")[:16].replace("T", " ") for name in ("since", "until"))
    if not since and not until:
        return _("everything")
    return f"{since or '…'} – {until or '…'}"
