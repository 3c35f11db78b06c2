"""The form of a kind of change, made of its fields: what is asked in a browser is what the API takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django import forms
from rest_framework import serializers

from opsconsole.changes.kinds.base import Kind
from opsconsole.changes.kinds.fields import SlotsField, ThresholdsField
from opsconsole.core.admin.actions import ReasonForm
from opsconsole.core.errors import Invalid

LONG_TEXT: Final = 200


class ChangeForm(ReasonForm):
    """The fields of a kind, then the reason. Of a record that is there, what is left as it was is not asked for.

    What the kind objects to is asked here first, in the viewer's language: an operation says everything in English.
    """

    def __init__(self, kind: Kind, current: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kind, self._current = kind, current
        for name, field in kind.fields().fields.items():
            self.fields[name] = _field(field, required=field.required and not kind.edits)
            self.initial.setdefault(name, current.get(name))
            if name in kind.secret_fields:
                self.fields[name].widget = forms.PasswordInput({"autocomplete": "new-password"})
        self.order_fields(["key", *kind.fields().fields, "reason", "typed"])

    def clean(self) -> dict[str, Any]:
        """What was said, if the kind can read it."""
        said = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self._kind.read(payload_of(self._kind, self._current, said))
            except Invalid as refusal:
                self.show(refusal)
        return said


def payload_of(kind: Kind, current: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """What the form asks for, as the API takes it; of a record that is there, only what differs from how it is."""
    names = list(kind.fields().fields)
    if not kind.edits:
        return {name: said[name] for name in names if said.get(name) not in (None, "", [])}
    return {name: said[name] for name in names if name in said and _differs(kind, name, said[name], current.get(name))}


def _differs(kind: Kind, name: str, value: Any, was: Any) -> bool:
    return bool(value) if name in kind.secret_fields or value is None else _text(value) != _text(was)


def _text(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else "" if value is None else str(value).replace("\r\n", "\n")


def _field(field: serializers.Field[Any, Any, Any, Any], *, required: bool) -> forms.Field:
    options: dict[str, Any] = {"label": field.label, "help_text": field.help_text or "", "required": required}
    for of, make in _MAKERS:
        if isinstance(field, of):
            return make(field, options)
    raise TypeError(f"a form has no field for {type(field).__name__}")


def _choice(field: Any, options: dict[str, Any]) -> forms.Field:
    none = [] if options["required"] else [("", "–")]
    return forms.ChoiceField(choices=[*none, *field.choices.items()], **options)


def _several(field: Any, options: dict[str, Any]) -> forms.Field:
    choices = list(field.child.choices.items())
    return forms.MultipleChoiceField(choices=choices, widget=forms.CheckboxSelectMultiple, **options)


def _decimal(field: Any, options: dict[str, Any]) -> forms.Field:
    return forms.DecimalField(max_digits=field.max_digits, decimal_places=field.decimal_places, **options)


def _whole(field: Any, options: dict[str, Any]) -> forms.Field:
    return forms.IntegerField(min_value=field.min_value, max_value=field.max_value, **options)


def _line(field: Any, options: dict[str, Any]) -> forms.Field:
    return forms.CharField(max_length=getattr(field, "max_length", None) or LONG_TEXT, **options)


_MAKERS: Final[list[tuple[type[Any], Callable[[Any, dict[str, Any]], forms.Field]]]] = [
    (serializers.BooleanField, lambda _f, o: forms.BooleanField(**{**o, "required": False})),
    (serializers.ChoiceField, _choice),
    (serializers.ListField, _several),
    (serializers.DecimalField, _decimal),
    (serializers.IntegerField, _whole),
    (serializers.EmailField, lambda f, o: forms.EmailField(max_length=f.max_length, **o)),
    (serializers.UUIDField, lambda _f, o: forms.CharField(max_length=36, **o)),
    (SlotsField, lambda _f, o: forms.CharField(max_length=LONG_TEXT, **o)),
    (ThresholdsField, lambda _f, o: forms.CharField(max_length=2000, widget=forms.Textarea({"rows": 3}), **o)),
    (serializers.CharField, _line),
]
