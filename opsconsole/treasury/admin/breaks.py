"""Breaks: what banks say and our records do not, and the button that closes one."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, Press, ReasonForm, then
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Facts, Notice, Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.treasury import access
from opsconsole.treasury.models import Break
from opsconsole.treasury.services import breaks
from opsconsole.treasury.states import BreakState


class ResolveBreak(Action[Break]):
    """Say what it was."""

    name = "resolve"
    label = _("Resolve")
    icon = "task_alt"
    tone = "primary"
    permission = "treasury.resolve_break"
    form = ReasonForm

    def offered(self, _actor: Actor, row: Break) -> bool:
        """While it is open."""
        return row.status == BreakState.OPEN

    def question(self, _row: Break) -> Text:
        """What it changes."""
        return _("Close this break? Say what was found out. Nothing is booked by this: a correction is a transfer.")

    def sections(self, _actor: Actor, row: Break) -> Sequence[Section]:
        """What the bank said."""
        return [line_facts(row)]

    def perform(self, press: Press[Break]) -> Answer:
        """Close it."""
        return breaks.resolve_break.once(
            press.key,
            then(lambda _break: now_("The break is resolved."), display.row_url),
            break_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


@admin.register(Break)
class BreakAdmin(ConsoleAdmin[Break]):
    """Breaks, the newest first."""

    list_display = ("what", "state", "reference", "why", "of_file", "found")
    nothing = _("Every line of every bank file has found its payment.")
    list_filter = ("status", "reason")
    list_select_related = ("line", "file")
    ordering = ("-id",)
    search_fields = ("line__reference",)
    search_help_text = _("A reference in full")
    row_actions = (ResolveBreak(),)

    def visible(self, actor: Actor) -> QuerySet[Break]:
        """The breaks the actor may see."""
        return access.visible_breaks(actor)

    def find(self, rows: QuerySet[Break], words: str) -> QuerySet[Break]:
        """What the reference is."""
        return rows.filter(line__reference=words)

    def heading(self, row: Break) -> str:
        """What kind it is."""
        return str(row.get_reason_display())

    @admin.display(description=_("what"))
    def what(self, found: Break) -> str:
        """What kind it is."""
        return str(found.get_reason_display())

    @admin.display(description=_("state"))
    def state(self, found: Break) -> SafeString:
        """Its state."""
        return display.state_of(found)

    @admin.display(description=_("reference"))
    def reference(self, found: Break) -> SafeString | str:
        """What the bank calls it."""
        return display.short(found.line.reference)

    @admin.display(description=_("why"))
    def why(self, found: Break) -> str:
        """In a sentence."""
        return found.detail

    @admin.display(description=_("file"))
    def of_file(self, found: Break) -> SafeString | str:
        """Where it stands."""
        return display.row_link(found.file)

    @admin.display(description=_("found"))
    def found(self, found: Break) -> SafeString | str:
        """When."""
        return display.moment(found.created_at)

    def badge(self, row: Break) -> SafeString:
        """Its state."""
        return display.state_of(row)

    def sections(self, _request: HttpRequest, row: Break) -> Sequence[Section]:
        """What does not fit, and what was found out."""
        found: list[Section] = [Notice(row.detail, "warn", _("Why it does not fit")), line_facts(row)]
        if row.status == BreakState.RESOLVED:
            facts = [
                (_("found out"), row.resolution),
                (_("by"), row.resolved_by),
                (_("at"), display.moment(row.resolved_at)),
            ]
            found.append(Facts(_("Resolved"), facts))
        return found

    def foot(self, request: HttpRequest, row: Break) -> Sequence[Section]:
        """What was done about it."""
        more = all_entries_of(Break._meta.db_table, row.pk)
        return [timeline(request, entries_of(row)[:SHOWN_ON_PAGES], more=more)]


def line_facts(row: Break) -> Facts:
    """What the bank said, and of which payment."""
    line = row.line
    return Facts(
        _("What the bank said"),
        [
            (_("file"), display.row_link(row.file)),
            (_("line"), display.number(line.number)),
            (_("reference"), display.code(line.reference)),
            (_("account"), display.code(line.account)),
            (_("amount"), display.NOTHING if line.amount is None else display.money(line.amount, line.currency)),
            (_("said"), " ".join(part for part in (line.direction, line.said, line.reason) if part)),
            (_("instruction"), display.row_link(line.instruction)),
            (_("sweep"), display.row_link(line.sweep)),
        ],
    )
