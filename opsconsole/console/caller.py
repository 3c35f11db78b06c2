"""A caller of the console's own API over HTTP, as anybody outside would be one; the demo command plays with it."""

from __future__ import annotations

import json
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from opsconsole.core.errors import DomainError, Unavailable

ANSWER_WITHIN = 30.0
LONG_ANSWER_WITHIN = 120.0  # staging a plan of many thousand payouts


class Refused(DomainError):
    """The API answered with a problem; `status` is the HTTP status it came with."""

    code = "refused"

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(
            str(body.get("detail") or body), **{key: body[key] for key in ("code", "errors") if key in body}
        )
        self.http_status = status
        self.problem = str(body.get("code", status))


class Caller:
    """One person's use of the API."""

    def __init__(self, address: str, name: str, token: str) -> None:
        self.address = address.rstrip("/")
        self.name = name
        self._token = token
        self._pool = urllib3.PoolManager(retries=False)

    def get(self, path: str) -> Any:
        """The JSON of a GET; raises Refused or Unavailable."""
        return self._call("GET", path, None, {})

    def post(self, path: str, body: dict[str, Any] | None = None, *, key: str = "") -> Any:
        """The JSON of a POST; raises Refused or Unavailable."""
        return self._call("POST", path, body or {}, {"Idempotency-Key": key} if key else {})

    def _call(self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> Any:
        try:
            answer = self._pool.request(
                method,
                self.address + path,
                body=None if body is None else json.dumps(body).encode(),
                headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json", **headers},
                timeout=LONG_ANSWER_WITHIN if path.endswith("/stage") else ANSWER_WITHIN,
            )
        except HTTPError as error:
            raise Unavailable(f"The console at {self.address} does not answer: {error}") from error
        try:
            value = json.loads(answer.data) if answer.data else {}
        except ValueError as error:
            raise Unavailable(f"The console at {self.address} answered {answer.status} without JSON.") from error
        if answer.status >= 400:  # noqa: PLR2004 - where errors begin in HTTP
            raise Refused(answer.status, value)
        return value
