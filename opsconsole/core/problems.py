"""Every error of the API as `application/problem+json` (RFC 9457), made in one place."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response

from opsconsole.core.canonical import to_plain
from opsconsole.core.errors import DomainError, Unavailable
from opsconsole.core.openapi import PROBLEM
from opsconsole.core.requests import current_request_id

log = structlog.get_logger(__name__)

API = "/api/"
RETRY_AFTER = "5"


def problem(http_status: int, code: str, title: str, /, **fields: Any) -> dict[str, Any]:
    """The members of a problem: `type`, `title`, `status`, `detail`, then our `code`, `request_id` and facts.

    Where a service gives the status of a row as a fact, it is told as `state`: `status` is that of HTTP.
    """
    if "status" in fields:
        fields["state"] = fields.pop("status")
    body: dict[str, Any] = {
        "type": f"urn:opsconsole:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": http_status,
        "detail": title,
        "code": code,
        "request_id": current_request_id(),
    }
    body.update({key: _plain(value) for key, value in fields.items() if key not in body})
    return body


def handle(exc: Exception, _context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: a problem for whatever is expected, None (a 500) for a fault of ours."""
    body = _told(exc)
    if body is None:
        return None
    return Response(body, status=body["status"], headers=_headers(exc), content_type=PROBLEM)


def _told(exc: Exception) -> dict[str, Any] | None:
    match exc:
        case DomainError():
            return problem(exc.status, exc.code, exc.message, **exc.fields)
        case Http404():
            return problem(404, "not_found", "There is nothing here, or nothing you may see.")
        case PermissionDenied():
            return problem(403, "denied", "You may not do this.")
        case exceptions.ValidationError():
            return problem(400, "invalid", "The request is not valid.", errors=exc.detail)
        case exceptions.NotAuthenticated():
            return problem(
                exc.status_code,
                exc.default_code,
                "No token was given: send `Authorization: Bearer TOKEN`. One is to be had under your name in the"
                " console, or by `manage.py issue_token USER`.",
            )
        case exceptions.APIException():
            code = exc.get_codes() if isinstance(exc.detail, str) else exc.default_code
            return problem(exc.status_code, str(code), str(exc.detail))
        case DataError():
            log.warning("database.refused_a_value", error=str(exc))
            return problem(400, "out_of_range", "A value of the request lies outside of what can be stored.")
        case OperationalError() | InterfaceError():
            log.warning("database.unavailable", error=str(exc))
            return problem(
                503,
                "unavailable",
                "The database does not answer. What was asked is done whole or not at all; to be sure that it is done"
                " once, ask again with the same Idempotency-Key.",
            )
        case _:
            return None


def _headers(exc: Exception) -> dict[str, str]:
    headers: dict[str, str] = {}
    if isinstance(exc, Unavailable | OperationalError | InterfaceError):
        headers["Retry-After"] = str(getattr(exc, "fields", {}).get("retry_after", RETRY_AFTER))
    if challenge := getattr(exc, "auth_header", None):  # set by DRF's view
        headers["WWW-Authenticate"] = challenge
    if pause := getattr(exc, "wait", None):  # of Throttled
        headers["Retry-After"] = str(int(pause))
    return headers


# Django's own handlers, for what never reaches a door of the API, and for a fault in one.


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: a host that is not ours, a form that Django refuses to read."""
    if not request.path.startswith(API):
        return defaults.bad_request(request, exception)
    return _answer(400, "bad_request", "The request cannot be read.")


def denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    if not request.path.startswith(API):
        return defaults.permission_denied(request, exception)
    return _answer(403, "denied", "You may not do this.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: no such address."""
    if not request.path.startswith(API):
        return defaults.page_not_found(request, exception)
    return _answer(404, "not_found", "There is no such address.")


def fault(request: HttpRequest) -> HttpResponse:
    """500: a fault of ours, told without what it was; the log has it under the request id."""
    if not request.path.startswith(API):
        return defaults.server_error(request)
    return _answer(500, "fault", "Something is broken on our side. The log has it under this request id.")


def _answer(status: int, code: str, detail: str) -> HttpResponse:
    return JsonResponse(problem(status, code, detail), status=status, content_type=PROBLEM)


def _plain(value: Any) -> Any:
    try:
        return to_plain(value)
    except TypeError:
        return str(value)
