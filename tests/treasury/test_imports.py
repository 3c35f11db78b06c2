"""Importing payouts: each once, whatever the file, the mode, the rivals and the interruptions."""

from __future__ import annotations

import csv
import gzip
import threading
from collections.abc import Callable, Iterable
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import Denied
from opsconsole.core.lines import BadLine
from opsconsole.core.tokens import create_token
from opsconsole.journal.models import Entry
from opsconsole.treasury.errors import ImportRefused
from opsconsole.treasury.models import Payout
from opsconsole.treasury.payouts.files import PayoutFile
from opsconsole.treasury.services import imports
from opsconsole.treasury.services.imports import Totals
from tests.treasury.conftest import HEADER, line, text, verbs

pytestmark = pytest.mark.django_db(transaction=True)

LOADER = SYSTEM("test")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write an import file of these rows."""

    def make(*rows: str, name: str = "payouts.csv", header: str = HEADER) -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return make


def load(path: Path, *, whole: bool = False, actor: Actor = LOADER) -> tuple[Totals, list[str]]:
    """Import a file; the totals and what was said of bad rows."""
    bad: list[BadLine] = []
    run = imports.import_payouts_whole if whole else imports.import_payouts
    totals = run(
        lines=PayoutFile(path), file_name=path.name, on_bad=bad.append, on_progress=lambda _: None, actor=actor
    )
    return totals, [str(one) for one in bad]


def chunks_of(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(imports, "CHUNK", size)


class TestLoading:
    def test_loads_what_the_file_says(self, write: Callable[..., Path]) -> None:
        totals, bad = load(write(line(1), line(2, amount="7.5", currency="USD")))
        assert (totals.loaded, totals.known, totals.refused, bad) == (2, 0, 0, [])
        first = Payout.objects.get(external_id="X-1")
        assert (first.amount, first.status, first.country, first.plan_id) == (Decimal("12.50"), "payable", "DE", None)

    def test_journals_once_for_each_chunk(self, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
        chunks_of(monkeypatch, 2)
        load(write(*(line(number) for number in range(5))))
        entries = list(Entry.objects.filter(verb__startswith="payout").order_by("seq"))
        assert [entry.verb for entry in entries] == ["payouts.imported"] * 3
        assert len({entry.subject_id for entry in entries}) == 1
        assert entries[0].content["after"] == {
            "file": "payouts.csv",
            "loaded": 2,
            "known": 0,
            "refused": 0,
            "sums": {"EUR": "25.00"},
            "lines": [2, 3],
        }

    def test_a_second_time_changes_nothing(self, write: Callable[..., Path]) -> None:
        path = write(line(1), line(2))
        load(path)
        before = list(Payout.objects.order_by("pk").values())
        totals, bad = load(path)
        assert (totals.loaded, totals.known, bad) == (0, 2, [])
        assert list(Payout.objects.order_by("pk").values()) == before
        assert verbs() == ["payouts.imported"]

    @pytest.mark.parametrize("size", [1, 2, 100])
    def test_an_id_with_other_content_is_refused_in_the_file_and_in_the_database(
        self, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        chunks_of(monkeypatch, size)
        totals, bad = load(
            write(line(1), line(1, amount="99"), line(1), line(2), line(1, iban="FR7630006000011234567890189"))
        )
        assert (totals.loaded, totals.known, totals.refused) == (2, 1, 2)
        assert bad == [
            "line 3: external_id is there already with another amount",
            "line 6: external_id is there already with another iban",
        ]
        assert Payout.objects.get(external_id="X-1").amount == Decimal("12.50")

    def test_good_rows_are_loaded_and_bad_ones_named(self, write: Callable[..., Path]) -> None:
        path = write(line(1), line(2, amount="-3"), "rubbish", line(4, iban="DE26370400449046584330"), line(5))
        totals, bad = load(path)
        assert (totals.loaded, totals.refused, totals.lines) == (2, 3, 5)
        assert bad == [
            "line 3: amount is not positive",
            "line 4: has 1 columns; the header names 8",
            "line 5: iban fails the IBAN's check digits",
        ]
        assert set(Payout.objects.values_list("external_id", flat=True)) == {"X-1", "X-5"}

    def test_a_payout_that_is_paid_by_now_is_still_there_already(self, write: Callable[..., Path]) -> None:
        path = write(line(1))
        load(path)
        with connection.cursor() as cursor:
            cursor.execute("update treasury_payouts set status = 'held', hold_reason = 'asked'")
        totals, bad = load(path)
        assert (totals.known, bad) == (1, [])
        assert Payout.objects.get().status == "held"

    def test_rows_before_a_break_are_loaded(self, tmp_path: Path) -> None:
        rows = text(*(line(number, remittance=f"{number * 7919}") for number in range(3000))).encode()
        cut = tmp_path / "cut.csv.gz"
        packed = gzip.compress(rows)
        cut.write_bytes(packed[: len(packed) // 2])
        with pytest.raises(Exception, match="breaks off after line") as broken:
            load(cut)
        assert Payout.objects.count() == broken.value.fields["line"] - 2 > 500  # type: ignore[attr-defined]


class TestWhole:
    def test_loads_all_in_one_operation(self, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
        chunks_of(monkeypatch, 2)
        totals, _ = load(write(*(line(number) for number in range(5))), whole=True)
        assert totals.loaded == 5
        assert verbs() == ["payouts.imported"]

    def test_loads_nothing_if_one_row_is_bad(self, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
        chunks_of(monkeypatch, 2)
        with pytest.raises(ImportRefused) as refused:
            load(write(line(1), line(2), line(3), line(4, amount="0"), line(5)), whole=True)
        assert refused.value.fields == {"refused": 1, "lines": 5}
        assert not Payout.objects.exists()
        assert verbs() == []

    def test_a_second_time_changes_nothing(self, write: Callable[..., Path]) -> None:
        path = write(line(1), line(2))
        load(path, whole=True)
        totals, _ = load(path, whole=True)
        assert (totals.loaded, totals.known) == (0, 2)
        assert verbs() == ["payouts.imported"]


class TestPermission:
    @pytest.mark.parametrize("role", ["ops", "auditor", "dev", "admin", "ops_marketing"])
    @pytest.mark.parametrize("whole", [False, True])
    def test_nobody_else_imports_or_even_has_the_file_read(
        self, person: Callable[..., Actor], role: str, whole: bool
    ) -> None:
        def explode() -> Iterable[Any]:
            pytest.fail("the file was read")
            yield

        run = imports.import_payouts_whole if whole else imports.import_payouts
        with pytest.raises(Denied):
            run(
                lines=explode(),
                file_name="f",
                on_bad=lambda _: None,
                on_progress=lambda _: None,
                actor=person(role),
            )
        assert not Payout.objects.exists()
        assert not Entry.objects.filter(verb__startswith="payout").exists()

    def test_a_chunk_by_itself_is_refused_too(self, person: Callable[..., Actor]) -> None:
        with pytest.raises(Denied):
            imports.load_chunk(lines=[], file_name="f", import_id="i", actor=person("auditor"))

    @pytest.mark.parametrize("role", ["finance_ops", "pay_admin"])
    def test_those_who_may(self, person: Callable[..., Actor], write: Callable[..., Path], role: str) -> None:
        load(write(line(1)), actor=person(role))
        assert Entry.objects.get(verb="payouts.imported").actor_name == role


def test_rivals_with_one_file_load_each_row_once(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    chunks_of(monkeypatch, 50)
    rows = [line(number) for number in range(600)]
    paths = [write(*rows, name="a.csv"), write(*reversed(rows), name="b.csv"), write(*rows, name="c.csv")]
    done: list[Totals] = []

    def work(path: Path) -> None:
        try:
            done.append(load(path)[0])
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(totals.loaded for totals in done) == 600
    assert sum(totals.known for totals in done) == 1200
    assert not any(totals.refused for totals in done)
    assert Payout.objects.count() == 600


class TestCommand:
    @pytest.fixture(autouse=True)
    def as_finance(self, person: Callable[..., Actor], monkeypatch: pytest.MonkeyPatch) -> None:
        user = person("finance_ops").user
        assert user is not None
        monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(user))

    def run(self, *arguments: str) -> tuple[int, str, str]:
        out, err = StringIO(), StringIO()
        try:
            call_command("import_payouts", *arguments, "--as", "finance_ops", stdout=out, stderr=err)
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue(), err.getvalue()
        return 0, out.getvalue(), err.getvalue()

    def test_says_what_it_loaded(self, write: Callable[..., Path]) -> None:
        code, out, err = self.run(str(write(line(1), line(2, amount="1000"))))
        assert (code, err) == (0, "")
        assert out.startswith("2 loaded (EUR 1,012.50), 0 already there, 0 refused in ")

    def test_ends_with_1_and_names_every_bad_row(self, write: Callable[..., Path]) -> None:
        code, out, err = self.run(str(write(line(1), line(2, currency="XXX"))))
        assert code == 1
        assert err.splitlines() == ["line 3: currency is no currency of ISO 4217"]
        assert out.startswith("1 loaded (EUR 12.50), 0 already there, 1 refused in ")

    def test_atomic_loads_nothing(self, write: Callable[..., Path]) -> None:
        code, out, err = self.run("--atomic", str(write(line(1), line(2, currency="XXX"))))
        assert code == 1
        assert out.startswith("nothing loaded, 0 already there, 1 refused in ")
        assert "import_refused: 1 of 2 lines are refused, so nothing was loaded." in err
        assert not Payout.objects.exists()

    def test_writes_a_long_list_of_errors_to_a_file(self, write: Callable[..., Path], tmp_path: Path) -> None:
        path = write(*(line(number, amount="0", iban="x") for number in range(150)))
        errors = tmp_path / "errors.csv"
        code, _, err = self.run(str(path), "--errors", str(errors))
        assert code == 1
        assert err.splitlines()[-1] == "... and 50 more refused rows; the file of --errors has them all."
        with errors.open() as file:
            rows = list(csv.reader(file))
        assert rows[0] == ["line", "column", "reason"]
        assert rows[-1] == ["151", "amount", "is not positive"]
        assert len(rows) == 1 + 2 * 150
        _, _, err = self.run(str(path))
        assert err.splitlines()[-1] == "... and 50 more refused rows; --errors FILE writes them all."

    def test_says_in_a_sentence_what_it_cannot_read(self, tmp_path: Path, write: Callable[..., Path]) -> None:
        for arguments, said in (
            ([str(tmp_path / "none.csv")], "No such file or directory"),
            ([str(write(line(1), name="odd.csv", header="a,b"))], "The first line must name the columns"),
            ([str(write(line(1))), "--errors", str(tmp_path / "no" / "where.csv")], "No such file or directory"),
        ):
            code, out, err = self.run(*arguments)
            assert (code, out) == (1, "")
            assert said in err
            assert "Traceback" not in err

    def test_needs_a_user(self, write: Callable[..., Path]) -> None:
        err = StringIO()
        with pytest.raises(SystemExit) as ended:
            call_command("import_payouts", str(write(line(1))), stderr=err)
        assert ended.value.code == 1
        assert "denied" in err.getvalue()
        assert not Payout.objects.exists()
