"""Trying to break it: each promise of the books by raw SQL and through the API, and input that nobody should send.

After every attack all that loyalty holds is as it was before. What needs rivals or kills is in test_ledger, test_api
and campaigns/.
"""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.utils import timezone

from loyalty.jobs import vouchers as voucher_jobs
from loyalty.models import Balance, Program, Transaction, VoucherBatch
from loyalty.services import members, points, programs, purchases, vouchers
from opsconsole.approvals.models import Request
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.operations import operation
from opsconsole.core.tokens import create_token
from tests.loyalty.campaigns.conftest import Desk
from tests.loyalty.purchases import line, text
from tests.treasury.conftest import refusal

pytestmark = pytest.mark.django_db(transaction=True)

TABLES = (
    "programs",
    "balances",
    "transactions",
    "keys",
    "campaigns",
    "campaign_audience",
    "campaign_chunks",
    "vouchers",
    "voucher_batches",
    "tiers",
    "rewards",
)


def held() -> str:
    """All that loyalty holds, as one text."""
    parts = [f"select '{name}', md5(string_agg(to_jsonb(r)::text, '' order by to_jsonb(r)::text)) from loyalty_{name} r"
             for name in TABLES]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(" union all ".join(parts) + " order by 1")
        return str(cursor.fetchall())


@operation
def _shut(*, program: Program, actor: Actor) -> None:
    Program.objects.filter(pk=program.pk).update(status="suspended")


@pytest.fixture
def world(program: Program, member: Callable[..., Balance], marketing: Actor, finance: Actor) -> SimpleNamespace:
    """Alice with 700 points, 200 of them locked; bob who is frozen; carol in a suspended program; a reserved budget."""
    alice, bob = member("alice", 500, key="order-1"), member("bob", 300)
    members.lock_points(balance_id=alice.pk, points=200, reason="looked into", actor=marketing)
    members.freeze_members(balance_ids=[bob.pk], reason="fraud", actor=marketing)
    shut = programs.create_program(name="Shut", budget_limit=1000, actor=marketing)  # type: ignore[arg-type]
    carol = member("carol", 100, program_id=shut.pk)
    _shut(program=shut, actor=SYSTEM("test"))
    Desk(program, marketing, finance).launched(bonus_points=50, target_segment={"==": [{"var": "user_id"}, "alice"]})
    earned = Transaction.objects.get(balance=alice)  # 500
    points.reverse_transaction(transaction_id=earned.pk, points=100, reason="returned goods", actor=marketing)
    member("alice", 300)  # so that it is not for want of points
    return SimpleNamespace(
        club=program.pk, shut=shut.pk, alice=alice.pk, bob=bob.pk, carol=carol.pk, earned=earned.pk,
        reversal=Transaction.objects.get(event_type="reverse").pk,
        of_bob=Transaction.objects.get(balance=bob).pk,
        campaign=query_one("select id from loyalty_campaigns"),
    )  # fmt: skip


