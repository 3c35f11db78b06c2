"""Payouts one by one: brought in, held, released, retried; denied actors change nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from opsconsole.treasury.errors import ExternalIdTaken, PayoutInvalid, PayoutNotFound
from opsconsole.treasury.models import Payout
from opsconsole.treasury.payouts.facts import PayoutFacts, read_facts
from opsconsole.treasury.selectors import payout_tallies
from opsconsole.treasury.services import payouts, tallies
from tests.treasury.conftest import HEADER, line, verbs
from tests.world import TESTER, World

pytestmark = pytest.mark.django_db(transaction=True)

Person = Callable[..., Actor]


def facts(number: int = 1, **changes: str) -> PayoutFacts:
    return read_facts(dict(zip(HEADER.split(","), line(number, **changes).split(","), strict=True)))


def a_payout() -> Payout:
    return payouts.create_payout(facts=facts(), actor=TESTER)[0]


class TestCreating:
    def test_a_new_one_is_payable_and_journalled(self, person: Person) -> None:
        payout, created = payouts.create_payout(facts=facts(), actor=person("finance_ops"))
        assert (created, payout.status, payout.country) == (True, "payable", "DE")
        entry = Entry.objects.get(verb="payout.created")
        assert (entry.subject_id, entry.actor_name) == (str(payout.pk), "finance_ops")
        assert entry.content["after"]["amount"] == "12.50"

    def test_the_same_again_is_the_same(self) -> None:
        first, _ = payouts.create_payout(facts=facts(), actor=TESTER)
        second, created = payouts.create_payout(facts=facts(), actor=TESTER)
        assert (second.pk, created) == (first.pk, False)
        assert verbs() == ["payout.created"]

    def test_another_under_the_same_id_is_refused(self) -> None:
        a_payout()
        with pytest.raises(ExternalIdTaken) as refused:
            payouts.create_payout(facts=facts(amount="13", remittance="Other"), actor=TESTER)
        assert refused.value.fields["differs"] == ["amount", "remittance"]
        assert Payout.objects.count() == 1

    @pytest.mark.parametrize("role", ["ops", "auditor", "admin", "dev"])
    def test_others_may_not(self, person: Person, role: str) -> None:
        with pytest.raises(Denied):
            payouts.create_payout(facts=facts(), actor=person(role))
        assert not Payout.objects.exists()
        assert verbs() == []

    def test_rivals_make_it_once(self) -> None:
        made: list[bool] = []

        def work() -> None:
            try:
                made.append(payouts.create_payout(facts=facts(), actor=TESTER)[1])
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(made) == [False] * 7 + [True]
        assert verbs() == ["payout.created"]


class TestHolding:
    def test_a_held_payout_says_why_until_it_is_released(self, person: Person) -> None:
        payout = a_payout()
        held = payouts.hold_payout(payout_id=payout.pk, reason=" IBAN unclear ", actor=person("finance_ops"))
        assert (held.status, held.hold_reason) == ("held", "IBAN unclear")
        freed = payouts.release_payout(payout_id=payout.pk, actor=person("pay_admin"))
        assert (freed.status, freed.hold_reason) == ("payable", "")
        entries = Entry.objects.filter(subject_id=str(payout.pk)).order_by("seq")
        assert [(entry.verb, entry.actor_name) for entry in entries] == [
            ("payout.created", "system:test"),
            ("payout.held", "finance_ops"),
            ("payout.released", "pay_admin"),
        ]
        assert entries[1].content["reason"] == "IBAN unclear"
        assert (entries[1].content["before"], entries[1].content["after"]) == (
            {"status": "payable"},
            {"status": "held"},
        )

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 2001])
    def test_a_reason_is_needed(self, reason: str) -> None:
        payout = a_payout()
        with pytest.raises(PayoutInvalid):
            payouts.hold_payout(payout_id=payout.pk, reason=reason, actor=TESTER)
        assert Payout.objects.get().status == "payable"

    def test_only_from_the_right_state(self) -> None:
        payout = a_payout()
        with pytest.raises(WrongState):
            payouts.release_payout(payout_id=payout.pk, actor=TESTER)
        with pytest.raises(WrongState):
            payouts.retry_payout(payout_id=payout.pk, reason="why not", actor=TESTER)
        payouts.hold_payout(payout_id=payout.pk, reason="why", actor=TESTER)
        with pytest.raises(WrongState):
            payouts.hold_payout(payout_id=payout.pk, reason="again", actor=TESTER)
        assert verbs() == ["payout.created", "payout.held"]

    @pytest.mark.parametrize(("role", "error"), [("ops", Denied), ("auditor", Denied), ("dev", PayoutNotFound)])
    def test_others_may_not(self, person: Person, role: str, error: type[Exception]) -> None:
        payout = a_payout()
        actor = person(role)
        calls: list[Callable[[], Any]] = [
            lambda: payouts.hold_payout(payout_id=payout.pk, reason="mine", actor=actor),
            lambda: payouts.release_payout(payout_id=payout.pk, actor=actor),
            lambda: payouts.retry_payout(payout_id=payout.pk, reason="mine", actor=actor),
        ]
        for call in calls:
            with pytest.raises(error):
                call()
        assert Payout.objects.get().status == "payable"
        assert verbs() == ["payout.created"]


def test_bulk_writes_keep_the_tallies(world: World) -> None:
    def tallied() -> dict[tuple[str, str], tuple[int, str]]:
        return {(one.status, one.currency): (one.count, str(one.amount)) for one in payout_tallies()}

    assert tallied() == {("payable", "EUR"): (3, "300.03")}
    payouts.create_payout(facts=facts(amount="7", currency="USD"), actor=TESTER)
    with connection.cursor() as cursor:
        cursor.execute("update treasury_payouts set status = 'held', hold_reason = 'x' where currency = 'EUR'")
        cursor.execute("update treasury_payouts set amount = amount + 1 where external_id = 'PAY-00000'")
        cursor.execute("update treasury_payouts set remittance = 'no difference'")
        cursor.execute("delete from treasury_payouts where external_id = 'PAY-00002'")
    after = {("held", "EUR"): (2, "201.01"), ("payable", "USD"): (1, "7.00")}
    assert tallied() == after
    assert tallies.add_up(actor=TESTER) > 0
    assert tallied() == after
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from treasury_tallies")
        assert cursor.fetchone()[0] == 2
