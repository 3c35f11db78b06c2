"""Doors whose JSON speaks camelCase, as some runbooks have it: both cases come in, camelCase goes out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.response import Response

from opsconsole.core.errors import DomainError, Invalid
from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import RequestKey
from opsconsole.core.parsers import OPAQUE, StrictJSONParser, snake_case

APPROVAL_HEADER = "X-Approval-Request-Id"

_GAP = re.compile(r"_([a-z0-9])")


class ApprovalIdMalformed(Invalid):
    """The X-Approval-Request-Id is no id."""

    code = "approval_id_malformed"


def camel(name: str) -> str:
    """The name in camelCase."""
    return _GAP.sub(lambda found: found[1].upper(), name)


def camel_keys(value: Any) -> Any:
    """The value with its keys in camelCase, except inside members whose keys are the caller's own."""
    if isinstance(value, list):
        return [camel_keys(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    renamed: dict[str, Any] = {}
    for key, item in value.items():
        name = camel(str(key))
        if name in renamed:
            raise ParseError(f"The body says {name} twice.")
        renamed[name] = item if key in OPAQUE else camel_keys(item)
    return renamed


class CamelJSONParser(StrictJSONParser):
    """The same strictness, with the keys in camelCase whichever way they came."""

    def renamed(self, value: Any) -> Any:
        """The body with its keys as these doors name them."""
        return camel_keys(snake_case(value))


class CamelSerializer(serializers.Serializer[Any]):
    """Fields are declared as the services name them, and are called in camelCase outside."""

    def get_fields(self) -> dict[str, Any]:
        """The declared fields under their outer names."""
        return camel_fields(super().get_fields())


class CamelModelSerializer(serializers.ModelSerializer[Any]):
    """The same for the columns of a model."""

    def get_fields(self) -> dict[str, Any]:
        """The fields under their outer names."""
        return camel_fields(super().get_fields())


def camel_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields by their outer names, each reading what it was declared as."""
    renamed = {}
    for name, field in fields.items():
        outer = camel(name)
        if outer != name and field.source is None:
            field.source = name
        renamed[outer] = field
    return renamed


class CamelView(ConsoleView):
    """The base of every door that speaks camelCase; it knows the approval that a request comes back with."""

    parser_classes = (CamelJSONParser,)

    @property
    def approval_id(self) -> UUID | None:
        """The approval that the caller refers to; raises ApprovalIdMalformed for what is no id."""
        text = self.request.headers.get(APPROVAL_HEADER, "").strip()
        if not text:
            return None
        try:
            return UUID(text)
        except ValueError as error:
            raise ApprovalIdMalformed(
                _("X-Approval-Request-Id is not the id of an approval request."),
                errors={APPROVAL_HEADER: [_("must be a UUID")]},
            ) from error

    def request_key(self, *, required: bool = False) -> RequestKey | None:
        """The Idempotency-Key; with an approval the same request is another one, which is not answered from before."""
        key = super().request_key(required=required)
        approval = self.approval_id
        if key is None or approval is None:
            return key
        return RequestKey(scope=f"{key.scope} {approval}", key=key.key, fingerprint=key.fingerprint)

    def handle_exception(self, exc: Exception) -> Response:
        """A problem, with the fields that are wrong named as the caller knows them."""
        if isinstance(exc, DomainError) and isinstance(errors := exc.fields.get("errors"), Mapping):
            exc.fields["errors"] = {camel(str(name)): said for name, said in errors.items()}
        return super().handle_exception(exc)
