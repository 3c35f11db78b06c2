"""Files that belong to a plan: whoever makes one says so here, and the plan's page lists them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from django.core.files import File
from django.http import HttpRequest

from opsconsole.core.texts import Text
from opsconsole.plans.models import Plan


@dataclass(frozen=True, slots=True)
class Download:
    """A file: its name, what it is, how it is opened, and its digest where that is known before."""

    name: str
    text: Text
    open: Callable[[], IO[bytes] | File[bytes]]
    digest: str = ""
    content_type: str = "application/octet-stream"


Source = Callable[[HttpRequest, Plan], Sequence[Download]]

_sources: list[Source] = []


def register_downloads(source: Source) -> Source:
    """Ask this function for the files of a plan that the viewer may have."""
    _sources.append(source)
    return source


def downloads_of(request: HttpRequest, plan: Plan) -> list[Download]:
    """Every file of the plan."""
    return [one for source in _sources for one in source(request, plan)]
