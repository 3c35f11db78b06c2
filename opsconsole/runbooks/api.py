"""The doors of runbooks: the shelf, a text, the answer of a diagnostic."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.core.http import ConsoleView
from opsconsole.core.openapi import problem_response
from opsconsole.runbooks import access, running
from opsconsole.runbooks.library import FIRST, LANGUAGES
from opsconsole.runbooks.serializers import (
    OutcomeSerializer,
    RunbookDetailSerializer,
    RunbookSerializer,
    found,
    in_full,
    on_the_shelf,
)

TAGS = ["runbooks"]
LANGUAGE = OpenApiParameter("lang", str, enum=LANGUAGES, description="The language of the text; English by default.")
WORDS = OpenApiParameter("q", str, description="Words that all stand in the text, or the name of an alert.")
NAMED = OpenApiParameter(
    "parameters",
    OpenApiTypes.OBJECT,
    style="form",
    explode=True,
    description="The parameters of the diagnostic, each under its own name: `?program_id=…&seconds=2`.",
)
SPENT = OpenApiExample(
    "Budgets",
    value={
        "runbook": "loyalty-budget-exhaustion",
        "name": "budgets-nearly-spent",
        "label": "Programs that have spent 90 % of their budget",
        "columns": [{"name": "name", "label": "program"}, {"name": "pct_used", "label": "% used"}],
        "rows": [{"name": "Gold", "pct_used": "93.50"}],
        "row_count": 1,
        "truncated": False,
        "milliseconds": 4,
        "sql": "select name, pct_used from ...",
    },
    response_only=True,
)


class Asking(ConsoleView):
    """A door that is asked in a language, and takes no parameter that it does not know."""

    pagination_class = None  # the shelf is short, and is whole

    def asked(self, *known: str) -> dict[str, str]:
        """The query; raises ValidationError for a parameter that is not known, or a language that is not spoken."""
        said = {name: self.request.query_params[name] for name in self.request.query_params}
        if unknown := sorted(said.keys() - {"lang", *known}):
            raise ValidationError({name: ["This request has no such parameter."] for name in unknown})
        if said.setdefault("lang", FIRST) not in LANGUAGES:
            raise ValidationError({"lang": [f"This must be one of {', '.join(LANGUAGES)}."]})
        if any("\x00" in text for text in said.values()):
            raise ValidationError({"query": ["NUL characters are not read."]})
        return said


class Runbooks(Asking):
    """The shelf."""

    @extend_schema(
        operation_id="runbooks_list",
        summary="List runbooks",
        tags=TAGS,
        parameters=[LANGUAGE, WORDS],
        responses={200: RunbookSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """All of them, or those in which the words stand."""
        said = self.asked("q")
        books = access.narrowed(access.visible_runbooks(self.actor), said.get("q", ""), said["lang"])
        return Response([on_the_shelf(book, said["lang"]) for book in books])


class OneRunbook(Asking):
    """A runbook."""

    @extend_schema(
        operation_id="runbooks_retrieve",
        summary="One runbook: its text and its live parts",
        tags=TAGS,
        parameters=[LANGUAGE],
        responses={200: RunbookDetailSerializer, 400: problem_response(), 404: problem_response()},
    )
    def get(self, _request: Request, runbook_id: str) -> Response:
        """The text is Markdown; the page of the console shows the same with its parts in their places."""
        book = access.runbook_seen_by(self.actor, runbook_id)
        return Response(in_full(book, self.asked()["lang"]))


class OneDiagnostic(Asking):
    """A diagnostic of a runbook."""

    @extend_schema(
        operation_id="runbooks_diagnose",
        summary="Run a diagnostic of a runbook",
        tags=TAGS,
        parameters=[LANGUAGE, NAMED],
        responses={
            200: OutcomeSerializer,
            400: problem_response(),
            403: problem_response(),
            404: problem_response(),
            503: problem_response("`diagnostic_too_slow` after five seconds, or the database refuses the question."),
        },
        examples=[SPENT],
    )
    def get(self, _request: Request, runbook_id: str, name: str) -> Response:
        """Read only, for five seconds and 200 rows at most; the answer is of this moment."""
        diagnostic, part = access.diagnostic_of(self.actor, runbook_id, name)
        self.actor.require(diagnostic.permission)
        said: dict[str, Any] = self.asked(*(parameter.name for parameter in diagnostic.parameters))
        language = said.pop("lang")
        values = running.values_of(diagnostic.parameters, said, part.presets)
        outcome = running.run(diagnostic, values, actor=self.actor)
        return Response(found(access.runbook_seen_by(self.actor, runbook_id), diagnostic, outcome, language))
