"""Several payouts held and released at once: all of them or none, by the service and by the admin's list."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from opsconsole.treasury.errors import PayoutInvalid, PayoutNotFound
from opsconsole.treasury.models import Payout
from opsconsole.treasury.services import payouts
from tests.treasury.conftest import verbs
from tests.world import World, counts

pytestmark = pytest.mark.django_db(transaction=True)

Person = Callable[..., Actor]


@pytest.fixture
def ids(world: World) -> list[object]:
    """The three payouts there are."""
    return list(Payout.objects.order_by("external_id").values_list("pk", flat=True))


def test_held_for_one_reason_and_released(ids: list[object], person: Person) -> None:
    assert payouts.hold_payouts(payout_ids=ids, reason=" IBANs unclear ", actor=person("finance_ops")) == 3
    assert set(Payout.objects.values_list("status", "hold_reason")) == {("held", "IBANs unclear")}
    entries = Entry.objects.filter(verb="payout.held")
    assert {entry.subject_id for entry in entries} == {str(pk) for pk in ids}
    assert {(entry.actor_name, entry.content["reason"]) for entry in entries} == {("finance_ops", "IBANs unclear")}
    assert payouts.release_payouts(payout_ids=ids[:2], actor=person("pay_admin")) == 2
    assert counts("treasury_payouts") == {"held": 1, "payable": 2}
    assert verbs().count("payout.released") == 2


def test_all_or_none(ids: list[object], person: Person) -> None:
    payouts.hold_payout(payout_id=ids[1], reason="alone", actor=person("finance_ops"))
    with pytest.raises(WrongState, match="PAY-00001 cannot become held: only what is payable can"):
        payouts.hold_payouts(payout_ids=ids, reason="all", actor=person("finance_ops"))
    with pytest.raises(WrongState, match="PAY-00000, PAY-00002 cannot become payable"):
        payouts.release_payouts(payout_ids=ids, actor=person("finance_ops"))
    with pytest.raises(PayoutNotFound):
        payouts.hold_payouts(payout_ids=[*ids[:1], world_id()], reason="all", actor=person("finance_ops"))
    with pytest.raises(PayoutInvalid):
        payouts.hold_payouts(payout_ids=ids, reason=" ", actor=person("finance_ops"))
    assert counts("treasury_payouts") == {"held": 1, "payable": 2}
    assert verbs() == ["payouts.made", "payout.held"]


def world_id() -> str:
    return "0198c0de-0000-7000-8000-000000000000"


@pytest.mark.parametrize("role", ["ops", "auditor", "dev", "admin"])
def test_others_may_not(ids: list[object], person: Person, role: str) -> None:
    with pytest.raises(Denied):
        payouts.hold_payouts(payout_ids=ids, reason="mine", actor=person(role))
    with pytest.raises(Denied):
        payouts.release_payouts(payout_ids=ids, actor=person(role))
    assert counts("treasury_payouts") == {"payable": 3}


def browser(person: Person, name: str) -> Client:
    """Somebody in the admin."""
    client = Client()
    client.force_login(person(name).user)
    return client


LIST = "admin:treasury_payout_changelist"


def test_ticked_in_the_list_and_held_for_one_reason(ids: list[object], person: Person) -> None:
    admin = browser(person, "finance_ops")
    ticked = {"action": "hold_ticked", "_selected_action": [str(pk) for pk in ids[:2]], "index": "0"}
    led = admin.post(reverse(LIST), ticked)
    assert led.status_code == 302
    assert counts("treasury_payouts") == {"payable": 3}  # ticking alone changes nothing
    form = admin.get(led["Location"])
    assert form.status_code == 200
    assert form.context["form"].initial["payouts"] == "PAY-00000\nPAY-00001"
    assert b"PAY-00000\nPAY-00001" in form.content.replace(b"\r\n", b"\n")
    sent = {"key": str(form.context["form"].initial["key"]), "payouts": "PAY-00000\r\nPAY-00001\r\n", "reason": "phone"}
    held = admin.post(reverse("admin:treasury_payout_hold-several"), sent)
    assert held.status_code == 302
    assert counts("treasury_payouts") == {"held": 2, "payable": 1}
    assert verbs().count("payout.held") == 2
    again = admin.post(reverse("admin:treasury_payout_hold-several"), sent)  # pressed twice is pressed once
    assert again.status_code == 302
    assert verbs().count("payout.held") == 2


def test_an_id_that_is_none_is_said_at_its_field(ids: list[object], person: Person) -> None:
    admin = browser(person, "pay_admin")
    url = reverse("admin:treasury_payout_release-several")
    key = str(admin.get(url).context["form"].initial["key"])
    answer = admin.post(url, {"key": key, "payouts": "PAY-00000\nNOBODY", "reason": ""})
    assert answer.status_code == 400
    assert "unknown: NOBODY" in answer.content.decode()
    assert counts("treasury_payouts") == {"payable": 3}


@pytest.mark.parametrize("name", ["ops", "auditor"])
def test_the_list_offers_it_to_nobody_else(ids: list[object], person: Person, name: str) -> None:
    admin = browser(person, name)
    shown = admin.get(reverse(LIST)).content.decode()
    assert "_selected_action" not in shown
    assert "hold-several" not in shown
    assert admin.get(reverse("admin:treasury_payout_hold-several")).status_code == 403
    ticked = {"action": "hold_ticked", "_selected_action": [str(ids[0])], "index": "0"}
    assert "hold-several" not in admin.post(reverse(LIST), ticked).get("Location", "")
    assert counts("treasury_payouts") == {"payable": 3}
