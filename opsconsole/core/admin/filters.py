"""Filters of lists that stay quick over millions of rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar, Final

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from opsconsole.core.admin.display import Text

_STRETCHES: Final[dict[str, tuple[Text, timedelta]]] = {
    "hour": (_("last hour"), timedelta(hours=1)),
    "day": (_("last 24 hours"), timedelta(days=1)),
    "week": (_("last 7 days"), timedelta(days=7)),
    "month": (_("last 30 days"), timedelta(days=30)),
}


class Since(SimpleListFilter):
    """Rows of the last hour, day, week or month, by a column that has an index."""

    title = _("time")
    parameter_name = "since"
    column: ClassVar[str]

    @classmethod
    def by(cls, column: str) -> type[Since]:
        """The filter over this column."""
        return type("SinceBy", (cls,), {"column": column})

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Text]]:  # noqa: ARG002
        """The stretches of time."""
        return [(name, text) for name, (text, _stretch) in _STRETCHES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's form
        """The rows of the stretch."""
        stretch = _STRETCHES.get(self.value() or "")
        if stretch is None:
            return queryset
        return queryset.filter(**{f"{self.column}__gte": timezone.now() - stretch[1]})


class StatusWithin(SimpleListFilter):
    """By status: those states that have an index anywhere, all of them once the list is narrowed to one parent."""

    title = _("status")
    parameter_name = "status"
    choices_of_all: ClassVar[list[tuple[str, Any]]]
    indexed: ClassVar[frozenset[str]]
    parents: ClassVar[tuple[str, ...]]

    @classmethod
    def of(cls, states: Any, *, indexed: Iterable[str], parents: tuple[str, ...]) -> type[StatusWithin]:
        """The filter over these states; `parents` are the parameters that narrow the list to one parent."""
        facts = {"choices_of_all": list(states.choices), "indexed": frozenset(indexed), "parents": parents}
        return type("StatusOf", (cls,), facts)

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Text]]:  # noqa: ARG002
        """The states that can be looked for."""
        narrowed = any(parameter in request.GET for parameter in self.parents)
        return [(value, text) for value, text in self.choices_of_all if narrowed or value in self.indexed]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's form
        """The rows in that state."""
        return queryset.filter(status=self.value()) if self.value() else queryset
