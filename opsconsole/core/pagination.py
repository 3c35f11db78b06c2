"""How the API's lists are cut into pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from opsconsole.core.errors import Invalid

_SIZE = re.compile(r"[1-9][0-9]{0,2}")


class PageInvalid(Invalid):
    """`cursor` or `page_size` is not one that the list gave or takes."""

    code = "page_invalid"


class NewestFirst(CursorPagination):
    """`{results, next, previous}`, newest first; `page_size` from 1 to 200, `cursor` as `next` and `previous` say.

    By the id, which is in order of time and stands once: with equal positions, as the times of a bulk are, a cursor
    would skip and repeat.
    """

    ordering: tuple[str, ...] = ("-id",)
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: Any = None
    ) -> list[Any] | None:
        """The page asked for; raises PageInvalid for a size or a cursor that is none of ours."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotFound, ValidationError, ValueError, OverflowError, DataError) as error:
            if self.cursor_query_param not in request.query_params:
                raise
            raise PageInvalid(
                "This cursor is not one that the list gave.", errors={"cursor": ["is not one that this list gave"]}
            ) from error

    def get_page_size(self, request: Request) -> int:
        """The size asked for; raises PageInvalid outside 1 to 200."""
        asked = request.query_params.get("page_size")
        if asked is None:
            return self.page_size
        if not _SIZE.fullmatch(asked) or int(asked) > self.max_page_size:
            wanted = f"must be a number from 1 to {self.max_page_size}"
            raise PageInvalid(f"page_size {wanted}.", errors={"page_size": [wanted]})
        return int(asked)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The form of a page in the OpenAPI document."""
        link = {"type": ["string", "null"], "format": "uri", "example": None}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {"results": schema, "next": link, "previous": link},
        }

    def get_schema_operation_parameters(self, _view: Any) -> list[dict[str, Any]]:
        """What the OpenAPI document says of `cursor` and `page_size`."""
        size = {"type": "integer", "minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        return [
            {
                "name": "cursor",
                "in": "query",
                "description": "As `next` or `previous` of a page has it.",
                "schema": {"type": "string"},
            },
            {"name": "page_size", "in": "query", "description": "Results on a page.", "schema": size},
        ]
