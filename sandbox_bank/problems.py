"""Refusals of the bank, as RFC 9457 problem documents with a code that a program can act on."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp import web


class BankProblem(Exception):
    """The request is refused; nothing was done with it, unless `processed` is None: then nobody can tell."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        processed: bool | None = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.processed = processed
        self.headers = headers

    def response(self) -> web.Response:
        """The problem document; it says `processed: false` where the bank vouches that nothing happened."""
        body: dict[str, object] = {
            "type": "about:blank",
            "title": self.code.replace("_", " "),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.processed is not None:
            body["processed"] = self.processed
        return web.Response(
            body=json.dumps(body).encode(),
            status=self.status,
            content_type="application/problem+json",
            headers=self.headers,
        )
