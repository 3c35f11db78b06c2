"""What only a browser needs: sessions, messages, and a policy for what a page may load.

A door of the API is called with a bearer's token and answers JSON. It knows no cookie, so it does not look for one; the
tills of a chain call it all day, and what each call costs counts. Django's own look at forms from elsewhere stays in
front of all: it lets through what says that it takes none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.utils.deprecation import MiddlewareMixin

if TYPE_CHECKING:
    _Middleware = MiddlewareMixin
else:
    _Middleware = object

API: Final = "/api/"
READ_BY_PEOPLE: Final = frozenset({"/api/docs", "/api/schema"})  # pages, though they lie below it
NOTHING_LOADED: Final = "default-src 'none'; frame-ancestors 'none'"


def is_door(request: HttpRequest) -> bool:
    """Whether a program is asked for, which needs nothing that a browser does."""
    return request.path_info.startswith(API) and request.path_info not in READ_BY_PEOPLE


class _ForBrowsers(_Middleware):
    """A middleware that doors are spared."""

    def __call__(self, request: HttpRequest) -> Any:
        """Pass on what goes to a door; the rest goes the usual way."""
        return self.get_response(request) if is_door(request) else super().__call__(request)


class BrowserSessions(_ForBrowsers, SessionMiddleware):
    """Sessions by cookie."""


class BrowserUsers(_ForBrowsers, AuthenticationMiddleware):
    """Whose session it is."""


class BrowserMessages(_ForBrowsers, MessageMiddleware):
    """Messages of one page that the next one shows."""


class BrowserPolicy(CSPMiddleware):
    """What a page may load; an answer of a door, should a browser show it, loads nothing."""

    def __call__(self, request: HttpRequest) -> Any:
        """Answer, with the policy."""
        if not is_door(request):
            return super().__call__(request)
        response: Any = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", NOTHING_LOADED)
        return response
