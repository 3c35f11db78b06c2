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

    def has_view_permission(self, request: HttpRequest) -> bool:
        """Whether the viewer finds any."""
        ...

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


def lists(model: type[Model]) -> bool:
    """Whether the list of this model opens for the viewer; for no viewer in particular, whether there is one."""
    shown, request = _page_of(model), _viewing.get()
    return shown is not None and (request is None or shown.has_view_permission(request))


def opens(model: type[Model], pk: object) -> bool:
    """The same for the page of the row with this key."""
    shown, request = _page_of(model), _viewing.get()
    return shown is not None and (request is None or shown.shows(request, pk))


def _page_of(model: type[Model]) -> Shows | None:
    shown: object = admin.site._registry.get(model)
    return shown if isinstance(shown, Shows) else None