def query_one(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


# --- by raw SQL -----------------------------------------------------------------------------------------------------


def row(who: str, event: str, amount: int, **more: str) -> str:
    """A movement that somebody pastes in."""
    columns = "".join(f", {name}" for name in more)
    values = "".join(f", '{value}'" for value in more.values())
    into = f"insert into loyalty_transactions (balance_id, event_type, amount{columns})"
    return f"{into} values ('{{{who}}}', '{event}', {amount}{values})"


ATTACKS: list[tuple[str, str]] = [
    # The balance is the sum of its transactions.
    ("update loyalty_balances set points_balance = points_balance + 1 where id = '{alice}'", "loyalty_balances_kept"),
    ("insert into loyalty_balances (program_id, user_id, points_balance) values ('{club}', 'eve', 5)",
     "loyalty_balances_kept"),
    ("insert into loyalty_balances (program_id, user_id) values ('{club}', 'alice')", "balance_once_per_member"),
    ("update loyalty_transactions set amount = 900 where id = '{earned}'", "loyalty_transactions_append_only"),
    ("delete from loyalty_transactions where id = '{earned}'", "loyalty_transactions_append_only"),
    ("truncate loyalty_transactions", "loyalty_transactions_append_only"),
    (row("alice", "earn", 5, id="01000000-0000-7000-8000-000000000000"), "transaction_id_is_new"),
    *((row("alice", "earn", 5, created_at=time), "transaction_is_of_the_past")
      for time in ("infinity", "-infinity", "1969-12-31 23:59+00", "2999-01-01")),
    *((row("alice", "earn", 5, actor=name), "transaction_names_its_maker") for name in ("marie", "")),
    (row("club", "earn", 5), "transaction_of_a_balance"),
    # 0 <= locked <= points_balance.
    ("update loyalty_balances set locked = 701 where id = '{alice}'", "points_cover_locked"),
    ("update loyalty_balances set locked = -1 where id = '{alice}'", "locked_not_negative"),
    (row("alice", "redeem", -501), "points_cover_locked"),
    (row("alice", "adjust", -501), "points_cover_locked"),
    (row("alice", "expire", -501), "points_cover_locked"),
    *((f"update loyalty_balances set fraud_flags = '{odd}' where id = '{{alice}}'", "fraud_flags_are_a_list")
      for odd in ("null", '"vip"', "{{}}")),
    # Points go the right way.
    (row("alice", "earn", -5), "points_go_the_right_way"),
    (row("alice", "redeem", 5), "points_go_the_right_way"),
    (row("alice", "adjust", 0), "points_go_the_right_way"),
    # Nothing is earned or redeemed by who is frozen, nor in a suspended program.
    *((row("bob", event, amount), "balance_is_frozen")
      for event, amount in (("earn", 5), ("bonus", 5), ("redeem", -5))),
    *((row("carol", event, amount), "program_is_suspended")
      for event, amount in (("earn", 5), ("bonus", 5), ("redeem", -5))),
    # What is spent and reserved stays within the limit.
    (row("alice", "earn", 998_951), "program_budget_exhausted"),
    (row("alice", "adjust", 998_951), "program_budget_exhausted"),
    ("update loyalty_programs set budget_limit = 1049 where id = '{club}'", "program_within_budget"),
    ("update loyalty_programs set budget_limit = 0 where id = '{club}'", "program_has_a_budget"),
    ("update loyalty_programs set points_valid_months = 0 where id = '{club}'", "program_points_last_a_while"),
    ("update loyalty_programs set budget_spent = 0 where id = '{club}'", "loyalty_programs_kept"),
    ("update loyalty_programs set budget_reserved = 0 where id = '{club}'", "loyalty_programs_kept"),
    ("update loyalty_campaigns set points_reserved = 0 where id = '{campaign}'", "loyalty_campaigns_kept"),
    ("update loyalty_campaigns set total_points_awarded = 50 where id = '{campaign}'", "loyalty_campaigns_kept"),
    # What is reversed never exceeds what there was.
    (row("alice", "reverse", -401, reverses_id="{earned}"), "reversal_within_original"),
    (row("alice", "reverse", 1, reverses_id="{earned}"), "reversal_within_original"),
    (row("alice", "reverse", -1, reverses_id="{of_bob}"), "reversal_of_same_member"),
    (row("alice", "reverse", 1, reverses_id="{reversal}"), "reversal_of_a_transaction"),
    (row("alice", "reverse", -1), "reversal_names_what_it_reverses"),
    # A key is used once in a program, for good.
    (row("alice", "earn", 5, idempotency_key="order-1"), "loyalty_keys_pkey"),
    ("delete from loyalty_keys", "loyalty_keys_append_only"),
    ("update loyalty_keys set key = 'order-2'", "loyalty_keys_append_only"),
    # A campaign awards who is in its program, while it runs, and within what it has reserved.
    (row("carol", "bonus", 5, campaign_id="{campaign}"), "campaign_of_program"),
    (row("alice", "bonus", 51, campaign_id="{campaign}"), "campaign_within_reservation"),
    *((f"update loyalty_campaigns set {column} = '{time}' where id = '{{campaign}}'", "campaign_dates_within_reach")
      for column, time in (("end_date", "infinity"), ("start_date", "-infinity"), ("end_date", "9999-12-31"))),
    # It keeps its program, whose budget is reserved, and each of its members is awarded once.
    ("update loyalty_campaigns set program_id = '{shut}' where id = '{campaign}'", "campaign_stays"),
    ("delete from loyalty_campaigns where id = '{campaign}'", "loyalty_campaigns_append_only"),
    ("update loyalty_campaign_audience set balance_id = '{bob}'", "loyalty_campaign_audience_append_only"),
    ("update loyalty_campaign_audience set points = 51", "loyalty_campaign_audience_append_only"),
    ("delete from loyalty_campaign_audience", "loyalty_campaign_audience_append_only"),
    ("delete from loyalty_campaign_chunks", "loyalty_campaign_chunks_append_only"),
    ("update loyalty_campaign_chunks set no = no + 1", "loyalty_campaign_chunks_append_only"),
]  # fmt: skip


def test_no_promise_is_broken_by_raw_sql(world: SimpleNamespace, superuser: psycopg.Connection[Any]) -> None:
    before = held()
    for statement, constraint in ATTACKS:
        sql = statement.format(**vars(world))
        assert refusal(superuser, sql) == constraint, sql
        assert held() == before, sql


# --- through the API ------------------------------------------------------------------------------------------------

Call = tuple[str, str, str, Any, int, str]  # who, method, address, body, and how it is refused: status and code
M, F, R = "ops_marketing", "finance_ops", "risk_manager"
CAMPAIGN = {"programId": "{club}", "name": "Odd", "bonusPoints": 10, "startDate": "2030-01-01T00:00:00Z"}
BATCH = {"programId": "{club}", "name": "Odd", "points": 10, "count": 3}

BROKEN: list[Call] = [
    # The same promises.
    (M, "patch", "/api/balances/{alice}", {"pointsBalance": 900}, 405, "method_not_allowed"),
    (M, "delete", "/api/balances/{alice}", None, 405, "method_not_allowed"),
    (M, "patch", "/api/transactions", {"amount": 900}, 405, "method_not_allowed"),
    (M, "post", "/api/programs/{club}/earn", {"userId": "alice", "points": 5, "pointsBalance": 9}, 400, "invalid"),
    (M, "post", "/api/programs/{club}/redeem", {"userId": "alice", "points": 501}, 422, "points_cover_locked"),
    (M, "post", "/api/balances/{alice}/adjust", {"amount": -501, "reason": "x"}, 422, "points_cover_locked"),
    (M, "post", "/api/balances/{alice}/lock", {"points": 501, "reason": "x"}, 422, "points_cover_locked"),
    (F, "post", "/api/balances/{alice}/unlock", {"points": 201, "reason": "x"}, 422, "points_cover_locked"),
    (M, "post", "/api/programs/{club}/earn", {"userId": "bob", "points": 5}, 409, "balance_is_frozen"),
    (M, "post", "/api/programs/{club}/redeem", {"userId": "bob", "points": 5}, 409, "balance_is_frozen"),
    (M, "post", "/api/programs/{shut}/earn", {"userId": "carol", "points": 5}, 409, "program_is_suspended"),
    (M, "post", "/api/programs/{shut}/earn", {"userId": "new", "points": 5}, 409, "program_is_suspended"),
    (M, "post", "/api/programs/{shut}/redeem", {"userId": "carol", "points": 5}, 409, "program_is_suspended"),
    (M, "post", "/api/programs/{club}/earn", {"userId": "alice", "points": 998_951}, 422, "program_budget_exhausted"),
    (M, "post", "/api/programs/{club}/earn", {"userId": "new", "points": 998_951}, 422, "program_budget_exhausted"),
    (M, "put", "/api/programs/{club}", {"budgetLimit": 1049, "reason": "x"}, 422, "program_budget_exhausted"),
    (M, "put", "/api/programs/{club}", {"budgetLimit": 1050, "budgetSpent": 0, "reason": "x"}, 400, "invalid"),
    (M, "post", "/api/transactions/{earned}/reverse", {"points": 401, "reason": "x"}, 422, "reversal_refused"),
    (M, "post", "/api/transactions/{reversal}/reverse", {"reason": "x"}, 422, "reversal_refused"),
    (M, "post", "/api/programs/{club}/earn", {"userId": "alice", "points": 5, "idempotencyKey": "order-1"},
     422, "idempotency_key_reused"),
    (M, "post", "/api/programs/{club}/earn", {"userId": "bob", "points": 500, "idempotencyKey": "order-1"},
     422, "idempotency_key_reused"),
    # Whoever says they are somebody else.
    (M, "post", "/api/balances/{alice}/adjust", {"amount": 5, "reason": "x", "actorId": F}, 403, "actor_mismatch"),
    (M, "post", "/api/balances/{alice}/adjust", {"amount": 5, "reason": "x", "actorRole": F}, 403, "actor_mismatch"),
    # No points, and no dates.
    *((M, "post", "/api/programs/{club}/earn", {"userId": "alice", "points": odd}, 400, "invalid")
      for odd in (-5, 0, 1.5, 10**30, "many", True)),
    (M, "post", "/api/programs/{club}/earn", {"userId": "alice", "spent": "-1"}, 400, "invalid"),
    (M, "post", "/api/programs/{club}/earn", {"userId": "alice", "points": 5, "spent": "5"}, 400, "points_invalid"),
    (M, "post", "/api/programs/{club}/redeem", {"userId": "alice", "points": -5}, 400, "invalid"),
    (M, "post", "/api/balances/{alice}/adjust", {"amount": 0, "reason": "x"}, 400, "points_invalid"),
    (M, "post", "/api/balances/{alice}/adjust", {"amount": 5, "reason": " "}, 400, "invalid"),
    (M, "post", "/api/balances/{alice}/lock", {"points": -5, "reason": "x"}, 400, "invalid"),
    (M, "post", "/api/campaigns", {**CAMPAIGN, "bonusPoints": -5}, 400, "invalid"),
    *((M, "post", "/api/campaigns", {**CAMPAIGN, **odd}, 400, "campaign_invalid") for odd in (
        {"startDate": "9999-12-31T23:59:59Z"}, {"startDate": "0001-01-01T00:00:00Z"},
        {"endDate": "9999-12-31T23:59:59Z"}, {"endDate": "2001-01-01T00:00:00Z"})),
    (M, "post", "/api/campaigns", {**CAMPAIGN, "startDate": "10000-01-01T00:00:00Z"}, 400, "invalid"),
    (M, "post", "/api/campaigns", {**CAMPAIGN, "status": "running"}, 400, "invalid"),
    *((M, "post", "/api/campaigns", {**CAMPAIGN, "targetSegment": odd}, 400, "segment_invalid") for odd in (
        {">=": [{"var": "shoe_size"}, 42]}, {"xor": [{}]}, {"<": [{"var": "joined_at"}, "9999-12-31"]},
        {"==": [{"var": "tier"}, "Diamond"]}, {"<": [{"var": "points_balance"}, "1; drop table loyalty_balances"]})),
    (M, "post", "/api/voucher-batches", {**BATCH, "points": -5}, 400, "invalid"),
    (M, "post", "/api/voucher-batches", {**BATCH, "expiresAt": "9999-12-31T23:59:59Z"}, 400, "points_invalid"),
    (M, "post", "/api/rewards", {"programId": "{club}", "name": "Odd", "points": -5}, 400, "invalid"),
    (M, "post", "/api/tiers", {"programId": "{club}", "name": "Odd", "rank": 1, "threshold": -5}, 400, "invalid"),
]  # fmt: skip


def test_no_promise_is_broken_through_the_api(world: SimpleNamespace, api: Callable[..., Any]) -> None:
    clients = {who: api(who) for who in (M, F, R)}
    before, asked = held(), Request.objects.count()

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(one) for name, one in value.items()}
        return value.format(**vars(world)) if isinstance(value, str) and value.startswith(("{", "/")) else value

    for who, method, address, body, status, code in BROKEN:
        answer = getattr(clients[who], method)(filled(address), filled(body), format="json")
        assert (answer.status_code, answer.json()["code"]) == (status, code), (address, body, answer.json())
        assert answer.json()["detail"]
        assert held() == before, (address, body)
    assert Request.objects.count() == asked


