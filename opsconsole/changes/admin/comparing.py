"""What a change changes, as people read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from opsconsole.changes.kinds.base import registered
from opsconsole.core.admin import display
from opsconsole.core.admin.pages import Notice, Section, Table


def before_and_after(before: Mapping[str, Any], after: Mapping[str, Any]) -> Table:
    """What changes, a line for each field."""
    return Table(
        _("Exactly what is changed"),
        [_("field"), _("before"), _("after")],
        [
            [display.word(name), display.member(name, before.get(name)), display.member(name, after.get(name))]
            for name in display.ordered([*before, *after])
        ],
    )


def advice_on(kind: str) -> Sequence[Section]:
    """What approvers do before they agree to a change of this kind; nothing where reading it is enough."""
    return [
        Notice(one.advice, "warn", _("Before you agree")) for one in registered() if one.name == kind and one.advice
    ]
