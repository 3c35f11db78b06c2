"""The gateway of a bank: one for as long as its row says the same."""

from __future__ import annotations

import pytest

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.treasury.bank_gateways import WrongGateway, gateway_for, payment_gateway
from opsconsole.treasury.gateways.base import FileGateway, PaymentGateway
from opsconsole.treasury.gateways.line import BadGateway
from opsconsole.treasury.models import Bank
from tests.world import TESTER, World

pytestmark = pytest.mark.django_db(transaction=True)


@operation
def change(*, code: str, columns: dict[str, object], actor: Actor) -> None:
    bank = Bank.objects.get(code=code)
    for name, value in columns.items():
        setattr(bank, name, value)
    bank.save(update_fields=list(columns))


def http() -> Bank:
    return Bank.objects.get(code="sandbox")


def test_is_shared_until_the_row_says_something_else(world: World) -> None:
    first = gateway_for(http())
    assert isinstance(first, PaymentGateway)
    assert payment_gateway(http()) is first
    change(code="sandbox", columns={"base_url": "http://127.0.0.1:10"}, actor=TESTER)
    second = payment_gateway(http())
    assert second is not first
    change(code="sandbox", columns={"secret": "another"}, actor=TESTER)
    assert payment_gateway(http()) is not second


def test_a_bank_that_takes_files_has_no_payment_gateway(world: World) -> None:
    bank = Bank.objects.get(code="filebank")
    assert isinstance(gateway_for(bank), FileGateway)
    with pytest.raises(WrongGateway):
        payment_gateway(bank)


def test_an_address_that_cannot_work_is_refused(world: World) -> None:
    change(code="sandbox", columns={"base_url": "http://bank.example.com"}, actor=TESTER)
    with pytest.raises(BadGateway):
        payment_gateway(http())
