"""Bringing payouts in by a file that is sent up: all of it or nothing, with every bad line named."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, cast

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.text import format_lazy
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, done
from opsconsole.core.idempotency import Answer
from opsconsole.core.lines import GZIP, BadLine
from opsconsole.core.texts import Text
from opsconsole.treasury.errors import ImportRefused
from opsconsole.treasury.models import Payout
from opsconsole.treasury.payouts.facts import COLUMNS
from opsconsole.treasury.payouts.files import GoodLine, read_payouts
from opsconsole.treasury.services import imports
from opsconsole.treasury.services.imports import Totals

MOST_BYTES: Final = 50 * 1024 * 1024
SHOWN: Final = 50


class ImportForm(ActionForm):
    """The file."""

    file = forms.FileField(
        label=_("File"),
        help_text=format_lazy(
            _("CSV in UTF-8, plain or gzip, at most 50 MB, with the columns {columns}; merchant may be left out."),
            columns=", ".join(COLUMNS),
        ),
        widget=forms.FileInput({"accept": ".csv,.gz,text/csv,application/gzip"}),
    )

    def clean_file(self) -> UploadedFile[Any]:
        """The file, if it is not too large."""
        file = cast("UploadedFile[Any]", self.cleaned_data["file"])
        if (file.size or 0) > MOST_BYTES:
            raise forms.ValidationError(_("The file is larger than 50 MB; use manage.py import_payouts."))
        return file


class ImportPayouts(Action[None]):
    """Load a file, whole or not at all."""

    name = "import"
    label = _("Import payouts")
    icon = "upload_file"
    tone = "primary"
    permission = imports.PERMISSION
    form = ImportForm

    def question(self, _row: None) -> Text:
        """What is loaded."""
        return _(
            "Load payouts from a file? Lines that are there already are left alone; if any line is bad, nothing is"
            " loaded and each bad line is named."
        )

    def perform(self, press: Press[None]) -> Answer:
        """Load it."""
        bad: list[BadLine] = []
        file = cast("UploadedFile[Any]", press.data["file"])
        try:
            return imports.import_payouts_whole.once(
                press.key,
                _said,
                lines=_lines(file),
                file_name=file.name or "",
                on_bad=bad.append,
                on_progress=lambda _totals: None,
                actor=press.actor,
            )
        except ImportRefused as error:
            told: list[Text] = [line.told for line in bad[:SHOWN]]
            if len(bad) > SHOWN:
                told.append(now_("… and %(count)s more.") % {"count": display.number(len(bad) - SHOWN)})
            raise ImportRefused(error.told, errors={"file": told}) from error


def _lines(file: Any) -> Iterator[GoodLine | BadLine]:
    file.seek(0)
    raw = cast(BinaryIO, file.file)
    start = raw.read(len(GZIP))
    raw.seek(0)
    if start != GZIP:
        yield from read_payouts(raw)
        return
    with gzip.GzipFile(fileobj=raw) as unpacked:
        yield from read_payouts(unpacked)


def _said(totals: Totals) -> Answer:
    message = now_("%(loaded)s payouts loaded (%(sums)s), %(known)s were there already.") % {
        "loaded": display.number(totals.loaded),
        "sums": display.sums_as_text(totals.sums),
        "known": display.number(totals.known),
    }
    return done(message, to=display.list_url(Payout))
