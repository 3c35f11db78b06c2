"""What the domains know of the things that calendars name; a misspelled bank would freeze nothing and say nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

_bank_lookups: list[Callable[[Iterable[str]], set[str]]] = []


def register_banks(existing: Callable[[Iterable[str]], set[str]]) -> None:
    """Have this domain asked which of these bank codes it knows."""
    _bank_lookups.append(existing)


def unknown_banks(codes: Iterable[str]) -> list[str]:
    """Those of the codes that no domain knows."""
    wanted = set(codes)
    for existing in _bank_lookups if wanted else ():
        wanted -= existing(wanted)
    return sorted(wanted)
