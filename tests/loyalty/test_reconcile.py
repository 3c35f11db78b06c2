"""The books are proved: every kept figure against the ledger, and the ledger against its digests in the journal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from rq import Queue

from loyalty.books import digests
from loyalty.books.reconcile import Reconciled, reconcile
from loyalty.due import books_not_since
from loyalty.errors import LedgerBusy
from loyalty.jobs import books as jobs
from loyalty.models import Balance, Campaign, Program, Transaction
from loyalty.services import books, points, programs
from loyalty.workers import executions
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import Denied
from opsconsole.core.metrics import registered
from opsconsole.core.models import OutboxEvent
from opsconsole.core.queue import redis_connection
from opsconsole.core.tokens import create_token
from opsconsole.journal.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)

TESTER = SYSTEM("test")


@pytest.fixture
def tamper(superuser: psycopg.Connection[Any]) -> Callable[..., None]:
    """Change something behind every trigger's back, as only a superuser can."""
    superuser.execute("set session_replication_role = replica")
    return lambda query, *values: superuser.execute(query, values or None) and None


@pytest.fixture
def history(program: Program, member: Callable[..., Balance], marketing: Actor, connect_as: Any) -> Campaign:
    """Members who earned, spent, were adjusted and reversed, and a campaign that awarded two and took one back."""
    alice = member("alice", 500)
    bob = member("bob", 300)
    points.redeem_points(program_id=program.pk, user_id="alice", points=120, actor=marketing)
    points.adjust_points(balance_id=bob.pk, amount=-50, reason="Ticket 1", actor=marketing)
    points.adjust_points(balance_id=bob.pk, amount=25, reason="Ticket 2", actor=marketing)
    earned = Transaction.objects.get(balance=alice, event_type="earn")
    points.reverse_transaction(transaction_id=earned.pk, points=100, reason="returned goods", actor=marketing)
    campaign = Campaign.objects.create(
        program=program, name="Spring", bonus_points=40, start_date="2026-01-01T00:00:00Z", target_segment={}
    )
    operator = connect_as("operator")
    for balance in (alice.pk, bob.pk):
        operator.execute(
            "insert into loyalty_transactions (balance_id, event_type, amount, campaign_id)"
            " values (%s, 'bonus', 40, %s)",
            [balance, campaign.pk],
        )
    bonus = Transaction.objects.get(balance=bob, event_type="bonus")
    points.reverse_transaction(transaction_id=bonus.pk, points=15, reason="a mistake", actor=marketing)
    return campaign


def drifts(outcome: Reconciled) -> set[tuple[str, str, str, Decimal]]:
    return {(one.book, one.figure, one.name, one.kept - one.summed) for one in outcome.first}


def value_of(name: str) -> float:
    """What Prometheus is told now."""
    (fact,) = (fact for fact in registered() if fact.name == name)
    ((_labels, value),) = fact.samples()
    assert isinstance(value, float)
    return value


class TestReconcile:
    def test_after_all_kinds_of_movements_the_books_agree(self, program: Program, history: Campaign) -> None:
        outcome = reconcile()
        assert (outcome.drift, outcome.first, outcome.members, outcome.transactions) == (0, (), 2, 9)
        history.refresh_from_db()
        assert (history.users_awarded, history.total_points_awarded, history.points_reversed) == (2, 80, 15)

    def test_every_figure_that_drifts_is_named(
        self, program: Program, history: Campaign, tamper: Callable[..., None]
    ) -> None:
        tamper("update loyalty_balances set points_balance = points_balance + 7 where user_id = 'alice'")
        tamper("update loyalty_programs set budget_spent = budget_spent - 3, budget_reserved = 11")
        tamper("update loyalty_campaigns set users_awarded = 1, total_points_awarded = 90, points_reversed = 0")
        outcome = reconcile()
        assert outcome.drift == 6
        assert drifts(outcome) == {
            ("balance", "points_balance", "alice", 7),
            ("program", "budget_spent", "Club", -3),
            ("program", "budget_reserved", "Club", 11),
            ("campaign", "users_awarded", "Spring", -1),
            ("campaign", "total_points_awarded", "Spring", 10),
            ("campaign", "points_reversed", "Spring", -15),
        }

    def test_a_transaction_that_is_gone_or_of_nobody_shows(
        self, program: Program, history: Campaign, tamper: Callable[..., None]
    ) -> None:
        tamper("delete from loyalty_transactions where amount = 300")
        tamper(
            "insert into loyalty_transactions (balance_id, event_type, amount)"
            " values ('0198c0de-0000-7000-8000-000000000000', 'earn', 5)"
        )
        assert drifts(reconcile()) == {
            ("balance", "points_balance", "bob", 300),
            ("balance", "points_balance", "?", -5),
            ("program", "budget_spent", "Club", 300),
        }

    def test_one_program_says_nothing_of_another(
        self, program: Program, member: Callable[..., Balance], marketing: Actor, tamper: Callable[..., None]
    ) -> None:
        other = programs.create_program(name="Other", budget_limit=Decimal(1000), actor=marketing)
        member("alice", 500)
        member("carol", 5, program_id=other.pk)
        tamper("update loyalty_balances set points_balance = 6 where user_id = 'carol'")
        assert reconcile(program.pk).drift == 0
        assert (reconcile(program.pk).members, reconcile(other.pk).members) == (1, 1)
        assert drifts(reconcile(other.pk)) == {("balance", "points_balance", "carol", 1)}

    def test_many_differences_are_counted_and_the_first_listed(
        self, program: Program, member: Callable[..., Balance], tamper: Callable[..., None]
    ) -> None:
        member("alice", 5)
        tamper(
            "insert into loyalty_balances (program_id, user_id, points_balance)"
            " select %s, 'm' || n, 1 from generate_series(1, 50) n",
            program.pk,
        )
        outcome = reconcile()
        assert (outcome.drift, len(outcome.first)) == (50, 20)

    def test_drift_is_an_event_an_entry_and_a_metric(
        self, program: Program, history: Campaign, tamper: Callable[..., None]
    ) -> None:
        assert (value_of("loyalty_drift_rows"), value_of("loyalty_reconciled_seconds")) == (0, -1)
        books.record_reconciliation(outcome=reconcile(), actor=TESTER)
        assert value_of("loyalty_drift_rows") == 0
        assert not OutboxEvent.objects.filter(topic="ledger.drifted").exists()
        tamper("update loyalty_balances set points_balance = points_balance + 7 where user_id = 'alice'")
        books.record_reconciliation(outcome=reconcile(), actor=TESTER)
        assert value_of("loyalty_drift_rows") == 1
        assert 0 <= value_of("loyalty_reconciled_seconds") < 60
        assert OutboxEvent.objects.get(topic="ledger.drifted").data["of"] == "alice"
        entry = Entry.objects.get(verb="ledger.drifted").content["after"]
        assert (entry["drift"], entry["first"][0]["kept"], entry["first"][0]["summed"]) == (1, "327", "320")