def test_what_is_wrong_with_a_segment_is_said_with_its_place(world: SimpleNamespace, api: Callable[..., Any]) -> None:
    odd = {"and": [{">=": [{"var": "points_balance"}, 5]}, {"<": [{"var": "shoe_size"}, 42]}]}
    body = {**CAMPAIGN, "programId": str(world.club), "targetSegment": odd}
    (told,) = api(M).post("/api/campaigns", body, format="json").json()["errors"]["targetSegment"]
    assert told.startswith('and[1]."<"[0].var: there is no variable "shoe_size"; known are points_balance,')


# --- adjustments ----------------------------------------------------------------------------------------------------


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_an_adjustment_that_is_split_takes_two_teams_however_it_is_split(
    member: Callable[..., Balance], api: Callable[..., Any]
) -> None:
    client, alice = api(M), member("alice", 500)

    def adjust(amount: int, who: Balance = alice) -> int:
        body = {"amount": amount, "reason": "goodwill"}
        return int(client.post(f"/api/balances/{who.pk}/adjust", body, format="json").status_code)

    # Six at the same instant: two of 4,000 are within 10,000 and no third is, whoever comes first.
    assert sorted(at_once([lambda: adjust(4_000)] * 6)) == [201, 201, 202, 202, 202, 202]
    # What was taken counts as what was given does; another member is another matter.
    bob = member("bob", 500)
    assert [adjust(amount, bob) for amount in (6_000, -4_000, -1, 1)] == [201, 201, 202, 202]
    alice.refresh_from_db()
    bob.refresh_from_db()
    assert (alice.points_balance, bob.points_balance) == (8_500, 2_500)


