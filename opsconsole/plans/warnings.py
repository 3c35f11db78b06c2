"""The warnings of an impact: stored and approved in English, shown in the language of whoever reads them.

A plan type declares each warning as a code and a template that is translated lazily. What is stored is the code, the
English sentence and the facts that fill the template. A page shows the translation only where its English, filled with
the stored facts, is to the letter what is stored, and thus what was approved; anything else is shown as it is stored.
So one code may have several templates, and rows that an older template wrote stay readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.text import format_lazy

from opsconsole.core.canonical import to_plain
from opsconsole.core.texts import Text, english
from opsconsole.plans.types import registered

OWN: Final = frozenset(("code", "message", "facts"))


@dataclass(frozen=True, slots=True)
class Template:
    """A warning that can be given: its code, and its sentence with named placeholders."""

    code: str
    text: Text

    def of(self, *, also: Mapping[str, Any] | None = None, **facts: Any) -> dict[str, Any]:
        """The warning as an impact keeps it; `also` are members that stand beside its sentence, as tables or lists.

        A count that chooses between singular and plural is given as an int.
        """
        plain = to_plain(facts)
        return {
            "code": self.code,
            "message": english(format_lazy(self.text, **plain)),
            "facts": plain,
            **to_plain(dict(also or {})),
        }


_templates: dict[str, list[Template]] = {}


def declare(code: str, text: Text) -> Template:
    """Make a warning known to the pages; to be called once, where a module is read."""
    template = Template(code, text)
    _templates.setdefault(code, []).append(template)
    return template


def told(warning: Mapping[str, Any]) -> Text:
    """The sentence of a stored warning, to be shown in the language of whoever looks."""
    facts = warning.get("facts") or {}
    for template in _templates.get(warning["code"], ()):
        text = format_lazy(template.text, **facts)
        try:
            if english(text) == warning["message"]:
                return text
        except LookupError:  # another template of this code, with other facts
            continue
    return str(warning["message"])


def told_irreversible(stored: str) -> Text:
    """What cannot be undone, as it is stored in an impact, to be shown in the language of whoever looks."""
    known = (plan_type.irreversible for plan_type in registered())
    return next((text for text in known if english(text) == stored), stored)


def as_read(impact: Mapping[str, Any]) -> dict[str, Any]:
    """A stored impact with its sentences in the viewer's language, and without the facts that fill them."""
    given = [
        {**{name: value for name, value in one.items() if name != "facts"}, "message": str(told(one))}
        for one in impact["warnings"]
    ]
    return {**impact, "warnings": given, "irreversible": str(told_irreversible(impact["irreversible"]))}
