"""The API of treasury, as a caller with a token meets it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from guardian.shortcuts import assign_perm
from rest_framework.test import APIClient

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry
from opsconsole.treasury.models import Account, Bank, Payout, Route
from tests.treasury.conftest import HEADER, line, verbs
from tests.world import TESTER, World, add_payouts

pytestmark = pytest.mark.django_db(transaction=True)

Api = Callable[..., APIClient]
URL = "/api/ops"


def body(number: int = 1, **changes: Any) -> dict[str, Any]:
    return dict(zip(HEADER.split(","), line(number).split(","), strict=True)) | changes


class TestBringingIn:
    def test_201_then_200_then_409(self, api: Api) -> None:
        client = api("finance_ops")
        first = client.post(f"{URL}/payouts", body())
        assert first.status_code == 201
        assert first.data["amount"] == "12.50"
        assert (first.data["status"], first.data["plan_id"], first.data["country"]) == ("payable", None, "DE")
        again = client.post(f"{URL}/payouts", body())
        assert (again.status_code, again.data) == (200, first.data)
        other = client.post(f"{URL}/payouts", body(amount="13"))
        assert (other.status_code, other.data["code"], other.data["differs"]) == (409, "external_id_taken", ["amount"])
        assert Payout.objects.count() == 1
        assert verbs() == ["payout.created"]

    def test_takes_camel_case_numbers_and_printed_ibans(self, api: Api) -> None:
        sent = {
            "externalId": "X-1",
            "beneficiaryName": "Ann",
            "iban": "DE25 3704 0044 9046 5843 30",
            "bic": "COBADEFFXXX",
            "amount": 12.5,
            "currency": "EUR",
            "dueDate": "2025-07-01",
        }
        answer = api("pay_admin").post(f"{URL}/payouts", sent)
        assert (answer.status_code, answer.data["amount"], answer.data["remittance"]) == (201, "12.50", "")
        assert answer.data["iban"] == "DE25370400449046584330"

    def test_the_four_cases_of_an_idempotency_key(self, api: Api) -> None:
        client = api("finance_ops")
        headers = {"Idempotency-Key": "k-1"}
        first = client.post(f"{URL}/payouts", body(), headers=headers)
        again = client.post(f"{URL}/payouts", body(), headers=headers)
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json() == first.json()
        assert again.headers["Idempotency-Replayed"] == "true"
        assert client.post(f"{URL}/payouts", body(2), headers=headers).status_code == 422
        assert client.post(f"{URL}/payouts", body(2), headers={"Idempotency-Key": ""}).status_code == 400
        assert Payout.objects.count() == 1

    @pytest.mark.parametrize(
        ("changes", "column"),
        [
            ({"iban": "DE26370400449046584330"}, "iban"),
            ({"bic": "NOBIC"}, "bic"),
            ({"amount": "0"}, "amount"),
            ({"amount": "-1"}, "amount"),
            ({"amount": "1.005"}, "amount"),
            ({"amount": "abc"}, "amount"),
            ({"amount": "1e400"}, "amount"),
            ({"amount": None}, "amount"),
            ({"amount": "150.5", "currency": "JPY"}, "amount"),
            ({"currency": "XXX"}, "currency"),
            ({"due_date": "2025-13-01"}, "due_date"),
            ({"due_date": "0001-01-01"}, "due_date"),
            ({"beneficiary_name": "x" * 141}, "beneficiary_name"),
            ({"beneficiary_name": "a\nb"}, "beneficiary_name"),
            ({"beneficiary_name": ["a"]}, "beneficiary_name"),
            ({"external_id": ""}, "external_id"),
        ],
    )
    def test_400_says_which_field(self, api: Api, changes: dict[str, Any], column: str) -> None:
        answer = api("finance_ops").post(f"{URL}/payouts", body(**changes))
        assert answer.status_code == 400
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert list(answer.json()["errors"]) == [column]
        assert not Payout.objects.exists()

    @pytest.mark.parametrize("role", ["ops", "auditor", "dev", "trader", "admin"])
    def test_403_for_others(self, api: Api, role: str) -> None:
        assert api(role).post(f"{URL}/payouts", body()).status_code == 403
        assert not Payout.objects.exists()
        assert verbs() == []

    def test_401_for_strangers(self, api: Api) -> None:
        for client in (api(), APIClient(headers={"Authorization": "Bearer nonsense"})):
            answer = client.post(f"{URL}/payouts", body())
            assert answer.status_code == 401
            assert "WWW-Authenticate" in answer.headers


class TestListing:
    @pytest.fixture
    def many(self) -> None:
        add_payouts(count=1200, amount=Decimal(5), actor=TESTER, prefix="MANY")

    @pytest.mark.usefixtures("world", "many")
    def test_every_payout_stands_on_one_page(self, api: Api) -> None:
        # All of them were made in the same instant.
        client, seen, url = api("auditor"), [], f"{URL}/payouts?page_size=200"
        while url:
            page = client.get(url).json()
            assert set(page) == {"results", "next", "previous"}
            seen += [payout["external_id"] for payout in page["results"]]
            url = page["next"]
        assert len(seen) == len(set(seen)) == 1203

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("status=payable", 3),
            ("status=settled", 0),
            ("currency=EUR", 3),
            ("currency=USD", 0),
            ("due_before=2025-07-02", 1),
            ("due_before=2025-07-01", 0),
            ("search=PAY-", 3),
            ("search=PAY-00001", 1),
            ("search=Payee", 3),
            ("search=FR76%203000%206000%200112%203456%207890%20189", 1),
            ("search=%25", 0),
            ("plan=00000000-0000-4000-8000-000000000000", 0),
        ],
    )
    @pytest.mark.usefixtures("world")
    def test_narrows(self, api: Api, query: str, count: int) -> None:
        answer = api("ops").get(f"{URL}/payouts?{query}")
        assert (answer.status_code, len(answer.json()["results"])) == (200, count)

    @pytest.mark.parametrize("query", ["status=lost", "due_before=soon", "plan=x", "currency=EURO", "search=%00"])
    @pytest.mark.usefixtures("world")
    def test_400_for_a_filter_that_is_none(self, api: Api, query: str) -> None:
        assert api("ops").get(f"{URL}/payouts?{query}").status_code == 400

    @pytest.mark.usefixtures("world")
    def test_money_is_a_string(self, api: Api) -> None:
        client = api("ops")
        amounts = {one["amount"] for one in client.get(f"{URL}/payouts").json()["results"]}
        assert amounts == {"100.00", "100.01", "100.02"}
        balances = {one["ledger_balance"] for one in client.get(f"{URL}/accounts").json()["results"]}
        assert "1000.00" in balances
        fees = {one["code"]: one["fee_per_payment"] for one in client.get(f"{URL}/banks").json()["results"]}
        assert fees == {"sandbox": "0.20", "filebank": "0.00"}

    @pytest.mark.usefixtures("world")
    def test_shows_no_secret(self, api: Api) -> None:
        said = api("auditor").get(f"{URL}/banks").content.decode()
        assert "secret" not in said
        assert "127.0.0.1" not in said


class TestHoldAndRelease:
    @pytest.mark.usefixtures("world")
    def test_holds_and_releases(self, api: Api) -> None:
        one, client = Payout.objects.first(), api("finance_ops")
        assert one is not None
        held = client.post(f"{URL}/payouts/{one.pk}/hold", {"reason": "asked by phone"})
        assert (held.status_code, held.data["status"], held.data["hold_reason"]) == (200, "held", "asked by phone")
        assert client.post(f"{URL}/payouts/{one.pk}/hold", {"reason": "again"}).status_code == 409
        assert client.post(f"{URL}/payouts/{one.pk}/hold", {}).status_code == 400
        assert client.post(f"{URL}/payouts/{one.pk}/retry", {"reason": "no"}).status_code == 409
        freed = client.post(f"{URL}/payouts/{one.pk}/release")
        assert (freed.status_code, freed.data["status"]) == (200, "payable")
        assert verbs("payout.") == ["payout.held", "payout.released"]

    @pytest.mark.usefixtures("world")
    def test_once_under_a_key(self, api: Api) -> None:
        one, client = Payout.objects.first(), api("finance_ops")
        assert one is not None
        headers = {"Idempotency-Key": "hold-1"}
        for _ in range(2):
            answer = client.post(f"{URL}/payouts/{one.pk}/hold", {"reason": "asked"}, headers=headers)
            assert answer.status_code == 200
        assert verbs("payout.") == ["payout.held"]

    @pytest.mark.parametrize(("role", "status"), [("ops", 403), ("auditor", 403), ("dev", 404), ("ops_marketing", 404)])
    @pytest.mark.parametrize("action", ["hold", "release", "retry"])
    @pytest.mark.usefixtures("world")
    def test_others_may_not(self, api: Api, role: str, status: int, action: str) -> None:
        one = Payout.objects.first()
        assert one is not None
        answer = api(role).post(f"{URL}/payouts/{one.pk}/{action}", {"reason": "mine"})
        assert answer.status_code == status
        assert set(Payout.objects.values_list("status", flat=True)) == {"payable"}
        assert verbs("payout.") == []


class TestRoutes:
    def test_changes_a_route(self, api: Api, world: World) -> None:
        url = f"{URL}/routes/{world.route.pk}"
        answer = api("pay_admin").patch(url, {"account_id": str(world.iso_account.pk), "reason": "cheaper"})
        assert (answer.status_code, answer.data["bank"]) == (200, "filebank")
        assert answer.data["account"] == world.iso_account.iban
        assert verbs("route") == ["route.changed"]

    def test_refuses_in_words(self, api: Api, world: World) -> None:
        url, client = f"{URL}/routes/{world.route.pk}", api("pay_admin")
        in_transit = Account.objects.filter(kind="in_transit").values_list("pk", flat=True)[0]
        for account, status in ((in_transit, 422), (uuid4(), 404), ("x", 400)):
            assert client.patch(url, {"account_id": str(account), "reason": "r"}).status_code == status
        assert client.patch(url, {"account_id": str(world.iso_account.pk)}).status_code == 400
        assert (
            client.patch(f"{URL}/routes/{uuid4()}", {"account_id": str(in_transit), "reason": "r"}).status_code == 404
        )
        assert Route.objects.get(pk=world.route.pk).account_id == world.account.pk

    @pytest.mark.parametrize(("role", "status"), [("finance_ops", 403), ("auditor", 403), ("dev", 404)])
    def test_others_may_not(self, api: Api, world: World, role: str, status: int) -> None:
        url = f"{URL}/routes/{world.route.pk}"
        answer = api(role).patch(url, {"account_id": str(world.iso_account.pk), "reason": "mine"})
        assert answer.status_code == status
        assert Route.objects.get(pk=world.route.pk).account_id == world.account.pk
        assert verbs("route") == []


LISTS = ("payouts", "banks", "accounts", "routes")


class TestSight:
    @pytest.mark.parametrize("name", LISTS)
    @pytest.mark.parametrize("role", ["pay_admin", "finance_ops", "ops", "auditor"])
    @pytest.mark.usefixtures("world")
    def test_these_roles_see_all(self, api: Api, role: str, name: str) -> None:
        answer = api(role).get(f"{URL}/{name}")
        assert answer.status_code == 200
        assert answer.json()["results"]

    @pytest.mark.parametrize("name", LISTS)
    @pytest.mark.parametrize("role", ["dev", "trader", "risk_manager", "ops_marketing", "admin"])
    @pytest.mark.usefixtures("world")
    def test_these_see_nothing(self, api: Api, role: str, name: str) -> None:
        assert api(role).get(f"{URL}/{name}").status_code == 403

    def test_one_object_is_not_found_without_the_right(self, api: Api, world: World) -> None:
        payout = Payout.objects.values_list("pk", flat=True)[0]
        for path in (f"payouts/{payout}", f"accounts/{world.account.pk}"):
            assert api("ops").get(f"{URL}/{path}").status_code == 200
            assert api("dev").get(f"{URL}/{path}").status_code == 404
            assert api("ops").get(f"{URL}/{path.split('/')[0]}/{uuid4()}").status_code == 404

    def test_a_grant_shows_the_one_object_and_no_other(
        self, api: Api, world: World, person: Callable[..., Actor]
    ) -> None:
        grant(user=person("dev"), permission="treasury.view_bank", row=world.iso, actor=TESTER)
        grant(user=person("trader"), permission="treasury.view_account", row=world.account, actor=TESTER)
        of_bank, of_account = api("dev"), api("trader")
        assert [one["code"] for one in of_bank.get(f"{URL}/banks").json()["results"]] == ["filebank"]
        for client, seen, hidden in (
            (of_bank, world.iso_account, world.account),
            (of_account, world.account, world.iso_account),
        ):
            listed = {one["id"]: one["bank_id"] for one in client.get(f"{URL}/accounts").json()["results"]}
            assert str(seen.pk) in listed
            assert set(listed.values()) == {str(seen.bank_id)}
            assert client.get(f"{URL}/accounts/{seen.pk}").status_code == 200
            assert client.get(f"{URL}/accounts/{hidden.pk}").status_code == 404
            assert client.get(f"{URL}/payouts").status_code == 403
        elsewhere = {"account_id": str(world.account.pk), "reason": "r"}
        assert of_bank.patch(f"{URL}/routes/{world.route.pk}", elsewhere).status_code == 404
        assert of_account.patch(f"{URL}/routes/{world.route.pk}", elsewhere).status_code == 403


@operation
def grant(*, user: Actor, permission: str, row: Bank | Account, actor: Actor) -> None:
    assign_perm(permission, user.user, row)


def test_openapi_describes_every_address(api: Api) -> None:
    paths = APIClient().get("/api/schema", headers={"Accept": "application/json"}).json()["paths"]
    ours = {path: set(methods) for path, methods in paths.items() if path.split("/")[3:4] and "/ops/" in path}
    expected = {
        "/api/ops/payouts": {"get", "post"},
        "/api/ops/payouts/{payout_id}": {"get"},
        "/api/ops/payouts/{payout_id}/hold": {"post"},
        "/api/ops/payouts/{payout_id}/release": {"post"},
        "/api/ops/payouts/{payout_id}/retry": {"post"},
        "/api/ops/banks": {"get"},
        "/api/ops/accounts": {"get"},
        "/api/ops/accounts/{account_id}": {"get"},
        "/api/ops/routes": {"get"},
        "/api/ops/routes/{route_id}": {"patch"},
    }
    assert {path: methods & {"get", "post", "patch"} for path, methods in ours.items() if path in expected} == expected
    examples = paths["/api/ops/payouts"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert examples["APayout"]["value"]["amount"] == "1390.11"


def test_entries_name_the_caller_and_the_request(api: Api) -> None:
    answer = api("finance_ops").post(f"{URL}/payouts", body(), headers={"Request-Id": "from-the-caller"})
    entry = Entry.objects.get(verb="payout.created")
    assert (entry.actor_name, entry.content["request_id"]) == ("finance_ops", "from-the-caller")
    assert answer.headers["Request-Id"] == "from-the-caller"