def test_an_agreed_adjustment_is_of_one_member_one_amount_and_one_requester(
    member: Callable[..., Balance], api: Callable[..., Any], person: Callable[..., Actor]
) -> None:
    person("finance_ops")
    alice, bob, both = member("alice", 500), member("bob", 500), api("both", M, F)

    def adjust(client: Any, who: Balance = alice, amount: int = 20_000, **headers: str) -> tuple[int, str]:
        body = {"amount": amount, "reason": "lost points"}
        answer = client.post(f"/api/balances/{who.pk}/adjust", body, format="json", headers=headers)
        found = answer.json()
        return answer.status_code, found.get("code") or found.get("approvalRequestId") or "made"

    def agree(client: Any, request: str) -> tuple[int, str]:
        answer = client.post(f"/api/approvals/{request}/approve", {"approved": True}, format="json")
        return answer.status_code, answer.json().get("code", "")

    status, mine = adjust(both)
    assert status == 202
    assert agree(both, mine) == (409, "already_approved")
    with_mine = {"X-Approval-Request-Id": mine}
    assert adjust(both, **with_mine) == (409, "quorum_incomplete")
    assert agree(api(F), mine) == (200, "")
    assert [
        adjust(both, amount=20_001, **with_mine),
        adjust(both, amount=-20_000, **with_mine),
        adjust(api(M), **with_mine),
    ] == [(409, "digest_mismatch")] * 3
    assert adjust(both, who=bob, **with_mine) == (404, "not_found")
    assert not Transaction.objects.filter(event_type="adjust").exists()
    # Many at the same instant carry it out once.
    answers = at_once([lambda: adjust(both, **with_mine)] * 8)
    assert sorted(answers) == [(201, "made"), *[(409, "already_consumed")] * 7]
    alice.refresh_from_db()
    assert alice.points_balance == 20_500


