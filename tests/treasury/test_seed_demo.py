"""Demo data: complete, once, and never in production."""

from __future__ import annotations

import json
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from loyalty.models import Program
from loyalty.states import ProgramState
from opsconsole.console.demo import money, people
from opsconsole.console.demo.points import NAME
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.core.roles import ROLES
from opsconsole.core.tokens import user_of_token
from opsconsole.journal.models import Entry
from opsconsole.treasury import ledger
from opsconsole.treasury.models import Account, Bank, Payout, Route
from opsconsole.treasury.payouts.files import GoodLine, PayoutFile

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def var(settings: Any, tmp_path: Path) -> Path:
    """A state folder of its own, and passwords that are quick to hash."""
    settings.VAR = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return tmp_path


def seed(**options: Any) -> str:
    out = StringIO()
    call_command("seed_demo", stdout=out, **options)
    return out.getvalue()


@operation
def suspend(*, actor: Actor) -> None:
    Program.objects.filter(name=NAME).update(status=ProgramState.SUSPENDED)


def credentials(var: Path) -> list[dict[str, str]]:
    return json.loads((var / "demo" / "credentials.json").read_text())  # type: ignore[no-any-return]


def test_everybody_can_log_in_and_call(var: Path) -> None:
    said = seed()
    assert said.startswith("15 demo users")
    listed = credentials(var)
    assert {one["role"] for one in listed} == set(ROLES)
    assert {one["username"] for one in listed} - set(ROLES) == {
        "pay_admin2",
        "admin2",
        "finance_ops2",
        "ops2",
        "ops_marketing2",
        "risk_manager2",
    }
    for one in listed:
        user = user_of_token(one["token"])
        assert user is not None
        assert (user.username, user.roles) == (one["username"], {one["role"]})
        assert authenticate(username=one["username"], password=one["password"]) == user
    assert len({one["password"] for one in listed}) == 15


def test_only_its_owner_reads_the_credentials(var: Path) -> None:
    seed()
    assert (var / "demo" / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert (var / "demo").stat().st_mode & 0o777 == 0o700


def test_there_is_money_for_the_whole_file_and_a_way_for_it() -> None:
    seed(bank_url="http://127.0.0.1:7777")
    assert sorted(Bank.objects.values_list("code", "gateway")) == [
        ("filebank", "iso20022"),
        ("sandbox", "http"),
        ("sandbox2", "http"),
    ]
    assert Bank.objects.get(code="sandbox").base_url == "http://127.0.0.1:7777"
    settlement = Account.objects.filter(kind="settlement")
    assert {account.ledger_balance for account in settlement} == {money.OPENING}
    assert Decimal("1015897230.54") < money.OPENING
    assert ledger.prove() == []
    route = Route.objects.get()
    assert (route.corridor, route.bank.code) == ("EUR/*", "sandbox")
    assert Payout.objects.filter(status="payable").count() == 200


def test_the_sandbox_bank_is_told_the_same(var: Path) -> None:
    seed()
    told = json.loads((var / "demo" / "bank-accounts.json").read_text())
    accounts = Account.objects.filter(bank__gateway="http", kind="settlement").order_by("bank__code")
    assert told == {
        "accounts": [
            {"iban": account.iban, "currency": "EUR", "opening_balance": f"{account.ledger_balance}"}
            for account in accounts
        ]
    }
    assert len(accounts) == 2


def test_a_second_time_asks_little_and_changes_nothing(var: Path) -> None:
    with CaptureQueriesContext(connection) as first:
        seed()
    before, entries = credentials(var), Entry.objects.count()
    with CaptureQueriesContext(connection) as second:
        assert "of which 0 are new" in seed()
    assert len(second) < len(first) / 8, (len(second), len(first))
    assert (credentials(var), Entry.objects.count()) == (before, entries)


def test_a_program_that_somebody_has_suspended_stays_so() -> None:
    seed()
    suspend(actor=SYSTEM("test"))
    assert "0 purchases" in seed()
    assert Program.objects.get(name=NAME).status == ProgramState.SUSPENDED


def test_a_bank_that_moved_is_found_again() -> None:
    seed(bank_url="http://127.0.0.1:7777")
    seed(bank_url="http://127.0.0.1:7778")
    assert Bank.objects.get(code="sandbox").base_url == "http://127.0.0.1:7778"
    changed = Entry.objects.filter(verb="bank.changed")
    assert len(changed) == 2
    for entry in changed:
        assert entry.content["after"] == {"base_url": "http://127.0.0.1:7778"}


def test_a_token_that_is_no_good_is_replaced_alone(var: Path) -> None:
    seed()
    before = credentials(var)
    path = var / "demo" / "credentials.json"
    path.write_text(json.dumps([{**one, "token": "gone"} if one["username"] == "ops" else one for one in before]))
    seed()
    after = credentials(var)
    assert [one["username"] for one, was in zip(after, before, strict=True) if one != was] == ["ops"]
    assert all(user_of_token(one["token"]) is not None for one in after)


def test_with_its_file_gone_everybody_gets_a_new_password(var: Path) -> None:
    seed()
    (var / "demo" / "credentials.json").unlink()
    seed()
    for one in credentials(var):
        assert authenticate(username=one["username"], password=one["password"]) is not None
    assert Entry.objects.filter(verb="user.password_reset").count() == 15
    assert User.objects.count() == 15


def test_everything_is_journalled_as_the_demos(var: Path) -> None:
    seed()
    entries = Entry.objects.filter(actor_name="system:demo")
    assert {"user.created", "token.issued", "bank.set_up", "account.opened", "account.funded", "payouts.imported"} <= {
        entry.verb for entry in entries
    }
    assert not Entry.objects.filter(verb="direct_sql").exists()
    bodies = "".join(entry.body for entry in Entry.objects.all())
    for one in credentials(var):
        assert one["password"] not in bodies
        assert one["token"] not in bodies


def test_not_in_production(settings: Any, var: Path) -> None:
    settings.PRODUCTION = True
    err = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("seed_demo", stderr=err)
    assert ended.value.code == 1
    assert "not_in_production" in err.getvalue()
    assert not User.objects.exists()
    assert not Bank.objects.exists()
    assert not (var / "demo").exists()


def test_the_extract_holds_good_rows_only() -> None:
    lines = list(PayoutFile(money.EXTRACT))
    assert len(lines) == 200
    assert all(isinstance(one, GoodLine) for one in lines)


def test_passwords_can_be_read_out() -> None:
    made = {people.new_password() for _ in range(200)}
    assert len(made) == 200
    assert all(len(one.split("-")) == 4 and one.islower() for one in made)
