"""What the API says of runbooks, and what their diagnostics answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import override
from rest_framework import serializers

from opsconsole.core.canonical import to_plain
from opsconsole.runbooks.diagnostics import Diagnostic
from opsconsole.runbooks.library import FIRST, LANGUAGES, Book
from opsconsole.runbooks.parameters import Parameter, ParameterKind
from opsconsole.runbooks.running import Outcome


class RunbookSerializer(serializers.Serializer[Any]):
    """A runbook on the shelf."""

    id = serializers.CharField()
    domain = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField(help_text="When it is for.")
    alerts = serializers.DictField(
        child=serializers.CharField(), help_text="The alerts that lead to it, each with what it means."
    )
    language = serializers.ChoiceField(choices=LANGUAGES)


class ParameterSerializer(serializers.Serializer[Any]):
    """A parameter, sent in the query under its name."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # a member of the answer, not the field's own
    kind = serializers.ChoiceField(choices=[kind.value for kind in ParameterKind])
    required = serializers.BooleanField()  # type: ignore[assignment] # a member of the answer, not the field's own
    default = serializers.CharField(
        allow_blank=True, help_text="What is taken where nothing is sent; empty for nothing."
    )


class PartSerializer(serializers.Serializer[Any]):
    """A live part of a runbook, in the order of its text."""

    kind = serializers.ChoiceField(choices=["diagnostic", "action", "check"])
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # a member of the answer, not the field's own
    permission = serializers.CharField(
        allow_blank=True, help_text="What one needs for it; empty for a button, which knows by itself."
    )
    parameters = ParameterSerializer(many=True)


class RunbookDetailSerializer(RunbookSerializer):
    """A runbook with its text and its live parts."""

    text = serializers.CharField(help_text="Markdown. `::diagnostic`, `::action` and `::check` name live parts.")
    parts = PartSerializer(many=True)


class ColumnSerializer(serializers.Serializer[Any]):
    """A column of an answer."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # a member of the answer, not the field's own


class OutcomeSerializer(serializers.Serializer[Any]):
    """What a diagnostic found just now."""

    runbook = serializers.CharField()
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # a member of the answer, not the field's own
    columns = ColumnSerializer(many=True)
    rows = serializers.ListField(
        child=serializers.DictField(),
        help_text="Each row by the names of the columns; sums and amounts are strings.",
    )
    row_count = serializers.IntegerField()
    truncated = serializers.BooleanField(help_text="Whether there are more rows than these.")
    milliseconds = serializers.IntegerField()
    sql = serializers.CharField(allow_blank=True, help_text="The very statement; empty where no database was asked.")


def on_the_shelf(book: Book, language: str) -> dict[str, Any]:
    """A runbook in a language."""
    edition = book.in_language(language)
    return {
        "id": book.id,
        "domain": book.domain.name,
        "title": edition.title,
        "summary": edition.summary,
        "alerts": dict(edition.alerts),
        "language": edition.language,
    }


def in_full(book: Book, language: str) -> dict[str, Any]:
    """The same with its text and its live parts."""
    parts = []
    with override(language):
        for part in book.parts:
            known: Any = getattr(book.domain, part.kind)(part.name)
            parts.append(
                {
                    "kind": part.kind,
                    "name": part.name,
                    "label": str(known.label),
                    "permission": known.permission,
                    "parameters": [_parameter(one, part.presets) for one in known.parameters],
                }
            )
    return {**on_the_shelf(book, language), "text": book.in_language(language).source, "parts": parts}


def found(book: Book, diagnostic: Diagnostic, outcome: Outcome, language: str = FIRST) -> dict[str, Any]:
    """What a diagnostic answered."""
    with override(language):
        return {
            "runbook": book.id,
            "name": diagnostic.name,
            "label": str(diagnostic.label),
            "columns": [{"name": column.name, "label": str(column.label)} for column in diagnostic.columns],
            "rows": [
                {name: _plain(value) for name, value in zip(outcome.columns, row, strict=True)} for row in outcome.rows
            ],
            "row_count": len(outcome.rows),
            "truncated": outcome.more,
            "milliseconds": outcome.milliseconds,
            "sql": outcome.sql,
        }


def _parameter(parameter: Parameter, presets: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "label": str(parameter.label),
        "kind": parameter.kind.value,
        "required": parameter.required,
        "default": presets.get(parameter.name, parameter.default),
    }


def _plain(value: Any) -> Any:
    """Values that only a database has, as text."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    try:
        return to_plain(value)
    except TypeError:
        return str(value)