# --- vouchers, campaigns, files -------------------------------------------------------------------------------------


def test_a_voucher_is_redeemed_once(
    program: Program, member: Callable[..., Balance], marketing: Actor, api: Callable[..., Any]
) -> None:
    for name in ("alice", "bob"):
        member(name, 500)
    made, _ = vouchers.issue_batch(program_id=program.pk, name="Fair", points=250, count=1, actor=marketing)
    voucher_jobs.make_codes(str(made.pk))
    code = VoucherBatch.objects.get().vouchers.get().code

    def redeem(who: str) -> tuple[int, str]:
        body = {"programId": str(program.pk), "userId": who, "code": code}
        answer = api(M).post("/api/vouchers/redeem", body, format="json")
        return answer.status_code, answer.json().get("code", "")

    assert redeem("alice")[0] == 201
    before = held()
    # Whoever has redeemed it is told so; of somebody else's code nothing is said, not even that there is one.
    assert [redeem(who) for who in ("alice", "bob")] == [(409, "voucher_used"), (422, "voucher_refused")]
    assert held() == before


def test_a_campaign_without_budget_is_not_even_asked_for(
    program: Program, member: Callable[..., Balance], marketing: Actor, finance: Actor, api: Callable[..., Any]
) -> None:
    member("alice", 500)
    campaign = Desk(program, marketing, finance).draft(bonus_points=2_000_000, start_date=timezone.now())
    answer = api(M).post(f"/api/campaigns/{campaign.pk}/schedule", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (422, "program_budget_exhausted")
    assert answer.json()["budget"]["left_after"] == "-1000500.00"
    campaign.refresh_from_db()
    program.refresh_from_db()
    assert (campaign.status, program.budget_reserved, Request.objects.count()) == ("draft", 0, 0)
    assert Transaction.objects.filter(event_type="bonus").count() == 0


def test_a_long_file_of_broken_lines_is_read_in_bounded_memory_and_every_line_is_named(
    program: Program, marketing: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(marketing.user))  # type: ignore[arg-type]
    monkeypatch.setattr(purchases, "CHUNK", 500)
    path, errors = tmp_path / "long.txt", tmp_path / "errors.csv"
    odd = ("rubbish", line(paid="-1.00"), line(date="99991231"), line("x" * 5_000), "y" * 60_000)
    path.write_text(text(*(line(f"c{number}") if number % 2 else odd[number // 2 % 5] for number in range(3_000))))
    size = path.stat().st_size
    assert size > 18_000_000
    out, err = StringIO(), StringIO()
    tracemalloc.start()
    with pytest.raises(SystemExit):
        call_command(
            "loyalty_import_purchases", path, "--program", "Club", "--as", M, "--errors", errors, stdout=out, stderr=err
        )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 2
    assert out.getvalue().startswith(
        "1,500 loaded (16,500 points for 17,655.00), 0 already there, 0 skipped (no points)"
    )
    shown = err.getvalue().splitlines()
    assert shown[:3] == [
        "line 2: has 1 columns instead of 4",
        "line 4: dollar_value is no amount of at most 12 digits with two decimals, 0 or more",
        "line 6: date is in the future",
    ]
    assert shown[100:] == ["... and 1,400 more refused rows; the file of --errors has them all."]
    with errors.open() as file:
        assert [int(row["line"]) for row in csv.DictReader(file)] == list(range(2, 3_002, 2))
    assert Transaction.objects.count() == 1_500
