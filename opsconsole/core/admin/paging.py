"""Paging over lists that may have millions of rows: what is counted, and what can be walked to, has an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from opsconsole.core.admin.display import number

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
    _ChangeList = ChangeList
else:
    from unfold.views import ChangeList as _ChangeList

    _Paginator = Paginator

MOST = 10_000


class CappedPaginator(_Paginator):
    """Counts up to MOST rows and pages through no more: who looks for older ones narrows the list."""

    template_name = "console/pagination.html"

    @cached_property
    def found(self) -> int:
        """How many rows there are, or one more than MOST."""
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return rows.order_by().values("pk")[: MOST + 1].count()

    @cached_property
    def count(self) -> int:
        """How many rows can be paged through."""
        return min(self.found, MOST)

    @property
    def told(self) -> str:
        """The same with separators for thousands."""
        return number(self.count)

    @property
    def capped(self) -> bool:
        """Whether there are more rows than can be paged through."""
        return self.found > MOST


class NarrowList(_ChangeList):
    """A list that never asks how many rows there are in all."""

    def get_results(self, request: HttpRequest) -> None:
        """The page; the count of everything is that of what is shown."""
        super().get_results(request)
        self.full_result_count = self.result_count
