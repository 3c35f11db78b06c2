"""What the OpenAPI document says of every door without being told: the key, the page, the problems, the states."""

from __future__ import annotations

from functools import cache
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema_serializer
from rest_framework import serializers

from opsconsole.core.pagination import NewestFirst
from opsconsole.core.states import States

PROBLEM = "application/problem+json"
WRITES = ("POST", "PUT", "PATCH")

KEY_HEADER = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key with the same request has its effect once, and gets the answer of the first time.",
)
APPROVAL_ID = OpenApiParameter(
    "X-Approval-Request-Id",
    str,
    OpenApiParameter.HEADER,
    description="The `approvalRequestId` that this request got before, once it is approved: then it is done, once.",
)
KEY_REQUIRED = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, required=True, description=KEY_HEADER.description
)


@extend_schema_serializer(component_name="Problem")
class ProblemSerializer(serializers.Serializer[Any]):
    """An error as application/problem+json (RFC 9457). Further members hold the facts of the one problem."""

    type = serializers.CharField(help_text="`urn:opsconsole:problem:` and the code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="A sentence for people; it may change.")
    code = serializers.CharField(help_text="For programs; it does not change.")
    request_id = serializers.CharField(help_text="The `Request-Id` of the answer; it stands in the log as well.")
    errors = serializers.JSONField(  # type: ignore[assignment] # a member of the form, not the serializer's own
        required=False, help_text="What is wrong, by field."
    )


def problem_response(description: str = "") -> OpenApiResponse:
    """A problem as a documented answer."""
    return OpenApiResponse(ProblemSerializer, description or "A problem; `code` is stable, `detail` is for people.")


class ConsoleSchema(AutoSchema):
    """Adds to each operation what all of them have in common."""

    def get_override_parameters(self) -> Any:
        """What the door names, and the Idempotency-Key of every write that does not name it."""
        return [*([KEY_HEADER] if self.method in WRITES else []), *super().get_override_parameters()]

    def _get_paginator(self) -> Any:
        """Every list of the API is a page, but for that of a door that says `pagination_class = None`."""
        if getattr(self.view, "pagination_class", NewestFirst) is None:
            return None
        return super()._get_paginator() or NewestFirst()  # type: ignore[no-untyped-call] # half typed upstream

    def _get_pagination_parameters(self) -> Any:
        paginator = self._get_paginator() if self._is_list_view() else None
        return [] if paginator is None else paginator.get_schema_operation_parameters(self.view)

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        bodies["default"] = self._get_response_for_code(problem_response(), "default", direction=direction)
        return bodies

    def _get_response_for_code(
        self, serializer: Any, status_code: str, media_types: Any = None, direction: Any = "response"
    ) -> Any:
        if status_code >= "400":
            media_types = media_types or [PROBLEM]
        return super()._get_response_for_code(  # type: ignore[no-untyped-call] # half typed upstream
            serializer, status_code, media_types, direction
        )


class StateExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call] # half typed upstream
    """A field that holds a state is documented under the name of its states, once for the whole document."""

    target_class = "rest_framework.fields.ChoiceField"

    def get_name(self) -> str | None:
        """The class of the states; None for any other choice."""
        return _states().get(tuple(self.target.choices))

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        """The choices, without their labels."""
        if self.get_name() is None:
            return auto_schema._map_serializer_field(self.target, direction, bypass_extensions=True)
        return {"type": "string", "enum": list(self.target.choices)}


@cache
def _states() -> dict[tuple[str, ...], str]:
    return {tuple(states.values): states.__name__ for states in States.__subclasses__()}
