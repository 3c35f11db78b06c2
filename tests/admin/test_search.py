"""The palette finds what people have at hand, and nothing that they may not see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from opsconsole.core.admin.display import row_url
from opsconsole.core.models import User
from opsconsole.journal.models import Entry
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.treasury.models import Payout
from tests.world import World


def find(client: Client, words: str) -> list[str]:
    """The addresses of what is found."""
    answer = client.get(reverse("admin:search"), {"s": words, "extended": "1"})
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    return [one.link for one in answer.context["results"]]


@pytest.fixture
def ran(world: World, executed: Callable[..., tuple[Plan, Run]]) -> tuple[Plan, Run]:
    return executed(total="500")


def test_everything_by_what_it_is_known_by(world: World, ran: tuple[Plan, Run], browse: Callable[..., Client]) -> None:
    client = browse("auditor")
    plan, run = ran
    step = Step.objects.order_by("seq").first()
    payout = Payout.objects.get(external_id="PAY-00030")
    entry = Entry.objects.order_by("seq").first()
    assert step
    assert entry
    known: list[tuple[str, Any]] = [
        ("plan-1", plan),
        ("payou", plan),  # a part of its name, in any case
        (str(plan.pk), plan),
        (str(plan.pk)[:13], plan),
        (str(run.pk), run),
        (step.key, step),
        ("PAY-00030", payout),
        (world.account.iban, world.account),
        (" ".join(str(world.account.iban)[n : n + 4] for n in range(0, 24, 4)), world.account),
        ("sandb", world.http),
        ("finance", User.objects.get(username="finance_ops")),
        (str(entry.pk), entry),
        (str(entry.seq), entry),
    ]
    for words, row in known:
        assert row_url(row) in find(client, words), words
    named = {row_url(one) for one in Payout.objects.filter(beneficiary_name__startswith="Payee 3")}
    assert set(find(client, "Payee 3")) <= named
    assert find(client, "Payee 3")
    assert find(client, "Paym") == []
    assert reverse("admin:treasury_payout_changelist") in find(client, "payo")


@pytest.mark.parametrize("words", ["", " ", "x", "%", "0" * 300, "\x00", "';--", "-1", "99999999999999999999"])
def test_nothing_comes_of_nonsense(ran: tuple[Plan, Run], browse: Callable[..., Client], words: str) -> None:
    assert find(browse("auditor"), words) == []


def test_nobody_finds_what_they_may_not_see(world: World, ran: tuple[Plan, Run], browse: Callable[..., Client]) -> None:
    plan, run = ran
    for name in ("dev", "trader"):
        client = browse(name)
        for words in ("plan-1", str(plan.pk), str(run.pk), "PAY-00003", world.account.iban, "sandb", "finance"):
            assert find(client, str(words)) == []
    assert row_url(User.objects.get(username="finance_ops")) not in find(browse("ops"), "finance")
    assert Client().get(reverse("admin:search"), {"s": "plan-1"}).status_code == 302


def test_a_search_asks_the_same_for_many_rows(ran: tuple[Plan, Run], browse: Callable[..., Client]) -> None:
    client = browse("auditor")
    find(client, "nothing-like-it")
    with CaptureQueriesContext(connection) as queries:
        find(client, "PAY")
    assert len(queries) <= 40
    assert not [query["sql"] for query in queries if "COUNT(" in query["sql"]]
