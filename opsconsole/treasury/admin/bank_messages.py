"""Files of banks: what each said, line by line, what did not match, and taking another one in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO, Final, cast

from django import forms
from django.contrib import admin
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, done
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Column, Facts, Figures, Section, Table
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.treasury import access
from opsconsole.treasury.models import Account, BankFile, BankLine, Break, StatedBalance
from opsconsole.treasury.services import bank_files
from opsconsole.treasury.states import LineVerdict

MOST_BYTES: Final = 50 * 1024 * 1024
SHOWN: Final = 200
_TONES: Final = {
    LineVerdict.SETTLED: "good",
    LineVerdict.FAILED: "bad",
    LineVerdict.RETURNED: "warn",
    LineVerdict.BREAK: "bad",
    LineVerdict.PENDING: "info",
}


class ImportForm(ActionForm):
    """The file."""

    file = forms.FileField(
        label=_("File"),
        help_text=_("A pain.002, camt.053 or camt.054 in XML, at most 50 MB."),
        widget=forms.FileInput({"accept": ".xml,text/xml,application/xml"}),
    )

    def clean_file(self) -> UploadedFile[Any]:
        """The file, if it is not too large."""
        file = cast("UploadedFile[Any]", self.cleaned_data["file"])
        if (file.size or 0) > MOST_BYTES:
            raise forms.ValidationError(_("The file is larger than 50 MB; use manage.py import_bank_file."))
        return file


class ImportBankFile(Action[None]):
    """Take a file of a bank in."""

    name = "import"
    label = _("Import a bank file")
    icon = "upload_file"
    tone = "primary"
    permission = bank_files.PERMISSION
    form = ImportForm

    def question(self, _row: None) -> Text:
        """What follows from it."""
        return _(
            "Take in what a bank reports? Payouts and sweeps settle, fail or come back by it. A file that is there"
            " already adds nothing; what does not match is listed as a break."
        )

    def perform(self, press: Press[None]) -> Answer:
        """Take it in; the digest of the file makes a repetition harmless."""
        uploaded = cast("UploadedFile[Any]", press.data["file"])
        file, new = bank_files.import_bank_file(
            stream=cast(BinaryIO, uploaded.file), name=uploaded.name or "", actor=press.actor
        )
        return done(
            _said(file) if new else now_("This file was imported before: here it is."), to=display.row_url(file)
        )


def _said(file: BankFile) -> str:
    facts = {
        "lines": display.number(file.lines_read),
        "settled": display.number(file.settled),
        "failed": display.number(file.failed),
        "returned": display.number(file.returned),
        "breaks": display.number(file.breaks),
    }
    return (
        ngettext(
            "%(lines)s line: %(settled)s settled, %(failed)s failed, %(returned)s returned, %(breaks)s breaks.",
            "%(lines)s lines: %(settled)s settled, %(failed)s failed, %(returned)s returned, %(breaks)s breaks.",
            file.lines_read,
        )
        % facts
    )


@admin.register(BankFile)
class BankFileAdmin(ConsoleAdmin[BankFile]):
    """Files, the newest first."""

    list_display = ("name", "schema", "state", "lines_read", "settled", "failed", "returned", "breaks", "received")
    nothing = _("No bank has reported yet: import a file, or let the console fetch it from the bank's folder.")
    list_filter = ("status",)
    ordering = ("-created_at", "-id")
    search_fields = ("digest",)
    search_help_text = _("The SHA-256 of a file")

    def visible(self, actor: Actor) -> QuerySet[BankFile]:
        """The files the actor may see."""
        return access.visible_bank_files(actor)

    def list_actions(self) -> Sequence[Action[None]]:
        """Take another one in."""
        return (ImportBankFile(),)

    @admin.display(description=_("state"))
    def state(self, file: BankFile) -> SafeString:
        """Its state."""
        return display.state_of(file)

    @admin.display(description=_("received"))
    def received(self, file: BankFile) -> SafeString | str:
        """When it came."""
        return display.moment(file.created_at)

    def badge(self, row: BankFile) -> SafeString:
        """Its state."""
        return display.state_of(row)

    def sections(self, _request: HttpRequest, row: BankFile) -> Sequence[Section]:
        """The counts, the breaks, the lines."""
        counts = [(verdict.label, verdict) for verdict in LineVerdict]
        fields = ("settled", "failed", "returned", "already", "pending", "breaks")
        return [
            Figures(
                _("What came of it"),
                [
                    (label, display.number(getattr(row, name)), "")
                    for (label, _verdict), name in zip(counts, fields, strict=True)
                ],
            ),
            balances_table(row.balances.select_related("account").order_by("as_of"), of_one_file=True),
            breaks_table(Break.objects.filter(file=row).select_related("line").order_by("line__number")),
        ]

    def side(self, _request: HttpRequest, row: BankFile) -> Sequence[Section]:
        """What it is."""
        return [
            Facts(
                _("File"),
                [
                    (_("message"), row.schema),
                    (_("message id"), display.code(row.message_id)),
                    (_("SHA-256"), display.short(row.digest)),
                    (_("bytes"), display.number(row.size)),
                    (_("lines"), display.number(row.lines_read)),
                    (_("imported by"), row.imported_by),
                    (_("received"), display.moment(row.created_at)),
                    (_("imported"), display.moment(row.finished_at)),
                ],
            )
        ]

    def foot(self, request: HttpRequest, row: BankFile) -> Sequence[Section]:
        """Its lines, and what was done with it."""
        more = all_entries_of(BankFile._meta.db_table, row.pk)
        lines = lines_table(row.lines.order_by("number"), of_one_file=True)
        return [lines, timeline(request, entries_of(row)[:SHOWN_ON_PAGES], more=more)]


def lines_of(lines: QuerySet[BankLine]) -> Table:
    """What the lines of bank files said of a payment."""
    return lines_table(lines.select_related("file"), of_one_file=False)


def lines_table(lines: QuerySet[BankLine], *, of_one_file: bool) -> Table:
    """Lines of bank files, and what came of each."""
    return Table(
        _("What banks said"),
        [
            *([] if of_one_file else [_("file")]),
            Column(_("line"), right=True),
            _("reference"),
            _("account"),
            Column(_("amount"), right=True),
            _("said"),
            _("what came of it"),
            _("detail"),
        ],
        [
            [
                *([] if of_one_file else [display.row_link(line.file)]),
                display.number(line.number),
                display.short(line.reference),
                display.code(line.account),
                display.NOTHING if line.amount is None else display.money(line.amount, line.currency),
                " ".join(part for part in (line.direction, line.said, line.reason) if part),
                display.label(LineVerdict(line.verdict).label, _TONES.get(LineVerdict(line.verdict), "plain")),
                line.detail or display.NOTHING,
            ]
            for line in lines[:SHOWN]
        ],
        empty=_("Nothing yet."),
        note=now_("The first %(count)s.") % {"count": SHOWN} if lines[SHOWN : SHOWN + 1].exists() else "",
    )


def breaks_table(breaks: QuerySet[Break]) -> Table:
    """What did not match in a file."""
    return Table(
        _("Breaks"),
        [Column(_("line"), right=True), _("what"), _("why"), _("state")],
        [
            [
                display.number(one.line.number),
                display.row_link(one, one.get_reason_display()),
                one.detail,
                display.state_of(one),
            ]
            for one in breaks[:SHOWN]
        ],
        empty=_("None."),
        note=now_("The first %(count)s.") % {"count": SHOWN} if breaks[SHOWN : SHOWN + 1].exists() else "",
    )


def balances_table(balances: QuerySet[StatedBalance], *, of_one_file: bool) -> Table:
    """What banks say is on accounts, beside what the ledger expects: of a file, or of an account."""
    return Table(
        _("Stated balances"),
        [
            _("account") if of_one_file else _("file"),
            _("at"),
            Column(_("stated by the bank"), right=True),
            Column(_("expected by the ledger"), right=True),
            Column(_("difference"), right=True),
        ],
        [
            [
                display.row_link(one.account if of_one_file else one.file),
                display.moment(one.as_of),
                display.money(one.stated, one.account.currency),
                display.money(one.expected, one.account.currency),
                display.money(one.difference, one.account.currency),
            ]
            for one in balances[:SHOWN]
        ],
        empty=_("No statement has told a balance."),
    )


def balances_of(account: Account) -> Table:
    """The last balances that the bank has stated of an account."""
    last = account.stated.select_related("account", "file").order_by("-as_of", "-id")[:5]
    return balances_table(last, of_one_file=False)
