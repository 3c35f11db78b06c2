"""The ledger: what is booked moves money, everything else is refused, whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry
from opsconsole.treasury import ledger
from opsconsole.treasury.errors import AccountFrozen, AlreadyBooked, InsufficientFunds, LedgerRefused
from opsconsole.treasury.ledger import Movement
from opsconsole.treasury.models import Account, Leg, Transfer
from opsconsole.treasury.states import AccountKind, AccountState, TransferKind
from tests.treasury.conftest import refusal
from tests.world import TESTER, World

ROLES = ("ops_app", "operator", "ops_owner")
TRANSFER = "insert into treasury_transfers (id, kind, reference) values (%s, 'swept', %s)"
LEGS = "insert into treasury_legs (transfer_id, account_id, amount, currency) values (%s, %s, %s, 'EUR')"


@operation
def book(*, movements: list[Movement], actor: Actor) -> int:
    return ledger.book(movements)


@operation
def freeze(*, account: UUID, actor: Actor) -> None:
    Account.objects.filter(pk=account).update(status=AccountState.FROZEN)


def movement(world: World, amount: str = "10", reference: str = "", **changes: Any) -> Movement:
    target = Account.objects.get(bank=world.http, kind=AccountKind.IN_TRANSIT)
    facts: dict[str, Any] = {
        "kind": TransferKind.SENT,
        "reference": reference or str(uuid4()),
        "source": world.account.pk,
        "target": target.pk,
        "amount": Decimal(amount),
        "currency": "EUR",
    }
    return Movement(**(facts | changes))


def balance(account: Account | UUID) -> Decimal:
    return Account.objects.get(pk=getattr(account, "pk", account)).ledger_balance


class TestBooking:
    """What services do."""

    def test_moves_money_between_two_accounts(self, world: World) -> None:
        one = movement(world, "12.34")
        assert book(movements=[one], actor=TESTER) == 1
        assert (balance(world.account), balance(one.target)) == (Decimal("987.66"), Decimal("12.34"))
        assert ledger.imbalance() == {"EUR": Decimal(0)}
        assert ledger.prove() == []

    def test_books_many_in_one_statement(self, world: World) -> None:
        assert book(movements=[movement(world, "0.01") for _ in range(500)], actor=TESTER) == 500
        assert balance(world.account) == Decimal(995)
        assert Leg.objects.count() == 2 * 502  # with the two openings
        assert ledger.prove() == []

    def test_books_the_rows_of_a_query(self, world: World) -> None:
        one = movement(world)

        @operation
        def book_all(*, actor: Actor) -> int:
            return ledger.book_selected(
                """
                select 'sent' as kind, 'payout:' || external_id as reference, '' as description, null::uuid as plan_id,
                  null::uuid as step_id, %s::uuid as source_id, %s::uuid as target_id, amount, currency
                from treasury_payouts
                """,
                [one.source, one.target],
            )

        assert book_all(actor=TESTER) == 3
        assert balance(world.account) == Decimal("699.97")

    @pytest.mark.usefixtures("world")
    def test_books_nothing_for_nothing(self) -> None:
        assert book(movements=[], actor=TESTER) == 0

    def test_is_refused_outside_an_operation(self, world: World) -> None:
        with pytest.raises(RuntimeError):
            ledger.book([movement(world)])

    @pytest.mark.parametrize(
        ("changes", "refused"),
        [
            ({"amount": Decimal("1000.01")}, InsufficientFunds),
            ({"amount": Decimal(0)}, LedgerRefused),
            ({"amount": Decimal(-5)}, LedgerRefused),
            ({"currency": "USD"}, LedgerRefused),
            ({"target": UUID(int=7)}, LedgerRefused),
            ({"reference": "opening:sandbox"}, AlreadyBooked),
        ],
    )
    def test_says_in_words_what_the_database_refuses(
        self, world: World, changes: dict[str, Any], refused: type[Exception]
    ) -> None:
        before = Leg.objects.count()
        with pytest.raises(refused):
            book(movements=[movement(world, "1"), movement(world, **changes)], actor=TESTER)
        assert Leg.objects.count() == before
        assert balance(world.account) == Decimal(1000)

    def test_an_account_does_not_pay_itself(self, world: World) -> None:
        with pytest.raises(LedgerRefused):
            book(movements=[movement(world, target=world.account.pk)], actor=TESTER)

    def test_nothing_is_paid_from_a_frozen_account_and_what_comes_back_is_booked(self, world: World) -> None:
        out = movement(world)
        book(movements=[out], actor=TESTER)
        freeze(account=world.account.pk, actor=TESTER)
        with pytest.raises(AccountFrozen):
            book(movements=[movement(world)], actor=TESTER)
        back = movement(world, kind=TransferKind.RETURNED, source=out.target, target=out.source)
        book(movements=[back], actor=TESTER)
        assert balance(world.account) == Decimal(1000)

    def test_rivals_never_overdraw_and_never_deadlock(self, world: World) -> None:
        other = Account.objects.get(bank=world.http, kind=AccountKind.PAID_OUT)
        there = [movement(world, "1") for _ in range(40)]
        refused: list[str] = []

        def work(turn: int) -> None:
            try:
                for at in range(0, 40, 4):
                    batch = [
                        Movement(one.kind, f"{one.reference}:{turn}", *ways, Decimal(7), "EUR")
                        for one in there[at : at + 4]
                        # Half of them want the accounts in the other order.
                        for ways in [(one.source, one.target) if turn % 2 else (one.source, other.pk)]
                    ]
                    try:
                        book(movements=batch, actor=TESTER)
                    except InsufficientFunds as error:
                        refused.append(error.code)
            finally:
                connection.close()

        threads = [threading.Thread(target=work, args=(turn,)) for turn in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 6 * 10 - 1000 // 28  # every batch of 28 that fitted went through
        assert balance(world.account) == Decimal(1000 % 28)
        assert ledger.prove() == []


@pytest.mark.parametrize("role", ROLES)
class TestAttacks:
    """What raw SQL tries, as the application, as an operator, and as the owner of the tables."""

    def test_a_balance_cannot_be_written(
        self, world: World, connect_as: Callable[[str], psycopg.Connection[Any]], role: str
    ) -> None:
        db = connect_as(role)
        write = "update treasury_accounts set ledger_balance = ledger_balance + 1 where id = %s"
        assert refusal(db, write, world.account.pk) == "balance_kept_by_ledger"
        db.execute("select set_config('ops.context', 'forged', false)")
        assert refusal(db, write, world.account.pk) == "balance_kept_by_ledger"
        assert (
            refusal(
                db,
                "insert into treasury_accounts (bank_id, name, currency, kind, ledger_balance)"
                " values (%s, 'mint', 'USD', 'funding', 5)",
                world.http.pk,
            )
            == "balance_kept_by_ledger"
        )
        assert ledger.prove() == []

    def test_legs_must_sum_to_zero(
        self, world: World, connect_as: Callable[[str], psycopg.Connection[Any]], role: str
    ) -> None:
        db, transfer = connect_as(role), uuid4()
        one = movement(world)
        with db.transaction(force_rollback=True):
            db.execute(TRANSFER, [transfer, "lonely"])
            assert refusal(db, LEGS, transfer, one.source, -5) == "transfer_sums_to_zero"
        with db.transaction(force_rollback=True):
            db.execute(TRANSFER, [transfer, "lopsided"])
            lopsided = f"{LEGS}, (%s, %s, %s, 'EUR')"
            name = refusal(db, lopsided, transfer, one.source, -5, transfer, one.target, 6)
            assert name == "transfer_sums_to_zero"
        # Two transfers that only together sum to zero.
        with db.transaction(force_rollback=True):
            second = uuid4()
            db.execute(TRANSFER, [transfer, "half"])
            db.execute(TRANSFER, [second, "other half"])
            name = refusal(db, f"{LEGS}, (%s, %s, %s, 'EUR')", transfer, one.source, -5, second, one.target, 5)
            assert name == "transfer_sums_to_zero"

    def test_legs_must_sum_to_zero_by_copy_and_select_too(
        self, world: World, connect_as: Callable[[str], psycopg.Connection[Any]], role: str
    ) -> None:
        db, transfer = connect_as(role), uuid4()
        one = movement(world)

        def copy_legs(*amounts: int) -> None:
            with db.cursor().copy("copy treasury_legs (transfer_id, account_id, amount, currency) from stdin") as copy:
                for account, amount in zip((one.source, one.target), amounts, strict=True):
                    copy.write_row((transfer, account, amount, "EUR"))

        with db.transaction(force_rollback=True):
            db.execute(TRANSFER, [transfer, "copied"])
            with pytest.raises(psycopg.errors.CheckViolation) as refused:
                copy_legs(-5, 6)
            assert refused.value.diag.constraint_name == "transfer_sums_to_zero"
        with db.transaction():
            db.execute(TRANSFER, [transfer, "copied"])
            copy_legs(-5, 5)
        assert (balance(one.source), balance(one.target)) == (Decimal(995), Decimal(5))
        with db.transaction(force_rollback=True):
            db.execute(TRANSFER, [uuid4(), "selected"])
            name = refusal(
                db,
                "insert into treasury_legs (transfer_id, account_id, amount, currency)"
                " select t.id, a.id, 1, 'EUR' from treasury_transfers t, treasury_accounts a"
                " where t.reference = 'selected'",
            )
            assert name == "transfer_sums_to_zero"
        assert ledger.prove() == []

    def test_a_transfer_is_never_added_to_and_never_empty(
        self, world: World, connect_as: Callable[[str], psycopg.Connection[Any]], role: str
    ) -> None:
        db = connect_as(role)
        one = movement(world)
        book(movements=[one], actor=TESTER)
        booked = Transfer.objects.get(reference=one.reference)
        others = Account.objects.filter(bank=world.iso).values_list("pk", flat=True)[:2]
        more = f"{LEGS}, (%s, %s, %s, 'EUR')"
        assert refusal(db, more, booked.pk, others[0], -1, booked.pk, others[1], 1) == "transfer_is_complete"
        assert refusal(db, TRANSFER, uuid4(), "empty") == "transfer_has_legs"
        backdated = uuid4()
        with db.transaction(force_rollback=True):
            db.execute(
                "insert into treasury_transfers (id, kind, reference, booked_at)"
                " values (%s, 'swept', 'old', '2020-01-01')",
                [backdated],
            )
            name = refusal(db, more, backdated, one.source, -1, backdated, one.target, 1)
            assert name == "transfer_is_complete"
        assert not Transfer.objects.filter(reference__in=("empty", "old")).exists()

    @pytest.mark.parametrize("table", ["treasury_legs", "treasury_transfers"])
    @pytest.mark.usefixtures("world")
    def test_what_is_booked_stays(
        self, connect_as: Callable[[str], psycopg.Connection[Any]], role: str, table: str
    ) -> None:
        db = connect_as(role)
        assert refusal(db, f"update {table} set id = id") == f"{table}_append_only"
        assert refusal(db, f"delete from {table}") == f"{table}_append_only"
        if role == "ops_owner":
            assert refusal(db, f"truncate {table} cascade")
            assert refusal(db, "truncate treasury_accounts cascade")
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(f"truncate {table}")

    def test_money_keeps_its_account_and_currency(
        self, world: World, connect_as: Callable[[str], psycopg.Connection[Any]], role: str
    ) -> None:
        db, transfer = connect_as(role), uuid4()
        one = movement(world)
        with db.transaction(force_rollback=True):
            db.execute(TRANSFER, [transfer, "dollars"])
            name = refusal(
                db,
                f"{LEGS.replace('EUR', 'USD')}, (%s, %s, %s, 'USD')",
                *(transfer, one.source, -5, transfer, one.target, 5),
            )
            assert name == "leg_in_currency_of_account"
        assert refusal(db, "delete from treasury_accounts where id = %s", world.account.pk)
        for change in ("kind = 'funding'", "currency = 'USD'", f"bank_id = '{world.iso.pk}'"):
            assert refusal(db, f"update treasury_accounts set {change} where id = %s", world.account.pk) in (
                "treasury_accounts_fixed",
                "settlement_account_has_iban",
            )

    def test_no_account_goes_below_zero_but_funding(
        self, world: World, connect_as: Callable[[str], psycopg.Connection[Any]], role: str
    ) -> None:
        db, transfer = connect_as(role), uuid4()
        one = movement(world)
        more = f"{LEGS}, (%s, %s, %s, 'EUR')"
        for source, target in ((one.source, one.target), (one.target, one.source)):
            with db.transaction(force_rollback=True):
                db.execute(TRANSFER, [transfer, "too much"])
                name = refusal(db, more, transfer, source, "-1000.01", transfer, target, "1000.01")
                assert name == "account_not_overdrawn"

    @pytest.mark.usefixtures("world")
    def test_only_settlement_accounts_freeze(
        self, connect_as: Callable[[str], psycopg.Connection[Any]], role: str
    ) -> None:
        db = connect_as(role)
        name = refusal(db, "update treasury_accounts set status = 'frozen' where kind = 'in_transit'")
        assert name == "only_settlement_freezes"


@pytest.mark.parametrize("role", ["ops_app", "operator"])
def test_a_trigger_of_ones_own_does_not_pass_for_the_ledger(
    world: World, connect_as: Callable[[str], psycopg.Connection[Any]], role: str
) -> None:
    db = connect_as(role)
    db.execute("create temporary table bait (account_id uuid, amount numeric, currency text, transfer_id uuid)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute(
            "create trigger post after insert on bait referencing new table as fresh"
            " for each statement execute function treasury_post_legs()"
        )
    db.execute(
        f"""
        create function pg_temp.mint() returns trigger language plpgsql as $$
        begin
          update treasury_accounts set ledger_balance = 1000000 where id = '{world.account.pk}';
          return null;
        end $$;
        create trigger mint after insert on bait for each statement execute function pg_temp.mint()
        """
    )
    assert refusal(db, "insert into bait (amount) values (1)") == "balance_kept_by_ledger"


def test_a_balanced_transfer_by_hand_is_booked_and_journalled(
    world: World, connect_as: Callable[[str], psycopg.Connection[Any]]
) -> None:
    before = Entry.objects.count()
    db, transfer, one = connect_as("operator"), uuid4(), movement(world)
    with db.transaction():
        db.execute(TRANSFER, [transfer, "by hand"])
        db.execute(f"{LEGS}, (%s, %s, %s, 'EUR')", [transfer, one.source, -5, transfer, one.target, 5])
    assert balance(world.account) == Decimal(995)
    entries = Entry.objects.order_by("seq")[before:]
    assert {(entry.verb, entry.actor_name) for entry in entries} == {("direct_sql", "operator")}
    assert sorted(entry.subject_kind for entry in entries) == [
        "treasury_accounts",
        "treasury_accounts",
        "treasury_legs",
        "treasury_legs",
        "treasury_transfers",
    ]


def test_proof_finds_what_is_wrong(world: World, superuser: psycopg.Connection[Any]) -> None:
    book(movements=[movement(world, "5", "tampered"), movement(world, "6", "emptied")], actor=TESTER)
    superuser.execute("set session_replication_role = replica")  # nothing is checked
    superuser.execute(
        "update treasury_legs set amount = 7 where amount > 0"
        " and transfer_id = (select id from treasury_transfers where reference = 'tampered')"
    )
    superuser.execute(
        "delete from treasury_legs where transfer_id = (select id from treasury_transfers where reference = 'emptied')"
    )
    superuser.execute(
        "update treasury_accounts set ledger_balance = 1 where kind = 'paid_out' and bank_id = %s", [world.iso.pk]
    )
    rules = {found.rule for found in ledger.prove()}
    assert rules == {
        "legs sum to zero",
        "a transfer sums to zero",
        "a balance is the sum of its legs",
        "a transfer has legs",
    }
    assert ledger.imbalance() == {"EUR": Decimal(1)}
