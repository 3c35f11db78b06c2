"""The daily checklist: today as it stands now, what is ticked by hand, and what the days before came to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import lazy
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, then
from opsconsole.core.admin.base import ConsoleAdmin, actor_of
from opsconsole.core.admin.filters import OneOf, Options
from opsconsole.core.admin.pages import Facts, Section, Table
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, model_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.monitoring import access, selectors
from opsconsole.monitoring.checklist import ITEMS, Finding, Item, item_named
from opsconsole.monitoring.models import Check
from opsconsole.monitoring.services import checklists
from opsconsole.monitoring.services.checklists import MAX_NOTE
from opsconsole.monitoring.states import Verdict

TONES = {Verdict.GOOD: "good", Verdict.BAD: "bad", Verdict.OPEN: "warn"}


def verdict_label(verdict: str) -> SafeString:
    """What it came to, in its colour."""
    found = Verdict(verdict)
    return display.label(found.label, TONES[found])


class TickForm(ActionForm):
    """A person's word."""

    in_order = forms.TypedChoiceField(
        label=_("What did you find?"),
        choices=[("yes", _("it is in order")), ("no", _("it is not in order"))],
        coerce=lambda said: said == "yes",
        widget=forms.RadioSelect,
    )
    note = forms.CharField(
        label=_("Note"),
        help_text=_("What you looked at. It goes into the journal."),
        max_length=MAX_NOTE,
        widget=forms.Textarea({"rows": 3}),
    )


class Tick(Action[None]):
    """Say what an item came to today."""

    icon = "checklist"
    permission = "monitoring.tick_check"
    form = TickForm

    def __init__(self, item: Item) -> None:
        self.item = item
        self.name = f"tick-{item.name.replace('_', '-')}"
        # Put together for each viewer: made once, it would stay in one language.
        self.label = lazy(lambda: now_("Tick: %(item)s") % {"item": item.title}, str)()
        self.submit = _("Tick")

    def question(self, _row: None) -> Text:
        """What to look at."""
        return self.item.hint

    def perform(self, press: Press[None]) -> Answer:
        """Note it."""
        return checklists.tick_item.once(
            press.key,
            then(lambda _check: now_("It is noted for today."), lambda _check: display.list_url(Check)),
            item=self.item.name,
            in_order=press.data["in_order"],
            note=press.data["note"],
            actor=press.actor,
        )


class ByItem(OneOf):
    """One item of the list."""

    title = _("item")
    parameter_name = "item__exact"

    def options(self, _request: HttpRequest) -> Options:
        """All of them, by what people call them."""
        return [(item.name, item.title) for item in ITEMS]

    def narrow(self, _request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Its history alone."""
        return rows.filter(item=value)


@admin.register(Check)
class CheckAdmin(ConsoleAdmin[Check]):
    """Today's checklist above the history of all of them."""

    change_list_template = "console/checklist.html"
    list_display = ("date", "about", "came_to", "who", "noted")
    list_filter = ("verdict", ByItem)
    list_select_related = ("ticked_by",)
    ordering = ("-day", "item", "id")

    def visible(self, actor: Actor) -> QuerySet[Check]:
        """What the actor may see."""
        return access.visible_checks(actor)

    def list_actions(self) -> Sequence[Action[None]]:
        """A button for each item that only people can judge."""
        return [Tick(item) for item in ITEMS if item.evaluate is None]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The history, below today."""
        today = self._today(request) if self.has_view_permission(request) else None
        return super().changelist_view(request, {**(extra_context or {}), "today": today})

    def _today(self, request: HttpRequest) -> Table:
        return Table(
            _("Today"),
            [_("item"), _("stands"), _("figures"), _("to look at"), _("said by")],
            [
                [item.title, verdict_label(finding.verdict), _figures(finding), _rows(finding), _said(check)]
                for item, finding, check in selectors.todays_checks(actor_of(request))
            ],
            note=_(
                "The system evaluates what it can now, at each visit; the rest is ticked by a person, each day (UTC)."
            ),
        )

    @admin.display(description=_("day"))
    def date(self, check: Check) -> str:
        """Which day."""
        return check.day.isoformat()

    @admin.display(description=_("item"))
    def about(self, check: Check) -> Text:
        """What was to be in order."""
        item = item_named(check.item)
        return item.title if item else check.item

    @admin.display(description=_("came to"))
    def came_to(self, check: Check) -> SafeString:
        """Whether it was."""
        return verdict_label(check.verdict)

    @admin.display(description=_("by"))
    def who(self, check: Check) -> Text:
        """The system, or a person."""
        return check.ticked_by.username if check.ticked_by else _("the system")

    @admin.display(description=_("noted"))
    def noted(self, check: Check) -> Any:
        """When."""
        return display.moment(check.at)

    def heading(self, row: Check) -> Text:
        """The day and the item."""
        return f"{row.day}: {self.about(row)}"

    def badge(self, row: Check) -> Text:
        """What it came to."""
        return verdict_label(row.verdict)

    def sections(self, request: HttpRequest, row: Check) -> Sequence[Section]:
        """What was found, and how it changed during the day."""
        finding = Finding(Verdict(row.verdict), row.detail.get("figures") or {}, row.detail.get("rows") or [])
        return [
            Facts(
                _("What was found"),
                [
                    (_("by"), self.who(row)),
                    (_("figures"), _figures(finding)),
                    (_("to look at"), _rows(finding)),
                    (_("note"), row.note or display.NOTHING),
                ],
            ),
            timeline(request, entries_of(row)[:SHOWN_ON_PAGES], more=all_entries_of("ops_checks", row.pk)),
        ]


def _figures(finding: Finding) -> Any:
    if not finding.figures:
        return display.NOTHING
    shown = {
        name: display.moment(datetime.fromisoformat(value)) if name == "last_verified" and value else value
        for name, value in finding.figures.items()
    }
    return display.plain(shown)


def _rows(finding: Finding) -> Any:
    if not finding.rows:
        return display.NOTHING
    return format_html_join(mark_safe("<br>"), "{}", ((_named(row),) for row in finding.rows))


def _named(row: dict[str, str]) -> Any:
    model = model_of(row["kind"])
    return row["name"] if model is None else display.row_link_of(model, row["id"], row["name"])


def _said(check: Check | None) -> Text:
    if check is None or not check.note:
        return display.NOTHING
    return f"{check.ticked_by}: {check.note}"
