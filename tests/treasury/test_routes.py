"""Routes and banks: changed by those who may, to what can pay; set up by the installation alone."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import pytest

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.journal.models import Entry
from opsconsole.treasury import ledger
from opsconsole.treasury.errors import AccountNotFound, RouteNotFound, RouteRefused
from opsconsole.treasury.models import Account, Bank, Route
from opsconsole.treasury.selectors import route_of
from opsconsole.treasury.services import banks, routes
from opsconsole.treasury.services.banks import BankFacts
from tests.treasury.conftest import verbs
from tests.world import TESTER, World

pytestmark = pytest.mark.django_db(transaction=True)

Person = Callable[..., Actor]


def change(world: World, account: UUID, actor: Actor) -> Route:
    return routes.change_route(route_id=world.route.pk, account_id=account, reason="cheaper", actor=actor)


def test_leads_through_another_account_and_its_bank(world: World, person: Person) -> None:
    route = change(world, world.iso_account.pk, person("pay_admin"))
    assert (route.account_id, route.bank_id) == (world.iso_account.pk, world.iso.pk)
    entry = Entry.objects.get(verb="route.changed")
    assert entry.content["before"] == {"account": str(world.account.pk), "bank": str(world.http.pk)}
    assert entry.content["after"] == {"account": str(world.iso_account.pk), "bank": str(world.iso.pk)}
    assert entry.content["reason"] == "cheaper"


def test_the_same_account_changes_nothing(world: World, person: Person) -> None:
    change(world, world.account.pk, person("pay_admin"))
    assert verbs("route") == []


def test_only_to_an_account_that_can_pay(world: World) -> None:
    in_transit = Account.objects.get(bank=world.iso, kind="in_transit")
    dollars = banks.open_account(
        bank_id=world.iso.pk, name="Dollars", iban="FR7630006000011234567890189", currency="USD", actor=TESTER
    )
    for account in (in_transit.pk, dollars.pk):
        with pytest.raises(RouteRefused):
            change(world, account, TESTER)
    Account.objects.filter(pk=world.iso_account.pk).update(status="frozen")
    with pytest.raises(RouteRefused, match="frozen"):
        change(world, world.iso_account.pk, TESTER)
    Account.objects.filter(pk=world.iso_account.pk).update(status="active")
    Bank.objects.filter(pk=world.iso.pk).update(status="paused")
    with pytest.raises(RouteRefused, match="paused"):
        change(world, world.iso_account.pk, TESTER)
    with pytest.raises(AccountNotFound):
        change(world, UUID(int=1), TESTER)
    assert Route.objects.get(pk=world.route.pk).account_id == world.account.pk
    assert verbs("route.changed") == []


@pytest.mark.parametrize(
    ("role", "error"), [("finance_ops", Denied), ("ops", Denied), ("auditor", Denied), ("dev", RouteNotFound)]
)
def test_others_may_not(world: World, person: Person, role: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        change(world, world.iso_account.pk, person(role))
    assert Route.objects.get(pk=world.route.pk).account_id == world.account.pk
    assert verbs("route.changed") == []


def test_the_route_of_a_country_goes_before_the_one_for_any(world: World) -> None:
    banks.open_route(currency="EUR", country="FR", account_id=world.iso_account.pk, actor=TESTER)
    found = {country: route_of("EUR", country) for country in ("FR", "DE")}
    assert {country: route.bank_id for country, route in found.items() if route} == {
        "FR": world.iso.pk,
        "DE": world.http.pk,
    }
    assert route_of("USD", "FR") is None


class TestSettingUp:
    facts = BankFacts(
        code="new", name="New Bank", bic="NEWBDEFFXXX", gateway="http", base_url="http://127.0.0.1:1", secret="s3cret"
    )

    @pytest.mark.parametrize("role", ["pay_admin", "admin", "finance_ops"])
    def test_is_in_no_role(self, world: World, person: Person, role: str) -> None:
        actor, account = person(role), world.account.pk
        calls: list[Callable[[], object]] = [
            lambda: banks.set_up_bank(facts=self.facts, actor=actor),
            lambda: banks.open_account(bank_id=world.http.pk, name="a", iban="x", currency="EUR", actor=actor),
            lambda: banks.open_route(currency="EUR", country="FR", account_id=account, actor=actor),
            lambda: banks.fund_account(account_id=account, amount=Decimal(1), reference="r", actor=actor),
        ]
        before = (Bank.objects.count(), Account.objects.count(), Route.objects.count(), Entry.objects.count())
        for call in calls:
            with pytest.raises(Denied):
                call()
        assert before == (Bank.objects.count(), Account.objects.count(), Route.objects.count(), Entry.objects.count())

    def test_says_what_changed_and_never_the_secret(self) -> None:
        first = banks.set_up_bank(facts=self.facts, actor=TESTER)
        again = banks.set_up_bank(facts=self.facts, actor=TESTER)
        assert again.pk == first.pk
        assert verbs("bank") == ["bank.set_up"]
        moved = BankFacts(**{**_as_dict(self.facts), "base_url": "http://127.0.0.1:2", "secret": "other"})
        banks.set_up_bank(facts=moved, actor=TESTER)
        bank = Bank.objects.get(code="new")
        assert (bank.base_url, bank.secret.reveal()) == ("http://127.0.0.1:2", "other")
        entry = Entry.objects.get(verb="bank.changed")
        assert entry.content["before"] == {"base_url": "http://127.0.0.1:1", "secret": "(hidden)"}
        assert entry.content["after"] == {"base_url": "http://127.0.0.1:2", "secret": "(hidden)"}
        assert not Entry.objects.filter(body__contains="s3cret").exists()

    def test_an_account_comes_with_the_ledgers_own_and_its_money_once(self) -> None:
        bank = banks.set_up_bank(facts=self.facts, actor=TESTER)
        opened = [
            banks.open_account(
                bank_id=bank.pk, name="Ours", iban="FR7630006000011234567890189", currency="EUR", actor=TESTER
            )
            for _ in range(2)
        ]
        assert opened[0].pk == opened[1].pk
        kinds = sorted(Account.objects.filter(bank=bank).values_list("kind", flat=True))
        assert kinds == ["funding", "in_transit", "paid_out", "settlement"]
        for expected in (True, False):
            booked = banks.fund_account(
                account_id=opened[0].pk, amount=Decimal("5.00"), reference="first", actor=TESTER
            )
            assert booked is expected
        assert Account.objects.get(pk=opened[0].pk).ledger_balance == 5
        assert ledger.prove() == []
        assert verbs("account.funded") == ["account.funded"]


def _as_dict(facts: BankFacts) -> dict[str, object]:
    return {name: getattr(facts, name) for name in BankFacts.__slots__}
