"""The journal's one filter: time, actor, verb and subject, as a form; the same fields choose what is exported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib.admin import ListFilter, ModelAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from opsconsole.journal.models import Entry
from opsconsole.journal.narrowing import Narrowing

HTML_TIME: Final = "%Y-%m-%dT%H:%M"
STRETCHES: Final = {
    "hour": (_("last hour"), timedelta(hours=1)),
    "day": (_("last 24 hours"), timedelta(days=1)),
    "week": (_("last 7 days"), timedelta(days=7)),
    "month": (_("last 30 days"), timedelta(days=30)),
}
MOST: Final = 200


def _time(label: Any, help_text: Any) -> forms.DateTimeField:
    return forms.DateTimeField(
        label=label,
        required=False,
        help_text=help_text,
        widget=forms.DateTimeInput({"type": "datetime-local"}, format=HTML_TIME),
    )


def _words(label: Any, help_text: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        max_length=MOST,
        help_text=help_text,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )


class NarrowingFields(forms.Form):
    """What entries can be narrowed by."""

    since = _time(_("From"), _("UTC, this time or later."))
    until = _time(_("Until"), _("UTC, before this time."))
    actor = _words(_("Actor"), _("A user's name, or the id of any actor."))
    verb = _words(_("Verb"), _("In full, as plan.staged; direct_sql for changes that no operation made."))
    subject_kind = _words(_("Kind of subject"), _("A table's name, as treasury_banks."))
    subject_id = _words(_("Id of the subject"), _("In full."))

    def narrowing(self) -> Narrowing:
        """What is meant, as far as it can be understood."""
        known = getattr(self, "cleaned_data", {})
        return Narrowing(**{name: known.get(name) or default for name, default in _NOTHING.items()})


_NOTHING: Final[Mapping[str, Any]] = {
    "since": None,
    "until": None,
    "actor": "",
    "verb": "",
    "subject_kind": "",
    "subject_id": "",
}


class FilterForm(NarrowingFields):
    """The same, with the stretches of time that people ask for most."""

    last = forms.ChoiceField(
        label=_("Time"),
        required=False,
        choices=[("", _("any")), *((name, text) for name, (text, _stretch) in STRETCHES.items())],
    )
    field_order = ("last",)

    def narrowing(self) -> Narrowing:
        """What is meant; a stretch counts from now."""
        found = super().narrowing()
        last = getattr(self, "cleaned_data", {}).get("last")
        if not last or found.since:
            return found
        since = timezone.now() - STRETCHES[last][1]
        return Narrowing(since, found.until, found.actor, found.verb, found.subject_kind, found.subject_id)


def form_of(request: HttpRequest) -> FilterForm:
    """The form as the address fills it in; what is wrong in it is said there and narrows nothing."""
    form = FilterForm({name: request.GET.get(name, "") for name in FilterForm.base_fields}, auto_id="filter_%s")
    form.is_valid()
    return form


class Narrowed(ListFilter):
    """Entries by time, actor, verb and subject."""

    title = _("what is shown")
    template = "console/filter_form.html"

    def __init__(
        self, request: HttpRequest, params: dict[str, Any], model: type[Model], model_admin: ModelAdmin[Any]
    ) -> None:
        super().__init__(request, params, model, model_admin)
        self._form = form_of(request)
        for name in FilterForm.base_fields:
            if name in params:
                self.used_parameters[name] = params.pop(name)

    def has_output(self) -> bool:
        """Always."""
        return True

    def expected_parameters(self) -> list[str | None]:
        """The names of its fields."""
        return [*FilterForm.base_fields]

    def choices(self, _changelist: Any) -> Iterator[Any]:
        """The form."""
        yield {"form": self._form}

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Entry]) -> QuerySet[Entry]:
        """Those that are meant."""
        return self._form.narrowing().of(queryset)
