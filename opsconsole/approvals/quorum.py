"""Who has agreed and who is still needed: slots filled by maximum bipartite matching.

A policy is an AND of slots, a slot asks for a number of different people who each hold one of its roles, and a person
fills at most one place. Somebody who holds two roles is seated where the most places get filled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from django.utils.translation import gettext


@dataclass(frozen=True, slots=True)
class Slot:
    """`count` different people are needed, each of whom holds one of `roles`."""

    roles: tuple[str, ...]
    count: int

    def __post_init__(self) -> None:
        if not self.roles or not all(self.roles) or self.count < 1:
            raise ValueError(f"a slot takes at least one role and one person, not {self.roles} x {self.count}")
        object.__setattr__(self, "roles", tuple(sorted(set(self.roles))))

    def admits(self, roles: Collection[str]) -> str | None:
        """The first of the slot's roles among these; None when none of them fits."""
        return next((role for role in self.roles if role in roles), None)

    def __str__(self) -> str:
        return f"{self.count} {' or '.join(self.roles)}"


@dataclass(frozen=True, slots=True)
class Seat:
    """A place that is filled: by whom, and by which of their roles."""

    person: str
    role: str
    slot: Slot


@dataclass(frozen=True, slots=True)
class Quorum:
    """The places that are filled, and the slots that still want people."""

    filled: tuple[Seat, ...]
    open: tuple[Slot, ...]

    @property
    def complete(self) -> bool:
        """Nobody is needed any more."""
        return not self.open

    def seats(self, person: str) -> bool:
        """Whether this person's approval fills a place."""
        return any(seat.person == person for seat in self.filled)


def in_words(slots: Iterable[Slot]) -> str:
    """The slots as a phrase in the language of whoever looks: `1 pay_admin and 2 ops or finance_ops`."""
    both, either = gettext("and"), gettext("or")
    return f" {both} ".join(f"{slot.count} {f' {either} '.join(slot.roles)}" for slot in slots)


def count(
    slots: Sequence[Slot],
    approvers: Mapping[str, Collection[str]],
    barred: AbstractSet[str] = frozenset(),
) -> Quorum:
    """Seat the approvers (person -> roles, first come first) so that as many places as possible are filled.

    Barred people are never seated. Whoever has a place keeps one when others come later. Without slots nothing can
    be complete: ValueError.
    """
    if not slots:
        raise ValueError("a quorum without slots would be complete before anybody agreed")
    places = [slot for slot in slots for _ in range(slot.count)]
    taken: dict[int, str] = {}

    def seat(person: str, tried: set[int]) -> bool:
        # An augmenting path (Kuhn): take a free place, or one whose holder can move to another.
        for number, place in enumerate(places):
            if number in tried or place.admits(approvers[person]) is None:
                continue
            tried.add(number)
            if number not in taken or seat(taken[number], tried):
                taken[number] = person
                return True
        return False

    for person in approvers:
        if person not in barred:
            seat(person, set())
    return _quorum(slots, places, taken, approvers)


def _quorum(
    slots: Sequence[Slot],
    places: Sequence[Slot],
    taken: Mapping[int, str],
    approvers: Mapping[str, Collection[str]],
) -> Quorum:
    filled = tuple(
        Seat(taken[number], place.admits(approvers[taken[number]]) or "", place)
        for number, place in enumerate(places)
        if number in taken
    )
    still_open: list[Slot] = []
    first = 0
    for slot in slots:
        missing = sum(number not in taken for number in range(first, first + slot.count))
        first += slot.count
        if missing:
            still_open.append(Slot(slot.roles, missing))
    return Quorum(filled, tuple(still_open))
