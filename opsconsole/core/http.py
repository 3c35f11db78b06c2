"""A door of the API: it knows its caller, reads a body, cuts a list into pages, and hands answers on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, cast

from django.db.models import QuerySet
from django_filters import FilterSet, MultipleChoiceFilter
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, as_serializer_error
from rest_framework.views import APIView

from opsconsole.core.actors import Actor
from opsconsole.core.idempotency import Answer, KeyMissing, RequestKey, fingerprint
from opsconsole.core.models import User
from opsconsole.core.openapi import PROBLEM, ConsoleSchema
from opsconsole.core.pagination import NewestFirst

PAGING = frozenset({"cursor", "page_size"})


@cache
def _checker(serializer_class: Callable[..., Any], *, partial: bool) -> tuple[BaseSerializer[Any], frozenset[str]]:
    """A serializer that only checks, and the fields it takes: made once, since its fields are copied for each one.

    Checking leaves nothing behind in it, so that all threads share it.
    """
    serializer = serializer_class(partial=partial)
    return serializer, frozenset(name for name, field in serializer.fields.items() if not field.read_only)


def _passed_over(name: str, values: Sequence[str], filters: Mapping[str, Any]) -> str | None:
    """Why a list would pass over a parameter, or over some of its values: the answer would be to another question."""
    if name not in PAGING and name not in filters:
        return "This list has no such parameter."
    if name in filters and not all(value.strip() for value in values):
        return "This parameter takes a value; leave it out for all."
    if len(values) > 1 and not isinstance(filters.get(name), MultipleChoiceFilter):
        return "This parameter takes one value."
    return None


class LengthRequired(APIException):
    """A body came in chunks, without its length; WSGI would read it as empty."""

    status_code = 411
    default_code = "length_required"
    default_detail = "Say the length of the body in Content-Length; chunked bodies are not read."


class ConsoleView(APIView):
    """The base of every door."""

    schema = ConsoleSchema()
    http_method_names = ["get", "head", "post", "patch"]  # noqa: RUF012 - as Django declares it

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Who calls, and whether their body can be read at all."""
        super().initial(request, *args, **kwargs)
        if request.headers.get("Transfer-Encoding"):
            raise LengthRequired

    @property
    def actor(self) -> Actor:
        """The actor that is the caller."""
        return Actor.of(cast(User, self.request.user))

    def read(self, serializer_class: Callable[..., Any], *, partial: bool = False) -> dict[str, Any]:
        """The checked body; raises ValidationError, also for fields that the request does not have.

        A misspelled field that is passed over would be an answer to another question.
        """
        serializer, known = _checker(serializer_class, partial=partial)
        body = self.request.data
        if isinstance(body, dict) and (unknown := sorted(body.keys() - known)):
            raise ValidationError({name: ["This request has no such field."] for name in unknown})
        try:
            return dict(serializer.run_validation(body))
        except ValidationError as error:
            raise ValidationError(as_serializer_error(error)) from error

    def page(
        self,
        rows: QuerySet[Any],
        serializer_class: Callable[..., Any],
        pages: type[NewestFirst] = NewestFirst,
        narrowed_by: type[FilterSet] | None = None,
    ) -> Response:
        """The page asked for of these rows; raises ValidationError for a parameter that the list does not take."""
        asked = self.request.query_params
        filters = narrowed_by.base_filters if narrowed_by else {}
        wrong = {name: _passed_over(name, values, filters) for name, values in asked.lists()}
        if problems := {name: [why] for name, why in wrong.items() if why}:
            raise ValidationError(problems)
        if narrowed_by is not None:
            narrowed = narrowed_by(asked, rows, request=self.request)
            if not narrowed.is_valid():
                raise ValidationError(narrowed.errors)
            rows = narrowed.qs
        paginator = pages()
        found = paginator.paginate_queryset(rows, self.request, view=self)
        return paginator.get_paginated_response(serializer_class(found, many=True).data)

    def request_key(self, *, required: bool = False) -> RequestKey | None:
        """The Idempotency-Key with its scope; raises KeyMissing where one is required."""
        key = self.request.headers.get("Idempotency-Key", "")
        if not key:
            if required or "Idempotency-Key" in self.request.headers:
                raise KeyMissing("This request needs an Idempotency-Key header.")
            return None
        match = self.request.resolver_match
        route = match.route if match else self.request.path
        return RequestKey(
            scope=f"{self.actor.id} {self.request.method} {route}",
            key=key,
            fingerprint=fingerprint(path=self.request.path, body=self.request.data),
        )

    @staticmethod
    def respond(answer: Answer) -> Response:
        """The answer as a response; a repeated one says so, a refusal is a problem."""
        return Response(
            answer.body,
            status=answer.status,
            headers={"Idempotency-Replayed": "true"} if answer.replayed else None,
            content_type=PROBLEM if answer.status >= 400 else None,  # noqa: PLR2004 - where refusals begin
        )
