"""Sums that must come out of a restored backup as they went in: the domains name theirs when they are ready."""

from __future__ import annotations

from dataclasses import dataclass

from opsconsole.core.texts import Text


@dataclass(frozen=True, slots=True)
class Figure:
    """One value that says much about many rows; `sql` selects it, in any copy of the database."""

    name: str
    label: Text
    sql: str


_figures: dict[str, Figure] = {}


def register(*figures: Figure) -> None:
    """Have these compared at every backup."""
    for figure in figures:
        _figures[figure.name] = figure


def registered() -> list[Figure]:
    """All figures, by name."""
    return [_figures[name] for name in sorted(_figures)]


def label_of(name: str) -> Text:
    """What a figure is called; one that is no longer known has its name."""
    return _figures[name].label if name in _figures else name
