"""What the database promises about payouts, instructions, routes and banks, whoever writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connection

from opsconsole.core.states import States
from opsconsole.journal.models import Entry
from opsconsole.treasury.models import Account, Bank, Instruction, Payout
from opsconsole.treasury.states import AccountState, BankState, InstructionState, PayoutState
from tests.treasury.conftest import refusal
from tests.world import World

pytestmark = pytest.mark.django_db(transaction=True)

Connect = Callable[[str], psycopg.Connection[Any]]
ROLES = ("ops_app", "operator", "ops_owner")
PLAN = """
    insert into ops_plans (external_id, name, description, plan_type, payload, status, on_failure, required_approvals,
      approvals, digest, body_digest, revision, edited_by, created_by_id)
    select %s, 'p', '', 'payout_batch', '{}', 'draft', 'stop', 2, '[]', '', '', 1, '[]', id from core_user limit 1
    returning id
"""
INSTRUCTION = """
    insert into treasury_instructions (payout_id, plan_id, step_seq, ordinal, bank_id, account_id, amount, currency)
    values (%s, %s, 1, 1, %s, %s, 100, 'EUR') returning id
"""


@pytest.mark.parametrize(
    ("table", "states"),
    [
        ("treasury_banks", BankState),
        ("treasury_accounts", AccountState),
        ("treasury_payouts", PayoutState),
        ("treasury_instructions", InstructionState),
    ],
)
def test_the_database_knows_the_same_transitions_as_the_code(db: None, table: str, states: type[States]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "select tgargs from pg_trigger where tgrelid = %s::regclass and tgname = %s", [table, f"{table}_birth"]
        )
        born, moves = bytes(cursor.fetchone()[0]).decode().split("\0")[:2]
    assert set(born.split()) == states.starts()
    assert sorted(moves.split()) == states.pairs()


@pytest.fixture
def plan(world: World, person: Callable[..., Any], connect_as: Connect) -> Any:
    """A plan that somebody wrote down by hand."""
    person("ops")
    return connect_as("operator").execute(PLAN, ["by-hand"]).fetchone()[0]


@pytest.mark.parametrize("role", ROLES)
class TestPayouts:
    @pytest.mark.usefixtures("world")
    def test_a_state_is_never_skipped(self, connect_as: Connect, role: str) -> None:
        db = connect_as(role)
        for state in ("sent", "settled", "sending", "failed", "returned"):
            assert refusal(db, "update treasury_payouts set status = %s", state) == "treasury_payouts_transition"
        assert refusal(
            db,
            "insert into treasury_payouts (external_id, beneficiary_name, iban, bic, amount, currency, due_date,"
            " status) values ('S', 'S', 'DE25370400449046584330', 'COBADEFFXXX', 1, 'EUR', '2025-01-01', 'settled')",
        )

    @pytest.mark.parametrize(
        ("change", "constraint"),
        [
            ("amount = 0", "payout_amount_positive"),
            ("amount = -1", "payout_amount_positive"),
            ("currency = 'eur'", "payout_currency_form"),
            ("iban = 'DE25 3704'", "payout_iban_form"),
            ("beneficiary_name = ''", "payout_names_somebody"),
            ("status = 'held'", "held_payout_says_why"),
            ("status = 'reserved'", "reserved_payout_has_plan"),
            ("external_id = 'PAY-00000'", "treasury_payouts_external_id"),
        ],
    )
    @pytest.mark.usefixtures("world")
    def test_a_payout_is_always_payable_as_it_is(
        self, connect_as: Connect, role: str, change: str, constraint: str
    ) -> None:
        assert refusal(connect_as(role), f"update treasury_payouts set {change}").startswith(constraint)

    @pytest.mark.usefixtures("world")
    def test_a_free_payout_belongs_to_no_plan(self, connect_as: Connect, role: str, plan: Any) -> None:
        db = connect_as(role)
        assert refusal(db, "update treasury_payouts set plan_id = %s", plan) == "free_payout_has_no_plan"

    @pytest.mark.usefixtures("world")
    def test_who_gets_what_stands_still_once_a_plan_has_it(self, connect_as: Connect, role: str, plan: Any) -> None:
        db = connect_as(role)
        free = "update treasury_payouts set iban = 'FR7630006000011234567890189' where external_id = 'PAY-00001'"
        db.execute(free)  # a free one may be corrected, and that is journalled
        db.execute(
            "update treasury_payouts set status = 'reserved', plan_id = %s where external_id = 'PAY-00000'", [plan]
        )
        for change in (
            "iban = 'FR7630006000011234567890189'",
            "bic = 'AGRIFRPPXXX'",
            "amount = amount * 2",
            "currency = 'USD'",
            "beneficiary_name = 'Mallory'",
            "external_id = 'OTHER'",
            "due_date = '2030-01-01'",
            "remittance = 'Something else'",
            "status = 'sending', amount = 1",
        ):
            name = refusal(db, f"update treasury_payouts set {change} where external_id = 'PAY-00000'")
            assert name == "treasury_payouts_fixed", change

    def test_one_payout_has_one_live_instruction(self, world: World, connect_as: Connect, role: str, plan: Any) -> None:
        db = connect_as(role)
        payout = Payout.objects.get(external_id="PAY-00000").pk
        facts = (payout, plan, world.http.pk, world.account.pk)
        first = db.execute(INSTRUCTION, facts).fetchone()[0]
        assert refusal(db, INSTRUCTION, *facts) == "payout_paid_once"
        for state in ("sending", "sent", "settled"):
            db.execute(
                "update treasury_instructions set status = %s, sent_at = now(), settled_at = now() where id = %s",
                [state, first],
            )
            assert refusal(db, INSTRUCTION, *facts) == "payout_paid_once", state
        assert refusal(db, "update treasury_instructions set status = 'released'") == "treasury_instructions_transition"
        assert refusal(db, "delete from treasury_payouts where id = %s", payout)

    def test_an_instruction_says_for_ever_what_was_sent(
        self, world: World, connect_as: Connect, role: str, plan: Any
    ) -> None:
        db = connect_as(role)
        payouts = list(Payout.objects.values_list("pk", flat=True))
        db.execute(INSTRUCTION, [payouts[0], plan, world.http.pk, world.account.pk])
        made = Instruction.objects.get()
        assert len(made.end_to_end_id) == 35
        assert made.end_to_end_id.startswith("E2E")
        for change in (f"payout_id = '{payouts[1]}'", "amount = 1", "end_to_end_id = 'E2E1'", "currency = 'USD'"):
            name = refusal(db, f"update treasury_instructions set {change}")
            assert name in ("treasury_instructions_fixed", "instruction_from_account_of_bank"), change
        other = (world.iso.pk, world.account.pk)
        assert refusal(db, INSTRUCTION, payouts[1], plan, *other) == "instruction_from_account_of_bank"
        for change, constraint in (
            ("status = 'sent'", "treasury_instructions_transition"),
            ("status = 'sending'", None),
            ("status = 'sent'", "sent_instruction_says_when"),
        ):
            write = f"update treasury_instructions set {change}"
            if constraint:
                assert refusal(db, write) == constraint
            else:
                db.execute(write)

    def test_a_route_leads_through_an_account_of_its_bank_and_currency(
        self, world: World, connect_as: Connect, role: str
    ) -> None:
        db = connect_as(role)
        insert = "insert into treasury_routes (currency, country, bank_id, account_id) values (%s, %s, %s, %s)"
        assert refusal(db, insert, "EUR", None, world.http.pk, world.account.pk) == "one_route_per_corridor"
        assert refusal(db, insert, "USD", None, world.http.pk, world.account.pk) == "route_to_account_of_bank"
        assert refusal(db, insert, "EUR", "FR", world.iso.pk, world.account.pk) == "route_to_account_of_bank"
        assert refusal(db, insert, "EUR", "fr", world.http.pk, world.account.pk) == "route_country_form"
        db.execute(insert, ["EUR", "FR", world.http.pk, world.account.pk])

    def test_accounts_and_banks_hold_together(self, world: World, connect_as: Connect, role: str) -> None:
        db = connect_as(role)
        account = "insert into treasury_accounts (bank_id, name, iban, currency, kind) values (%s, 'a', %s, %s, %s)"
        bank, iban = world.http.pk, "NL91ABNA0417164300"
        assert refusal(db, account, bank, None, "EUR", "settlement") == "settlement_account_has_iban"
        assert refusal(db, account, bank, iban, "EUR", "in_transit") == "settlement_account_has_iban"
        assert refusal(db, account, bank, None, "EUR", "paid_out") == "one_ledger_account_per_kind"
        assert refusal(db, account, bank, world.account.iban, "EUR", "settlement").startswith("treasury_accounts_iban")
        assert refusal(db, account, bank, "DE1", "EUR", "settlement") == "account_iban_form"
        assert refusal(db, "update treasury_banks set base_url = '' where gateway = 'http'") == "http_bank_has_url"
        assert refusal(db, "update treasury_banks set status = 'closed'") == "treasury_banks_transition"


def test_changes_by_hand_are_journalled_without_the_secret(world: World, connect_as: Connect) -> None:
    before = Entry.objects.count()
    db = connect_as("operator")
    db.execute("update treasury_banks set secret = 'stolen', priority = 1 where code = 'sandbox'")
    db.execute("update treasury_payouts set amount = 1 where external_id = 'PAY-00000'")
    entries = list(Entry.objects.order_by("seq")[before:])
    assert [entry.verb for entry in entries] == ["direct_sql", "direct_sql"]
    assert entries[0].content["after"] == {"secret": "(hidden)", "priority": 1}
    assert entries[1].content["before"] == {"amount": 100.00}
    assert entries[1].content["after"] == {"amount": 1.00}
    assert "stolen" not in "".join(entry.body for entry in entries)


def test_a_bank_keeps_its_secret_encrypted(world: World) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select secret from treasury_banks where code = 'sandbox'")
        assert "secret" not in cursor.fetchone()[0]
    bank = Bank.objects.get(code="sandbox")
    assert bank.secret.reveal() == "secret"
    assert "secret'" not in repr(bank.secret)


def test_the_country_is_the_ibans(world: World) -> None:
    assert set(Payout.objects.values_list("country", flat=True)) == {"DE", "FR"}
    assert not Account.objects.filter(kind="settlement", iban=None).exists()
