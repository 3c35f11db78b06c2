"""Exactly what is approved, for people: the app whose subject it is says how its content reads best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.models import Request
from opsconsole.core.admin import display
from opsconsole.core.admin.pages import Facts, Section

Renderer = Callable[[Mapping[str, Any]], Sequence[Section]]

_renderers: dict[str, Renderer] = {}


def register_content(subject_kind: str, renderer: Renderer) -> None:
    """Show the content of requests about this kind of subject so."""
    _renderers[subject_kind] = renderer


def content_of(request: Request) -> Sequence[Section]:
    """The content of a request, all of it."""
    renderer = _renderers.get(request.subject_kind)
    if renderer is not None:
        return renderer(request.content)
    return [Facts(_("Exactly what is approved"), display.members(request.content))]
