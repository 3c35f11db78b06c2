"""How the API's lists are narrowed where django-filter would pass over what makes no sense."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django_filters import rest_framework as filters

_MEANT: Final = {"true": True, "1": True, "false": False, "0": False}


class TrueOrFalseField(forms.Field):
    """True or False, None where nothing is given; raises ValidationError for anything else."""

    widget = forms.TextInput

    def to_python(self, value: Any) -> bool | None:
        """What the text means."""
        if value in self.empty_values:
            return None
        try:
            return _MEANT[str(value).lower()]
        except KeyError as error:
            raise ValidationError("Enter true or false.", code="invalid") from error


class TrueOrFalse(filters.Filter):  # type: ignore[misc] # django-filter is untyped
    """`true` or `false`, `1` or `0`. A BooleanFilter takes anything else for no wish at all, and lists everything."""

    field_class = TrueOrFalseField
