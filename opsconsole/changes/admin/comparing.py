"""What a change changes, as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from opsconsole.core.admin import display
from opsconsole.core.admin.pages import Table


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
