"""Who looks at the page that is being put together, so that its links lead only where the viewer may go."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol, runtime_checkable

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase

_viewing: ContextVar[HttpRequest | None] = ContextVar("viewing", default=None)


@runtime_checkable
class Shows(Protocol):
    """An admin that knows whether a viewer finds a row in it."""

    def shows(self, request: HttpRequest, pk: object) -> bool:
        """Whether the viewer finds the row with this key here."""
        ...


class ViewingMiddleware:
    """Remembers the request until its page is rendered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer; what is rendered meanwhile is for this viewer."""
        token = _viewing.set(request)
        try:
            return self._get_response(request)
        finally:
            _viewing.reset(token)


def opens(model: type[Model], pk: object) -> bool:
    """Whether the page of this row opens for the viewer; for no viewer in particular, whether there is such a page."""
    shown = admin.site._registry.get(model)
    request = _viewing.get()
    if request is None or not isinstance(shown, Shows):
        return shown is not None
    return shown.shows(request, pk)
