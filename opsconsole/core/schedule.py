"""Periodic work: sweepers and sealers, registered where they live and run by the one `manage.py scheduler`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Periodic:
    """A function to call every so often; `name` is its dotted path."""

    name: str
    every: timedelta
    run: Callable[[], object]


_registered: dict[str, Periodic] = {}


def periodic(*, every: timedelta) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Register a function of an app's `jobs.py` to be called by the scheduler."""

    def register(function: Callable[[], object]) -> Callable[[], object]:
        name = f"{function.__module__}.{function.__qualname__}"
        _registered[name] = Periodic(name, every, function)
        return function

    return register


def registered() -> list[Periodic]:
    """Everything periodic, by name."""
    return [_registered[name] for name in sorted(_registered)]
