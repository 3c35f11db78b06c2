"""Backups: the button that has one made, how far it is, and what was proven of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.backups import access, figures
from opsconsole.backups.models import Backup
from opsconsole.backups.services import backups
from opsconsole.backups.services.backups import MAX_REASON
from opsconsole.backups.states import LIVE, BackupState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, then
from opsconsole.core.admin.bars import Share
from opsconsole.core.admin.base import ConsoleAdmin, View
from opsconsole.core.admin.filters import Since
from opsconsole.core.admin.pages import Column, Facts, Figures, Notice, Section, Table
from opsconsole.core.admin.progress import progress_answer, progress_card
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of

# Writing is half of the way, restoring the other.
WAY: Final = {BackupState.QUEUED: 0, BackupState.DUMPING: 0, BackupState.CHECKING: 50}
HALF: Final = 50
PROGRESS: Final = "console/backups/inside.html"
LONG: Final = 40  # letters of what can only be a hash


class BackupForm(ActionForm):
    """Why, where there is something to say."""

    reason = forms.CharField(
        label=_("Reason"),
        help_text=_("For example the migration that comes next. It goes into the journal."),
        max_length=MAX_REASON,
        required=False,
        widget=forms.Textarea({"rows": 2}),
    )


class MakeBackup(Action[None]):
    """Have one made."""

    name = "make"
    label = _("Back up the database")
    icon = "backup"
    tone = "primary"
    permission = access.MAKE
    form = BackupForm

    def question(self, _row: None) -> Text:
        """What is done, and for how long."""
        return now_(
            "A worker writes the whole database into a file on the server, restores it once into a scratch database,"
            " and compares tables, rows and sums. Only then it is a backup. Nobody is kept from working meanwhile."
        )

    def perform(self, press: Press[None]) -> Answer:
        """Ask for it."""
        return backups.ask_for_backup.once(
            press.key,
            then(lambda _backup: now_("A worker makes the backup; this page shows how far it is."), display.row_url),
            reason=press.data["reason"],
            actor=press.actor,
        )


@admin.register(Backup)
class BackupAdmin(ConsoleAdmin[Backup]):
    """Backups, the newest first."""

    list_display = ("file", "state", "asked", "whose", "size", "contents", "took")
    nothing = _("There is no backup yet: have one made before the next migration.")
    list_filter = (Since.by("asked_at"), "status")
    ordering = ("-asked_at", "-id")
    search_fields = ("file_name", "sha256")

    def visible(self, actor: Actor) -> QuerySet[Backup]:
        """All, for those who may see any."""
        return access.visible_backups(actor)

    def list_actions(self) -> Sequence[Action[None]]:
        """A new one."""
        return (MakeBackup(),)

    def more_urls(self) -> dict[str, View]:
        """The progress alone, for the page that looks again."""
        return {"progress": self.progress_view}

    def progress_view(self, _request: HttpRequest, row: Backup) -> HttpResponse:
        """The progress alone; the header says whether to look again."""
        return progress_answer(PROGRESS, way_of(row), live=row.status in LIVE)

    # --- the list ---

    @admin.display(description=_("backup"))
    def file(self, backup: Backup) -> SafeString:
        """Its file, once somebody writes it; a narrow column breaks its name where a word of it ends."""
        return format_html_join(mark_safe("_<wbr>"), "{}", ((part,) for part in heading(backup).split("_")))

    @admin.display(description=_("state"))
    def state(self, backup: Backup) -> SafeString:
        """Its state."""
        return display.state_of(backup)

    @admin.display(description=_("asked"))
    def asked(self, backup: Backup) -> SafeString | str:
        """When it was asked for."""
        return display.moment(backup.asked_at)

    @admin.display(description=_("asked by"))
    def whose(self, backup: Backup) -> str:
        """Who asked for it."""
        return backup.asked_by

    @admin.display(description=_("size"))
    def size(self, backup: Backup) -> str:
        """How large the file is."""
        return _size(backup)

    @admin.display(description=_("rows"))
    def contents(self, backup: Backup) -> str:
        """How many rows are in it."""
        return display.number(backup.rows) if backup.counts else display.NOTHING

    @admin.display(description=_("took"))
    def took(self, backup: Backup) -> str:
        """How long it took, the trial restore included."""
        return _took(backup)

    # --- the page ---

    def heading(self, row: Backup) -> str:
        """Its file, or that there is none yet."""
        return heading(row)

    def badge(self, row: Backup) -> SafeString:
        """Its state."""
        return display.state_of(row)

    def sections(self, _request: HttpRequest, row: Backup) -> Sequence[Section]:
        """How far it is or why it failed, what it is, what is in it."""
        return [*_standing(row), *_figures(row), *_contents(row)]

    def side(self, _request: HttpRequest, row: Backup) -> Sequence[Section]:
        """Where it lies, who asked for it, and when."""
        return [
            Facts(
                _("Backup"),
                [
                    (_("asked by"), row.asked_by),
                    (_("reason"), row.reason or display.NOTHING),
                    (_("asked"), display.moment(row.asked_at)),
                    (_("begun"), display.moment(row.started_at)),
                    (_("ended"), display.moment(row.ended_at)),
                    *([(_("to be done by"), display.moment(row.deadline_at))] if row.status in LIVE else []),
                ],
            ),
            Facts(
                _("File"),
                [
                    (_("on"), row.host or display.NOTHING),
                    (_("folder"), row.directory or display.NOTHING),
                    (_("name"), display.copyable(row.file_name) if _is_good(row) else display.NOTHING),
                    (_("SHA-256"), display.copyable(row.sha256) if row.sha256 else display.NOTHING),
                    (_("PostgreSQL"), row.server_version or display.NOTHING),
                ],
            ),
        ]

    def foot(self, request: HttpRequest, row: Backup) -> Sequence[Section]:
        """What was written down of it."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(Backup._meta.db_table, row.pk))]


