"""Signed checkpoints of the journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Facts, Fragment, Notice, Section
from opsconsole.core.errors import DomainError
from opsconsole.journal import keys, merkle, proofs
from opsconsole.journal.models import Checkpoint
from opsconsole.journal.notes import BadNote, TreeHead, open_note


def signature_of(checkpoint: Checkpoint) -> Notice:
    """Whether a key we trust has signed just this size and root."""
    title = now_("Signature")
    try:
        head = TreeHead.parse(open_note(checkpoint.note, keys.trusted()))
    except BadNote as error:
        return Notice(now_("The note does not verify: %(error)s.") % {"error": error.told}, "bad", title)
    if (head.size, head.root) != (checkpoint.size, bytes(checkpoint.root)):
        return Notice(now_("The note is signed, and says something else than this row."), "bad", title)
    return Notice(now_("Signed by a key that this console trusts."), "good", title)


def growth_of(checkpoint: Checkpoint) -> Notice:
    """Whether this tree only appended to the one that was signed before, proven now from the stored hashes."""
    title = now_("Since the checkpoint before")
    before = Checkpoint.objects.filter(size__lt=checkpoint.size).order_by("-size").first()
    if before is None:
        return Notice(now_("It is the first there is."), "info", title)
    named = {"size": display.number(before.size), "more": display.number(checkpoint.size - before.size)}
    try:
        path = merkle.consistency_path(before.size, checkpoint.size, proofs.perfect_hash)
    except DomainError as error:
        return Notice(error.told, "bad", title)
    if merkle.verify_consistency(before.size, checkpoint.size, path, bytes(before.root), bytes(checkpoint.root)):
        text = ngettext(
            "Consistent: %(more)s entry was added to those of the checkpoint of %(size)s, none was changed.",
            "Consistent: %(more)s entries were added to those of the checkpoint of %(size)s, none was changed.",
            checkpoint.size - before.size,
        )
        return Notice(text % named, "good", title)
    text = now_("Not consistent: it does not continue the checkpoint of %(size)s entries.")
    return Notice(text % named, "bad", title)


@admin.register(Checkpoint)
class CheckpointAdmin(ConsoleAdmin[Checkpoint]):
    """Signed statements of how many entries there are and what they hash to."""

    list_display = ("entries", "root_hash", "when")
    ordering = ("-size",)

    def visible(self, actor: Actor) -> QuerySet[Checkpoint]:
        """All, for those who may see the journal."""
        actor.require("journal.view_entry")
        return Checkpoint.objects.all()

    @admin.display(description=_("entries"))
    def entries(self, checkpoint: Checkpoint) -> str:
        """How many entries it covers."""
        return display.number(checkpoint.size)

    @admin.display(description=_("root"))
    def root_hash(self, checkpoint: Checkpoint) -> SafeString | str:
        """What they hash to."""
        return display.short(bytes(checkpoint.root).hex())

    @admin.display(description=_("signed"))
    def when(self, checkpoint: Checkpoint) -> SafeString | str:
        """When it was signed."""
        return display.moment(checkpoint.at)

    def heading(self, row: Checkpoint) -> str:
        """Its size."""
        return now_("Checkpoint of %(size)s entries") % {"size": display.number(row.size)}

    def sections(self, _request: HttpRequest, row: Checkpoint) -> Sequence[Section]:
        """What it says, and the note itself."""
        before = Checkpoint.objects.filter(size__lt=row.size).order_by("-size").first()
        after = Checkpoint.objects.filter(size__gt=row.size).order_by("size").first()
        rows: list[tuple[Any, Any]] = [
            (_("entries"), display.number(row.size)),
            (_("root"), display.code(bytes(row.root).hex())),
            (_("signed"), display.moment(row.at)),
            (_("the one before"), _named(before)),
            (_("the next"), _named(after)),
        ]
        return [
            signature_of(row),
            growth_of(row),
            Facts(_("Checkpoint"), rows),
            Fragment("console/sections/text.html", _("Signed note"), {"text": row.note}),
        ]


def _named(checkpoint: Checkpoint | None) -> SafeString | str:
    if checkpoint is None:
        return display.NOTHING
    return display.row_link(checkpoint, now_("%(size)s entries") % {"size": display.number(checkpoint.size)})
