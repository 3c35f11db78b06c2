"""Importing purchases: each once, by the program's rate, whatever the file, the mode, the rivals and interruptions."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from loyalty.errors import BudgetExhausted, ImportRefused, ProgramSuspended
from loyalty.importing.files import GoodLine, PurchaseFile, read_purchases
from loyalty.models import Balance, Program, Rule, Transaction
from loyalty.services import members, points, purchases
from loyalty.services.purchases import Source, Totals
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.lines import BadLine, FileRefused
from opsconsole.core.tokens import create_token
from opsconsole.journal.models import Entry
from tests.conftest import dsn_as
from tests.loyalty.purchases import EXTRACT, HEADER, equals_the_raw_file, line, text, the_books_agree

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
UNTIL = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of these lines."""

    def make(*lines: str, name: str = "shop.txt") -> Path:
        path = tmp_path / name
        path.write_text(text(*lines))
        return path

    return make


@pytest.fixture
def load(program: Program, marketing: Actor) -> Callable[..., tuple[Totals, list[str]]]:
    """Import a file; the totals and what was said of bad lines."""

    def run(path: Path, *, whole: bool = False, actor: Actor = marketing) -> tuple[Totals, list[str]]:
        bad: list[BadLine] = []
        file = PurchaseFile(path, until=timezone.now())
        importing = purchases.import_purchases_whole if whole else purchases.import_purchases
        totals = importing(
            program_id=program.pk,
            lines=file,
            source=Source(file.source, path.name, file.head()),
            on_bad=bad.append,
            on_progress=lambda _: None,
            actor=actor,
        )
        return totals, [str(one) for one in bad]

    return run


Load = Callable[..., tuple[Totals, list[str]]]


def of(user_id: str) -> Balance:
    return Balance.objects.get(user_id=user_id)


class TestTruth:
    def test_balances_are_what_the_raw_lines_add_up_to(self, program: Program, load: Load) -> None:
        """Of the extract; of the whole file, and within its time, where OPS_REAL_DATA names it."""
        path = Path(os.environ.get("OPS_REAL_DATA", EXTRACT))
        Program.objects.filter(pk=program.pk).update(budget_limit=10_000_000)
        begun = timezone.now()
        totals, bad = load(path)
        assert (timezone.now() - begun).total_seconds() < 30
        assert bad == []
        equals_the_raw_file(path, program, totals)
        one = Transaction.objects.get(idempotency_key=f"{path.name.split('.')[0]}:2")
        assert (one.origin_txn_id, one.event_type, one.amount, one.purchase) == (
            one.idempotency_key,
            "earn",
            11,
            Decimal("11.77"),
        )
        assert one.created_at == datetime(1997, 1, 1, tzinfo=UTC)
        again, _ = load(path)
        assert (again.loaded, again.known, again.skipped) == (0, totals.loaded, totals.skipped)
        equals_the_raw_file(path, program, totals)

    def test_points_are_of_the_rate_and_the_rules_of_that_day(
        self, program: Program, load: Load, write: Callable[..., Path]
    ) -> None:
        Program.objects.filter(pk=program.pk).update(earn_rate=Decimal("1.5"))
        Rule.objects.create(
            program=program,
            name="double in March",
            kind="multiplier",
            multiplier=2,
            starts_at=datetime(1997, 3, 1, tzinfo=UTC),
            ends_at=datetime(1997, 4, 1, tzinfo=UTC),
        )
        Rule.objects.create(program=program, name="off", kind="multiplier", multiplier=9, active=False)
        Rule.objects.create(program=program, name="cap", kind="cap", cap_points=1, period_days=1)  # not of history
        totals, _ = load(write(*(line(date=date, paid="11.77") for date in ("19970228", "19970301", "19970401"))))
        assert list(Transaction.objects.order_by("created_at").values_list("amount", flat=True)) == [17, 35, 17]
        assert totals.points == 69


