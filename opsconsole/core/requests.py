"""The request id: comes in by `Request-Id`, goes out with the answer, into every log line and journal entry."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponse
from django.utils.functional import empty
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

log = structlog.get_logger(__name__)

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds, for ever
_ACCEPTED = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class NotOfProbes(logging.Filter):
    """Leaves out what Django says of a probe: that a console is not ready is its answer, and no error of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether somebody has to read the record."""
        return getattr(getattr(record, "request", None), "path", None) not in PROBES


def current_request_id() -> str:
    """The id of the request, job or command that is running; empty outside all of them."""
    return str(get_contextvars().get("request_id", ""))


def bind_request_id(value: str | None = None) -> str:
    """Start a new context for logs under this id, or under a fresh one; the id is returned."""
    clear_contextvars()
    request_id = value if value and _ACCEPTED.fullmatch(value) else str(uuid4())
    bind_contextvars(request_id=request_id)
    return request_id


class RequestIdMiddleware:
    """Give every request an id and one log line with its outcome."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = bind_request_id(request.headers.get("Request-Id"))
        started = time.perf_counter()
        response = self.get_response(request)
        response["Request-Id"] = request_id
        level = logging.DEBUG if request.path in PROBES else logging.INFO
        log.log(
            level,
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            user=_name_of_caller(request),
            ms=round((time.perf_counter() - started) * 1000, 1),
        )
        return response


def _name_of_caller(request: HttpRequest) -> str | None:
    """The caller's name if somebody asked who it is; the log does not ask, which would take the database."""
    user = getattr(request, "user", None)
    if user is None or getattr(user, "_wrapped", user) is empty:
        return None
    return getattr(user, "username", "") or None
