"""Bars of a hundred parts, in which every kind of a whole has its share, in the colour of a state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsconsole.core.texts import Text


@dataclass(frozen=True, slots=True)
class Part:
    """So many of one kind; `colour` is a state whose colour the bar has."""

    colour: str
    label: Text
    count: int


@dataclass(frozen=True, slots=True)
class Share:
    """A part as it lies in a bar of a hundred: from where, how long."""

    state: str
    label: Text
    count: int
    start: str
    length: str


def shares_of(parts: Sequence[Part], total: int) -> list[Share]:
    """The parts side by side; those of which there are none are left out."""
    found, start = [], 0.0
    for part in parts:
        if part.count > 0 and total > 0:
            length = part.count * 100 / total
            found.append(Share(part.colour, part.label, part.count, f"{start:.3f}", f"{length:.3f}"))
            start += length
    return found