class TestGuard:
    @pytest.mark.parametrize(
        "made",
        ["gen_random_uuid()", "loyalty_id_at(now() - interval '1 day')", "loyalty_id_at(now() + interval '1 day')"],
    )
    def test_nobody_slips_a_row_in_among_the_old_ones(
        self, member: Callable[..., Balance], connect_as: Callable[[str], Any], made: str
    ) -> None:
        alice = member("alice", 500)
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            connect_as("operator").execute(
                f"insert into loyalty_transactions (id, balance_id, event_type, amount) values ({made}, %s, 'earn', 5)",
                [alice.pk],
            )
        assert refused.value.diag.constraint_name == "transaction_id_is_new"

    def test_an_id_made_a_moment_before_is_fine(
        self, member: Callable[..., Balance], connect_as: Callable[[str], Any]
    ) -> None:
        operator = connect_as("operator")
        made = operator.execute("select uuid7()").fetchone()[0]
        operator.execute(
            "insert into loyalty_transactions (id, balance_id, event_type, amount) values (%s, %s, 'earn', 5)",
            [made, member("alice", 500).pk],
        )
        assert Transaction.objects.filter(pk=made).exists()


class TestDigests:
    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stretches of three rows, closed without waiting an hour."""
        monkeypatch.setattr(digests, "MARGIN", timedelta(0))
        monkeypatch.setattr(digests, "STRETCH", 3)

    def test_the_ledger_is_covered_once_and_without_a_gap(self, history: Campaign, member: Callable[..., Any]) -> None:
        jobs.digest()
        found = list(digests.stretches())
        assert [one.rows for one in found] == [3, 3, 3]
        assert [one.after for one in found] == [digests.START, *(one.to for one in found[:-1])]
        assert sum(one.sum for one in found) == sum(Balance.objects.values_list("points_balance", flat=True))
        jobs.digest()
        assert len(list(digests.stretches())) == 3
        member("carol", 5)
        outcome = digests.verify()
        assert (outcome.sound, outcome.rows, outcome.beyond) == (True, 9, 1)
        assert executions()["ledger_digester", "succeeded"] == 2

    @pytest.mark.parametrize(
        "deed",
        [
            "update loyalty_transactions set amount = amount + 1 where amount = 300",
            "update loyalty_transactions set reason = 'another' where amount = 300",
            "update loyalty_transactions set actor = 'somebody' where amount = 300",
            "update loyalty_transactions set actor = null where amount = 300",
            "update loyalty_transactions set created_at = created_at - interval '1 second' where amount = 300",
            "update loyalty_transactions set balance_id = uuid7() where amount = 300",
            "update loyalty_transactions set idempotency_key = 'mine' where amount = 300",
            "delete from loyalty_transactions where amount = 300",
            "insert into loyalty_transactions (id, balance_id, event_type, amount)"
            " select '00000000-0000-7000-8000-000000000001', id, 'earn', 5 from loyalty_balances limit 1",
        ],
    )
    def test_whatever_is_done_to_a_row_its_stretch_is_named(
        self, history: Campaign, tamper: Callable[..., None], deed: str
    ) -> None:
        jobs.digest()
        tamper(deed)
        outcome = digests.verify()
        first = next(iter(digests.stretches()))
        assert [broken.told for broken in outcome.broken] == [first]
        assert str(first.to) in str(outcome.broken[0])

    def test_an_erased_address_is_no_tampering(
        self, history: Campaign, program: Program, marketing: Actor, connect_as: Callable[[str], Any]
    ) -> None:
        posted = points.earn_points(
            program_id=program.pk, user_id="dora", points=5, ip_address="192.0.2.1", actor=marketing
        )
        jobs.digest()
        connect_as("operator").execute("select loyalty_forget_addresses(%s)", [posted.balance_id])
        assert Transaction.objects.get(pk=posted.transaction_id).ip_address is None
        assert digests.verify().sound

    def test_a_stretch_is_not_closed_while_somebody_may_still_write_into_it(
        self, history: Campaign, connect_as: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(digests, "PATIENCE", timedelta(milliseconds=100))
        slow = connect_as("operator")
        slow.execute("begin")
        alice = Balance.objects.get(user_id="alice").pk
        slow.execute(
            "insert into loyalty_transactions (balance_id, event_type, amount) values (%s, 'earn', 5)", [alice]
        )
        with pytest.raises(LedgerBusy):
            books.digest_ledger(actor=TESTER)
        slow.execute("commit")
        jobs.digest()
        assert digests.verify().beyond == 0

    def test_a_row_of_the_last_hour_is_left_for_later(self, history: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(digests, "MARGIN", timedelta(hours=1))
        jobs.digest()
        assert list(digests.stretches()) == []
        assert digests.verify().beyond == 9


class TestCommands:
    def run(self, *arguments: str) -> tuple[int, str, str]:
        out, err = StringIO(), StringIO()
        try:
            call_command(*arguments, stdout=out, stderr=err)
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue(), err.getvalue()
        return 0, out.getvalue(), err.getvalue()

    def test_the_shell_may_prove_the_books(self, history: Campaign, tamper: Callable[..., None]) -> None:
        code, out, _ = self.run("loyalty_reconcile", "--check")
        assert code == 0
        assert out.startswith("The books agree with the ledger: 9 transactions of 2 members in ")
        tamper("update loyalty_balances set points_balance = points_balance + 7 where user_id = 'alice'")
        code, out, _ = self.run("loyalty_reconcile")
        assert code == 0
        code, out, _ = self.run("loyalty_reconcile", "--check", "--program", "Club")
        assert code == 1
        assert "points_balance" in out
        assert "327" in out
        assert "1 figures differ: 9 transactions of 2 members" in out
        assert Entry.objects.filter(verb="ledger.drifted").count() == 2

    def test_verify_names_the_stretch_and_ends_with_1(
        self, history: Campaign, tamper: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(digests, "MARGIN", timedelta(0))
        jobs.digest()
        code, out, _ = self.run("loyalty_ledger_verify")
        assert code == 0
        assert "9 rows in 1 stretches, 0 rows not digested yet" in out
        assert value_of("loyalty_ledger_sound") == 1
        tamper("update loyalty_transactions set amount = amount + 1 where amount = 300")
        code, _, err = self.run("loyalty_ledger_verify")
        assert code == 1
        assert "9 rows of +620 points were digested; there are 9 of +621 points" in err
        assert value_of("loyalty_ledger_sound") == 0
        assert OutboxEvent.objects.filter(topic="ledger.broken").count() == 1

    def test_others_may_not(self, history: Campaign, marketing: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
        assert marketing.user is not None
        monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(marketing.user))
        entries = Entry.objects.count()
        for command in ("loyalty_reconcile", "loyalty_ledger_verify"):
            code, _, err = self.run(command, "--as", "ops_marketing")
            assert code == 1
            assert "denied" in err
        for attempt in (
            lambda: books.record_reconciliation(outcome=reconcile(), actor=marketing),
            lambda: books.digest_ledger(actor=marketing),
            lambda: books.record_verification(outcome=digests.verify(), actor=marketing),
        ):
            with pytest.raises(Denied):
                attempt()
        assert Entry.objects.count() == entries


def test_the_job_proves_once_a_day(history: Campaign) -> None:
    verbs = ["ledger.verified", "ledger.broken"]
    assert books_not_since(verbs, timedelta(days=1))
    jobs.prove()
    assert not books_not_since(verbs, timedelta(days=1))
    assert Entry.objects.filter(verb__in=["ledger.reconciled", "ledger.verified"]).count() == 2
    assert executions()["ledger_reconciler", "succeeded"] == 1


def waiting_proofs() -> int:
    return [job.func_name for job in Queue(connection=redis_connection()).jobs].count(jobs.PROVE)


def test_a_ledger_that_was_verified_by_hand_is_no_proof_of_the_books(history: Campaign, auditor: Actor) -> None:
    books.record_verification(outcome=digests.verify(), actor=auditor)
    before = waiting_proofs()
    jobs.wake_proof()
    assert waiting_proofs() == before + 1
    jobs.prove()
    jobs.wake_proof()
    assert waiting_proofs() == before + 1
    assert Entry.objects.filter(verb="ledger.reconciled").count() == 1
    assert Entry.objects.filter(verb="ledger.verified").count() == 1
