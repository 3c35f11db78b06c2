"""The buttons of treasury: payouts are held, released and paid again; routes are led elsewhere."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from opsconsole.plans.models import Plan
from opsconsole.treasury.models import Payout, Route
from tests.admin.conftest import contents, messages_of, press, send, verbs
from tests.world import World


def url(row: Any, name: str = "change") -> str:
    return reverse(f"admin:treasury_{row._meta.model_name}_{name}", args=[row.pk])


def test_hold_and_release(world: World, browse: Callable[..., Client]) -> None:
    payout = Payout.objects.get(external_id="PAY-00001")
    client = browse("finance_ops")
    assert press(client, url(payout, "hold")).status_code == 400
    assert messages_of(press(client, url(payout, "hold"), reason="invoice disputed")) == ["The payout is held."]
    payout.refresh_from_db()
    assert (payout.status, payout.hold_reason) == ("held", "invoice disputed")
    assert "invoice disputed" in client.get(url(payout)).content.decode()
    press(client, url(payout, "release"))
    payout.refresh_from_db()
    assert (payout.status, payout.hold_reason) == ("payable", "")
    assert verbs()[-2:] == ["payout.held", "payout.released"]


def test_what_a_plan_has_is_not_held(
    world: World, approved: Callable[..., Plan], browse: Callable[..., Client]
) -> None:
    approved(total="500")
    payout = Payout.objects.filter(status="reserved").first()
    client = browse("pay_admin")
    page = client.get(url(payout, "hold"))
    assert "A plan has reserved it" in page.content.decode()
    before = contents()
    answer = send(client, url(payout, "hold"), reason="stop")
    assert answer.status_code == 409
    assert "The payout is reserved; it cannot become held." in answer.content.decode()
    assert contents() == before


def test_pay_again(world: World, browse: Callable[..., Client], superuser: Any) -> None:
    payout = Payout.objects.get(external_id="PAY-00002")
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update treasury_payouts set status = 'returned' where id = %s", [payout.pk])
    client = browse("finance_ops")
    press(client, url(payout, "retry"), reason="account corrected")
    payout.refresh_from_db()
    assert payout.status == "payable"
    assert send(client, url(payout, "retry"), reason="again").status_code == 409


def test_a_route_is_led_elsewhere(world: World, browse: Callable[..., Client]) -> None:
    client = browse("pay_admin")
    form = client.get(url(world.route, "redirect")).context["form"]
    assert {value for value, _text in form.fields["account"].choices} == {
        str(world.account.pk),
        str(world.iso_account.pk),
    }
    assert form.initial["account"] == str(world.account.pk)
    answer = press(client, url(world.route, "redirect"), account=str(world.iso_account.pk), reason="bank is slow")
    assert messages_of(answer) == ["EUR/* goes through File Bank settlement."]
    route = Route.objects.get()
    assert (route.account_id, route.bank_id) == (world.iso_account.pk, world.iso.pk)
    before = contents()
    for wrong in ({"account": "nonsense"}, {"account": str(world.account.pk), "reason": ""}):
        assert press(client, url(world.route, "redirect"), **wrong).status_code == 400
    assert contents() == before
    assert browse("ops").get(url(world.route, "redirect")).status_code == 403


def test_an_account_shows_what_moved(world: World, executed: Callable[..., Any], browse: Callable[..., Client]) -> None:
    executed(total="500")
    world.account.refresh_from_db()
    page = browse("auditor").get(url(world.account)).content.decode()
    assert "settlement to in transit" in page
    assert f"{world.account.ledger_balance:,.2f}" in page


HEADER = "external_id,beneficiary_name,iban,bic,amount,currency,due_date,remittance"
GOOD = "IN-1,Ada GmbH,DE25370400449046584330,COBADEFFXXX,12.50,EUR,2025-07-01,Invoice 1"


def a_file(*lines: str, name: str = "payouts.csv", packed: bool = False) -> SimpleUploadedFile:
    content = "\n".join([HEADER, *lines, ""]).encode()
    return SimpleUploadedFile(name, gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [False, True])
def test_payouts_come_in_by_file(world: World, browse: Callable[..., Client], packed: bool) -> None:
    client, address = browse("finance_ops"), reverse("admin:treasury_payout_import")
    answer = press(client, address, file=a_file(GOOD, packed=packed))
    assert messages_of(answer) == ["1 payouts loaded (12.50 EUR), 0 were there already."]
    assert Payout.objects.get(external_id="IN-1").beneficiary_name == "Ada GmbH"
    again = press(client, address, file=a_file(GOOD, packed=packed))
    assert messages_of(again) == ["0 payouts loaded (0), 1 were there already."]
    assert verbs().count("payouts.imported") == 1


def test_a_bad_line_refuses_the_file(world: World, browse: Callable[..., Client]) -> None:
    client, address = browse("finance_ops"), reverse("admin:treasury_payout_import")
    before = contents()
    bad = GOOD.replace("IN-1", "IN-2").replace("12.50", "-1")
    answer = press(client, address, file=a_file(GOOD, bad))
    assert answer.status_code == 422
    assert "line 3: amount is not positive" in answer.content.decode()
    for wrong, status in ((SimpleUploadedFile("x.csv", b"a,b\n1,2\n"), 400), (SimpleUploadedFile("x.csv", b""), 400)):
        assert press(client, address, file=wrong).status_code == status
    assert press(client, address).status_code == 400
    assert contents() == before
