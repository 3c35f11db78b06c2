"""Parameters: what the reader types before a diagnostic runs, read by Django's form fields for pages and API alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.texts import Text

LONGEST_TEXT: Final = 200
BIGGEST: Final = 10**15  # with room to multiply: a bigint has 19 digits
MOST_OPTIONS: Final = 50

# Names that the addresses of pages and of the API use for themselves.
RESERVED: Final = frozenset({"run", "lang", "q"})

Options = Callable[[Actor], Iterable[tuple[str, Text]]]


class ParameterKind(StrEnum):
    """What a parameter is."""

    UUID = "uuid"
    TEXT = "text"
    INT = "int"
    DATE = "date"
    MOMENT = "moment"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that is asked for; `options` are offered, and anything else may be typed.

    One that need not be given is None where nothing is typed. `default` is what the form begins with, as it is typed.
    """

    name: str
    label: Text
    kind: ParameterKind
    required: bool = True
    default: str = ""
    least: int = 0
    most: int = BIGGEST
    help: Text = ""
    options: Options | None = None

    def field(self) -> forms.Field:
        """The field that reads it."""
        said: dict[str, Any] = {"label": self.label, "required": self.required, "help_text": self.help}
        match self.kind:
            case ParameterKind.UUID:
                return forms.UUIDField(**said, widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}))
            case ParameterKind.TEXT:
                widget = forms.TextInput({"autocomplete": "off", "spellcheck": "false"})
                return forms.CharField(**said, max_length=LONGEST_TEXT, empty_value=None, widget=widget)
            case ParameterKind.INT:
                return forms.IntegerField(**said, min_value=self.least, max_value=self.most)
            case ParameterKind.DATE:
                return forms.DateField(**said, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
            case ParameterKind.MOMENT:
                said["help_text"] = self.help or _("UTC")
                widget = forms.DateTimeInput({"type": "datetime-local", "step": "1"}, "%Y-%m-%dT%H:%M:%S")
                return forms.DateTimeField(**said, widget=widget)


class ParameterForm(forms.Form):
    """The parameters of one part of a page, or of all of it."""

    required_css_class = "ops-required"

    def __init__(self, parameters: Sequence[Parameter], data: Mapping[str, str] | None, *, part: str) -> None:
        super().__init__(data, auto_id=f"{part}-%s")
        for parameter in parameters:
            self.fields[parameter.name] = parameter.field()

    @property
    def problems(self) -> dict[str, list[Text]]:
        """What is wrong, by parameter."""
        return {name: [str(one) for one in said] for name, said in self.errors.items()}


def filled_in(
    parameters: Sequence[Parameter], typed: Mapping[str, str], presets: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What is typed for these parameters; where nothing is, what the runbook presets, else the default."""
    begun = {parameter.name: parameter.default for parameter in parameters} | dict(presets or {})
    return {parameter.name: typed.get(parameter.name, begun[parameter.name]) for parameter in parameters}


def lacking(parameters: Sequence[Parameter], given: Mapping[str, str]) -> list[Parameter]:
    """Those that must be given and are not."""
    return [parameter for parameter in parameters if parameter.required and not given[parameter.name].strip()]


def united(*groups: Sequence[Parameter]) -> list[Parameter]:
    """Each of them once, by name, in the order in which they come; one that anybody must have is asked of all."""
    found: dict[str, Parameter] = {}
    for parameter in (one for group in groups for one in group):
        if parameter.name not in found or (parameter.required and not found[parameter.name].required):
            found[parameter.name] = parameter
    return list(found.values())


def options_of(parameter: Parameter, actor: Actor) -> list[tuple[str, Text]]:
    """What can be chosen from; there is more where there are many."""
    if parameter.options is None:
        return []
    return list(islice(parameter.options(actor), MOST_OPTIONS))
