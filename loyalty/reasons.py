"""Why something is done: every change that is made by hand says so."""

from __future__ import annotations

from typing import Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import Invalid

MAX_REASON: Final = 2000


def said(reason: str) -> str:
    """The reason without blanks around it; raises Invalid for none, or one that is too long."""
    text = reason.strip()
    if not 0 < len(text) <= MAX_REASON:
        raise Invalid(
            _("This takes a reason."),
            errors={"reason": [format_lazy(_("takes 1 to {most} characters"), most=MAX_REASON)]},
        )
    return text
