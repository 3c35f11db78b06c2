"""Filters of lists that stay quick over millions of rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

    Options = list[tuple[str, str | StrPromise]]
else:
    Options = list

_STRETCHES: Final[dict[str, tuple[StrPromise, timedelta]]] = {
    "hour": (_("last hour"), timedelta(hours=1)),
    "day": (_("last 24 hours"), timedelta(days=1)),
    "week": (_("last 7 days"), timedelta(days=7)),
    "month": (_("last 30 days"), timedelta(days=30)),
}


class OneOf(SimpleListFilter):
    """A filter by one of a few options."""

    def options(self, request: HttpRequest) -> Options:
        """What can be chosen: value and text."""
        raise NotImplementedError

    def narrow(self, request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """The rows that fit."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Options:  # noqa: ARG002 - Django's form
        """The options, under Django's name."""
        return self.options(request)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows that fit, all of them where nothing was chosen."""
        value = self.value()
        return self.narrow(request, queryset, value) if value else queryset


class Since(OneOf):
    """Rows of the last hour, day, week or month, by a column that has an index."""

    title = _("time")
    parameter_name = "since"
    column: ClassVar[str]

    @classmethod
    def by(cls, column: str) -> type[Since]:
        """The filter over this column."""
        return type("SinceBy", (cls,), {"column": column})

    def options(self, _request: HttpRequest) -> Options:
        """The stretches of time."""
        return [(name, text) for name, (text, _stretch) in _STRETCHES.items()]

    def narrow(self, _request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """The rows of the stretch; all of them for one that is unknown."""
        if value not in _STRETCHES:
            return rows
        return rows.filter(**{f"{self.column}__gte": timezone.now() - _STRETCHES[value][1]})


class StatusWithin(OneOf):
    """By status: those states that have an index anywhere, all of them once the list is narrowed to one parent."""

    title = _("status")
    parameter_name = "status"
    states: ClassVar[Options]
    indexed: ClassVar[frozenset[str]]
    parents: ClassVar[tuple[str, ...]]

    @classmethod
    def of(cls, states: Any, *, indexed: Iterable[str], parents: tuple[str, ...]) -> type[StatusWithin]:
        """The filter over these states; `parents` are the parameters that narrow the list to one parent."""
        facts = {"states": list(states.choices), "indexed": frozenset(indexed), "parents": parents}
        return type("StatusOf", (cls,), facts)

    def options(self, request: HttpRequest) -> Options:
        """The states that can be looked for."""
        narrowed = any(parameter in request.GET for parameter in self.parents)
        return [(value, text) for value, text in self.states if narrowed or value in self.indexed]

    def narrow(self, _request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """The rows in that state."""
        return rows.filter(status=value)