def heading(backup: Backup) -> str:
    """What a backup is called; only a good one has a file."""
    if backup.file_name:
        return backup.file_name
    return now_("Backup asked for by %(who)s") % {"who": backup.asked_by}


def way_of(row: Backup) -> dict[str, Any]:
    """How far it is, as the bar shows it."""
    through = WAY.get(BackupState(row.status), 2 * HALF)
    if row.steps_total and row.status in LIVE:
        through += min(HALF, HALF * row.steps_done // row.steps_total)
    return {
        "state": display.state_of(row),
        "done": row.steps_done,
        "total": row.steps_total if row.status in (BackupState.DUMPING, BackupState.CHECKING) else 0,
        "percent": through,
        "shares": [Share("succeeded", _("done"), row.steps_done, "0", str(through))] if through else [],
    }


def _is_good(row: Backup) -> bool:
    return row.status == BackupState.VERIFIED


def _size(row: Backup) -> str:
    return display.NOTHING if row.size_bytes is None else filesizeformat(row.size_bytes)


def _took(row: Backup) -> str:
    if row.duration is None:
        return display.NOTHING
    return display.duration(max(row.duration, timedelta(seconds=1)))


def _told(value: str) -> SafeString | str:
    """A figure: numbers as such, the hash in one by its beginning."""
    return format_html_join(" ", "{}", ((_word(word),) for word in value.split()))


def _word(word: str) -> SafeString | str:
    number = word.removesuffix(",")
    if number.isdecimal():
        return display.number(int(number)) + word[len(number) :]
    if re.fullmatch(r"-?[0-9]+\.[0-9]+", number):
        return display.amount(number) + word[len(number) :]
    return display.short(word) if len(word) > LONG else word


def _standing(row: Backup) -> list[Section]:
    match row.state:
        case BackupState.VERIFIED:
            said = _("Restored once into a scratch database: every table, row and sum came out as it went in.")
            return [Notice(said, "good")]
        case BackupState.FAILED:
            return [
                Notice(row.error, "bad", _("It failed")),
                Notice(_("It is no backup: mend what is said above, and have another one made."), "warn"),
            ]
        case _:
            live_url = reverse("admin:backups_backup_progress", args=[row.pk])
            waits = row.status == BackupState.QUEUED
            said = _("It waits for a worker of the queue “backups”.")
            return [
                *([Notice(said, "info")] if waits else []),
                progress_card(_("Progress"), PROGRESS, way_of(row), live_url=live_url),
            ]


def _figures(row: Backup) -> list[Section]:
    if not row.counts:
        return []
    return [
        Figures(
            _("Figures"),
            [
                (_("size"), _size(row), ""),
                (_("tables"), display.number(row.tables), ""),
                (_("rows"), display.number(row.rows), ""),
                (_("took"), _took(row), ""),
            ],
        )
    ]


def _contents(row: Backup) -> list[Section]:
    if not row.counts:
        return []
    sums = [(figures.label_of(name), _told(value)) for name, value in sorted(row.figures.items())]
    largest = sorted(row.counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [
        Facts(_("The same in the database and in its copy"), sums),
        Table(
            _("Rows by table"),
            [_("table"), Column(_("rows"), right=True)],
            [[display.code(name), display.number(count)] for name, count in largest],
        ),
    ]