class TestAgain:
    def test_a_second_time_changes_nothing(self, program: Program, load: Load) -> None:
        first, _ = load(EXTRACT)
        before = list(Balance.objects.order_by("pk").values())
        again, bad = load(EXTRACT)
        assert (again.loaded, again.known, again.skipped, bad) == (0, first.loaded, first.skipped, [])
        assert list(Balance.objects.order_by("pk").values()) == before
        assert Entry.objects.filter(verb="purchases.imported").count() == 1

    def test_packed_it_is_the_same_and_by_another_name_refused(
        self, program: Program, load: Load, tmp_path: Path
    ) -> None:
        load(EXTRACT)
        packed = tmp_path / "purchases.txt.gz"
        packed.write_bytes(gzip.compress(EXTRACT.read_bytes()))
        assert load(packed)[0].loaded == 0
        copy = tmp_path / "copy.txt"
        copy.write_bytes(EXTRACT.read_bytes())
        with pytest.raises(ImportRefused, match="was loaded as purchases before"):
            load(copy)

    def test_a_longer_file_of_the_same_name_adds_what_is_new(self, load: Load, write: Callable[..., Path]) -> None:
        load(write(line()))
        totals, _ = load(write(line(), line(date="19961224")))
        assert (totals.loaded, totals.known) == (1, 1)
        assert of("alice").joined_at == datetime(1996, 12, 24, tzinfo=UTC)  # the first purchase, whenever it comes

    def test_a_line_that_is_another_by_now_is_refused(self, load: Load, write: Callable[..., Path]) -> None:
        load(write(line(), line("bob")))
        totals, bad = load(write(line(paid="99.00"), line("bob"), line("carol")))
        assert bad == ["line 2: was loaded before with another customer, date or amount"]
        assert (totals.loaded, totals.known, totals.refused) == (1, 1, 1)
        assert of("alice").points_balance == 11


