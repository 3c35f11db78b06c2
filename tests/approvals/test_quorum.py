"""Seating approvers, against trying every seating there is."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.approvals.quorum import Quorum, Slot, count

ROLES = ["ops", "finance_ops", "pay_admin", "risk_manager"]
role_sets = st.sets(st.sampled_from(ROLES), min_size=1, max_size=3)
slots_ = st.lists(st.builds(Slot, role_sets.map(tuple), st.integers(1, 2)), min_size=1, max_size=3)
approvers_ = st.dictionaries(st.sampled_from("abcdef"), st.frozensets(st.sampled_from(ROLES)), max_size=6)
barred_ = st.frozensets(st.sampled_from("abcdef"), max_size=2)


def most_places(slots: list[Slot], approvers: dict[str, frozenset[str]], barred: frozenset[str]) -> int:
    """The most places that any seating fills: every order of people, each order filling what it can."""
    places = [slot for slot in slots for _ in range(slot.count)]
    people = [person for person in approvers if person not in barred]
    people += [None] * len(places)
    best = 0
    for order in set(permutations(people, len(places))):
        filled = sum(
            person is not None and not approvers[person].isdisjoint(place.roles)
            for person, place in zip(order, places, strict=True)
        )
        best = max(best, filled)
    return best


def total(quorum: Quorum) -> int:
    return len(quorum.filled) + sum(slot.count for slot in quorum.open)


@given(slots=slots_, approvers=approvers_, barred=barred_)
def test_fills_as_many_places_as_any_seating(
    slots: list[Slot], approvers: dict[str, frozenset[str]], barred: frozenset[str]
) -> None:
    if sum(slot.count for slot in slots) > 4:
        slots = slots[:2]
    quorum = count(slots, approvers, barred)
    assert len(quorum.filled) == most_places(slots, approvers, barred)
    assert quorum.complete == (len(quorum.filled) == sum(slot.count for slot in slots))


@given(slots=slots_, approvers=approvers_, barred=barred_)
def test_a_seating_is_honest(slots: list[Slot], approvers: dict[str, frozenset[str]], barred: frozenset[str]) -> None:
    quorum = count(slots, approvers, barred)
    people = [seat.person for seat in quorum.filled]
    assert len(people) == len(set(people)), "a person fills one place"
    assert not set(people) & barred
    assert total(quorum) == sum(slot.count for slot in slots), "no place is lost"
    for seat in quorum.filled:
        assert seat.role in approvers[seat.person]
        assert seat.role in seat.slot.roles


@given(slots=slots_, approvers=approvers_, roles=st.frozensets(st.sampled_from(ROLES)))
def test_whoever_has_a_place_keeps_one(
    slots: list[Slot], approvers: dict[str, frozenset[str]], roles: frozenset[str]
) -> None:
    before = {seat.person for seat in count(slots, approvers).filled}
    after = {seat.person for seat in count(slots, {**approvers, "newcomer": roles}).filled}
    assert before <= after


def test_somebody_with_two_roles_makes_room() -> None:
    slots = [Slot(("finance_ops",), 1), Slot(("pay_admin",), 1)]
    both, one = frozenset({"finance_ops", "pay_admin"}), frozenset({"finance_ops"})
    quorum = count(slots, {"both": both, "one": one})
    assert quorum.complete
    assert {seat.person: seat.role for seat in quorum.filled} == {"one": "finance_ops", "both": "pay_admin"}


def test_one_person_with_both_roles_is_one_person() -> None:
    slots = [Slot(("finance_ops",), 1), Slot(("pay_admin",), 1)]
    quorum = count(slots, {"both": frozenset({"finance_ops", "pay_admin"})})
    assert len(quorum.filled) == 1
    assert [str(slot) for slot in quorum.open] in (["1 pay_admin"], ["1 finance_ops"])


def test_barred_people_never_count() -> None:
    quorum = count([Slot(("ops",), 1)], {"me": frozenset({"ops"})}, barred={"me"})
    assert not quorum.complete
    assert quorum.filled == ()


@pytest.mark.parametrize(("roles", "number"), [((), 1), (("",), 1), (("ops",), 0), (("ops",), -1)])
def test_a_slot_asks_somebody(roles: tuple[str, ...], number: int) -> None:
    with pytest.raises(ValueError, match="at least one role"):
        Slot(roles, number)


def test_no_slots_are_no_quorum() -> None:
    with pytest.raises(ValueError, match="without slots"):
        count([], {"anybody": frozenset({"ops"})})
