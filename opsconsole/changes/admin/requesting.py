"""The button by which a page asks for a change of its record; other apps put it on their pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.admin.panel import slots_as_text
from opsconsole.approvals.selectors import active_policy
from opsconsole.changes.admin.forms import ChangeForm, payload_of
from opsconsole.changes.admin.rows import state_of
from opsconsole.changes.kinds.base import Kind, kind_named
from opsconsole.changes.selectors import open_changes_of
from opsconsole.changes.services import requests
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, then
from opsconsole.core.admin.pages import Notice, Section, Table
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text

Row = TypeVar("Row")


class RequestChange(Action[Row], Generic[Row]):
    """Ask for a change of one kind: of this row, or with None for a row, of a record to be."""

    tone = "plain"
    submit = _("Ask for it")

    def __init__(
        self,
        kind: str,
        *,
        name: str = "",
        label: Text = "",
        icon: str = "edit",
        subject: Callable[[Row], str] | None = None,
        when: Callable[[Row], bool] | None = None,
    ) -> None:
        self.kind_name, self.icon = kind, icon
        self.name = name or f"change-{kind}"
        self._label, self._subject, self._when = label, subject, when

    @property
    def kind(self) -> Kind:
        """What is asked for."""
        return kind_named(self.kind_name)

    @property
    def label(self) -> Text:  # type: ignore[override] # a kind is known only once its app is ready
        """The kind's own, unless the page has another."""
        return self._label or self.kind.label

    @property
    def permission(self) -> str:  # type: ignore[override] # as above
        """What the kind asks of those who ask."""
        return self.kind.permission

    def offered(self, _actor: Actor, row: Row) -> bool:
        """Where the page says so."""
        return self._when is None or self._when(row)

    def question(self, _row: Row) -> Text:
        """That nothing happens yet."""
        return now_("%(summary)s Nothing is changed until the others have agreed.") % {"summary": self.kind.summary}

    def sections(self, _actor: Actor, row: Row) -> Sequence[Section]:
        """Who must agree, and what is asked for already."""
        policy = active_policy(self.kind.action)
        who = slots_as_text(policy.slots) if policy else display.NOTHING
        told: list[Section] = [
            Notice(now_("%(slots)s. Never you, nor the person it is about.") % {"slots": who}, "info", _("Must agree"))
        ]
        return [*told, *open_changes(row, self._subject_of(row))] if row is not None else told

    def typed(self, row: Row) -> str:
        """The record's name."""
        return str(row) if row is not None else ""

    def make_form(self, actor: Actor, row: Row, data: Any = None, files: Any = None) -> ActionForm:
        """The kind's fields, as they are now."""
        return ChangeForm(self.kind, self._current(row), data, files, typed=self.typed(row))

    def payload(self, press: Press[Row]) -> dict[str, Any]:
        """What is asked for, as the API takes it."""
        return payload_of(self.kind, self._current(press.row), press.data)

    def perform(self, press: Press[Row]) -> Answer:
        """Ask."""
        return requests.request_change.once(
            press.key,
            then(lambda _change: now_("It is asked for; the others decide."), display.row_url),
            kind=self.kind_name,
            subject=self._subject_of(press.row) if press.row is not None else "",
            payload=self.payload(press),
            reason=press.data["reason"],
            actor=press.actor,
        )

    def _current(self, row: Row) -> dict[str, Any]:
        return self.kind.current(self._subject_of(row)) if row is not None else {}

    def _subject_of(self, row: Row) -> str:
        return self._subject(row) if self._subject else str(cast(Any, row).pk)


def open_changes(row: Any, subject_id: str = "", kinds: Sequence[str] = ()) -> list[Section]:
    """Changes of this record that wait, of these kinds where some are named; nothing where there is none."""
    found = open_changes_of(row, subject_id)
    waiting = list(found.filter(kind__in=kinds) if kinds else found)
    if not waiting:
        return []
    return [
        Table(
            _("Changes that wait"),
            [_("change"), _("asked by"), _("state"), _("asked")],
            [
                [
                    display.row_link(change),
                    change.requested_by.username,
                    state_of(change),
                    display.moment(change.created_at),
                ]
                for change in waiting
            ],
        )
    ]