class TestRefusals:
    @pytest.mark.parametrize(
        ("bad", "said"),
        [
            (line(paid="-5.00"), "dollar_value is no amount of at most 12 digits with two decimals, 0 or more"),
            (line(paid="1.005"), "dollar_value is no amount of at most 12 digits with two decimals, 0 or more"),
            (line(paid="NaN"), "dollar_value is no amount of at most 12 digits with two decimals, 0 or more"),
            (line(paid="٣"), "dollar_value is no amount of at most 12 digits with two decimals, 0 or more"),
            (line(date="19970230"), "date is no day written as YYYYMMDD"),
            (line(date="1997-01-01"), "date is no day written as YYYYMMDD"),
            (line(date="29990101"), "date is in the future"),
            (line(date="19691231"), "date is before 1970"),
            (line(items="one", date="x"), "date is no day written as YYYYMMDD; number_of_cds is no number of items"),
            (line("x" * 101), "customer_id is longer than 100 characters"),
            (line("a\x00b"), "customer_id holds bytes that are not UTF-8, or a control character"),
            (line("a\udcff"), "customer_id holds bytes that are not UTF-8, or a control character"),
            (line() + " more", "has 5 columns instead of 4"),
            ("rubbish", "has 1 columns instead of 4"),
            ("x" * 20_000, "is longer than 10000 characters"),
        ],
    )
    def test_a_bad_line_is_named_and_spoils_no_other(self, bad: str, said: str) -> None:
        content = text(line(), bad, "", line("bob")).encode("utf-8", "surrogateescape")
        found = list(read_purchases(io.BytesIO(content), UNTIL))
        assert [one.customer if isinstance(one, GoodLine) else str(one) for one in found] == [
            "alice",
            f"line 3: {said}",
            "bob",
        ]

    @pytest.mark.parametrize(
        "content", [b"", b"\n", line().encode(), text(line()).encode("utf-16"), b"PK\x03\x04 zip", b"\x1f\x8bnonsense"]
    )
    def test_what_is_no_such_file_says_so(self, load: Load, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "odd.txt"
        path.write_bytes(content)
        with pytest.raises(FileRefused, match=r"must name the columns|is empty|breaks off after line 0"):
            load(path)
        assert not Entry.objects.filter(verb="purchases.imported").exists()

    def test_a_large_file_is_read_in_constant_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "large.txt.gz"
        with gzip.open(path, "wt", compresslevel=1) as file:
            file.write(HEADER + "\n")
            file.writelines(line(f"c{number}") + "\nrubbish\n" for number in range(10_000))
            for _ in range(50):
                file.write("x" * 100_000)  # one line of five megabytes
        tracemalloc.start()
        count = sum(isinstance(one, BadLine) for one in PurchaseFile(path, until=UNTIL))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 10_001
        assert peak < 2_000_000

    def test_frozen_members_are_named_and_the_others_earn(
        self, load: Load, write: Callable[..., Path], member: Callable[..., Balance], marketing: Actor
    ) -> None:
        alice = member("alice", 500)
        members.freeze_members(balance_ids=[alice.pk], reason="fraud alert", actor=marketing)
        totals, bad = load(write(line(), line("bob")))
        assert (totals.loaded, bad) == (1, ["line 2: customer_id is a frozen member: nothing is earned"])
        assert (of("alice").points_balance, of("bob").points_balance) == (500, 11)

    def test_a_suspended_program_takes_nothing(self, load: Load, program: Program) -> None:
        Program.objects.filter(pk=program.pk).update(status="suspended")
        with pytest.raises(ProgramSuspended):
            load(EXTRACT)
        assert not Balance.objects.exists()


class TestBudget:
    def test_what_the_budget_covers_is_loaded_and_the_rest_when_there_is_more(
        self, load: Load, write: Callable[..., Path], program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(purchases, "CHUNK", 2)
        Program.objects.filter(pk=program.pk).update(budget_limit=30)
        path = write(*(line(name) for name in ("a", "b", "c", "d", "e")))
        with pytest.raises(BudgetExhausted, match="lines 4 to 5 come to 22 points. What was loaded before them stays"):
            load(path)
        assert sorted(Balance.objects.values_list("user_id", flat=True)) == ["a", "b"]
        the_books_agree(program)
        Program.objects.filter(pk=program.pk).update(budget_limit=1000)
        totals, _ = load(path)
        assert (totals.loaded, totals.known) == (3, 2)
        the_books_agree(program)

    def test_whole_it_is_all_or_nothing(
        self, load: Load, write: Callable[..., Path], program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(purchases, "CHUNK", 2)
        lines = [line(name) for name in ("a", "b", "c")]
        with pytest.raises(ImportRefused, match="1 of 4 lines are refused"):
            load(write(*lines, "rubbish"), whole=True)
        Program.objects.filter(pk=program.pk).update(budget_limit=30)
        with pytest.raises(BudgetExhausted, match="Nothing was loaded"):
            load(write(*lines), whole=True)
        assert not Balance.objects.exists()
        assert not Entry.objects.filter(verb="purchases.imported").exists()
        Program.objects.filter(pk=program.pk).update(budget_limit=33)
        assert load(write(*lines), whole=True)[0].loaded == 3
        assert Entry.objects.filter(verb="purchases.imported").count() == 1


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("role", ["finance_ops", "auditor"])
def test_a_denied_actor_has_nothing_read(
    person: Callable[..., Actor], program: Program, role: str, whole: bool
) -> None:
    def explode() -> Iterable[Any]:
        pytest.fail("the file was read")
        yield

    run = purchases.import_purchases_whole if whole else purchases.import_purchases
    source = Source("shop", "shop.txt", "0")
    actor = person(role)
    entries = Entry.objects.count()
    with pytest.raises(Denied):
        run(
            program_id=program.pk,
            lines=explode(),
            source=source,
            on_bad=lambda _: None,
            on_progress=lambda _: None,
            actor=actor,
        )
    with pytest.raises(Denied):
        purchases.load_chunk(program_id=program.pk, lines=[], source=source, actor=actor)
    assert Entry.objects.count() == entries


def test_rivals_load_each_line_once(
    load: Load, program: Program, marketing: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purchases, "CHUNK", 100)
    done: list[Totals] = []

    def work() -> None:
        try:
            done.append(load(EXTRACT)[0])
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    points.earn_points(program_id=program.pk, user_id="00001", points=1, actor=marketing)  # in the middle of it
    for thread in threads:
        thread.join()
    assert sum(totals.loaded for totals in done) == 494
    assert sum(totals.known for totals in done) == 2 * 494
    the_books_agree(program)


@pytest.mark.fault
def test_killed_in_the_middle_it_goes_on(
    program: Program, marketing: Actor, load: Load, write: Callable[..., Path], tmp_path: Path
) -> None:
    path = write(*(line(f"c{number % 1000}", paid="1.00") for number in range(2 * purchases.CHUNK + 17)))
    assert marketing.user is not None
    environment = os.environ | {
        "DATABASE_URL": dsn_as("ops_app"),
        "DATABASE_OWNER_URL": dsn_as("ops_owner"),
        "REDIS_URL": "redis://127.0.0.1:1/0",  # nobody: an import needs none
        "OPSCONSOLE_TOKEN": create_token(marketing.user),
    }

    proof = tmp_path / "crashed"
    crash = {"OPS_CRASH_AT": "loyalty.import.in_chunk:2", "OPS_CRASH_LOG": str(proof)}
    command = [ROOT / "manage.py", "loyalty_import_purchases", path, "--program", "Club", "--as", "ops_marketing"]
    killed = subprocess.run(
        [sys.executable, *command], env=environment | crash, capture_output=True, text=True, timeout=120, check=False
    )
    assert (killed.returncode, proof.exists()) == (-signal.SIGKILL, True), killed.stderr
    assert Transaction.objects.count() == purchases.CHUNK
    totals, bad = load(path)
    assert (totals.loaded, totals.known, bad) == (purchases.CHUNK + 17, purchases.CHUNK, [])
    assert Transaction.objects.count() == 2 * purchases.CHUNK + 17
    the_books_agree(program)


class TestCommand:
    def run(self, *arguments: str) -> tuple[int, str, str]:
        out, err = StringIO(), StringIO()
        try:
            call_command("loyalty_import_purchases", *arguments, "--program", "Club", stdout=out, stderr=err)
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue(), err.getvalue()
        return 0, out.getvalue(), err.getvalue()

    @pytest.fixture(autouse=True)
    def as_marketing(self, program: Program, marketing: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
        assert marketing.user is not None
        monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(marketing.user))

    def test_says_what_it_loaded_and_skipped(self, write: Callable[..., Path]) -> None:
        code, out, err = self.run(str(write(line(), line(paid="0.00"))), "--as", "ops_marketing")
        assert (code, err) == (0, "")
        assert out.startswith("1 loaded (11 points for 11.77), 0 already there, 1 skipped (no points), 0 refused in ")

    def test_ends_with_1_and_names_every_bad_line(self, write: Callable[..., Path], tmp_path: Path) -> None:
        path, errors = write(line(), "rubbish"), tmp_path / "errors.csv"
        code, out, err = self.run(str(path), "--as", "ops_marketing", "--errors", str(errors))
        assert (code, err) == (1, "line 3: has 1 columns instead of 4\n")
        assert "1 loaded" in out
        assert errors.read_text().splitlines() == ["line,column,reason", "3,,has 1 columns instead of 4"]
        code, out, err = self.run(str(path), "--as", "ops_marketing", "--atomic")
        assert code == 1
        assert out.startswith("nothing loaded, 1 already there")
        assert "import_refused: 1 of 2 lines are refused, so nothing was loaded." in err

    def test_does_not_write_what_is_wrong_over_the_file_itself(
        self, write: Callable[..., Path], tmp_path: Path
    ) -> None:
        path, link = write(line(), "rubbish"), tmp_path / "errors.csv"
        link.symlink_to(path)
        before = path.read_bytes()
        for errors in (path, link):
            code, out, err = self.run(str(path), "--as", "ops_marketing", "--errors", str(errors))
            assert (code, out) == (1, "")
            assert f"file_refused: {errors} is the file to load: --errors takes another one." in err
        assert path.read_bytes() == before
        assert not Transaction.objects.exists()

    def test_a_pipe_is_refused_before_it_is_read(self, tmp_path: Path) -> None:
        pipe = tmp_path / "shop.txt"
        os.mkfifo(pipe)
        code, out, err = self.run(str(pipe), "--as", "ops_marketing")
        assert (code, out) == (1, "")
        assert f"file_refused: {pipe} is a pipe: save it as a file, since it is read twice." in err

    def test_a_file_without_purchases_is_said_to_have_none(self, write: Callable[..., Path]) -> None:
        code, out, err = self.run(str(write()), "--as", "ops_marketing")
        assert (code, err) == (0, "")
        assert out.startswith("0 loaded (0 points for 0), 0 already there, 0 skipped (no points), 0 refused in ")

    def test_needs_somebody_who_may(self, write: Callable[..., Path]) -> None:
        code, _, err = self.run(str(write(line())))
        assert code == 1
        assert "denied" in err
        assert not Transaction.objects.exists()
