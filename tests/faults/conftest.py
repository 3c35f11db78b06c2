"""A console of its own for all fault tests, healthy at the beginning of each; what it wrote is proven at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from opsconsole.journal.verify import verify
from opsconsole.treasury import ledger
from tests.faults.harness import Console
from tests.faults.payouts import TESTER, Lane, make_people, open_lane
from tests.faults.processes import wait_for
from tests.sandbox_bank.process import BankProcess


@pytest.fixture(scope="session")
def bank_of_faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankProcess]:
    """The bank that the lanes share; nothing executes by itself."""
    with BankProcess(tmp_path_factory.mktemp("bank-of-faults")) as bank:
        yield bank


@pytest.fixture(scope="session")
def started(django_db_blocker: Any) -> Iterator[Console]:
    """The console, with people in it."""
    with Console.started() as console:
        with django_db_blocker.unblock(), console.connected():
            make_people()
        yield console


@pytest.fixture(scope="module")
def console(started: Console, django_db_blocker: Any) -> Iterator[Console]:
    """The console, this process being one of it. At the end of the module ledger and journal are proven."""
    with django_db_blocker.unblock(), started.connected():
        yield started
        started.ensure()
        assert ledger.prove() == []
        wait_for("everything to be sealed", _is_sealed)
        outcome = verify()
        assert outcome.sound, outcome.findings
        assert outcome.sealed > 0


@pytest.fixture
def running(console: Console) -> Iterator[Console]:
    """The console with servers, scheduler and two workers, all well; what the test starts beside them ends with it."""
    console.ensure()
    yield console
    console.tidy()


@pytest.fixture
def lane(module_lane: Callable[..., Lane], bank_of_faults: BankProcess) -> Callable[..., Lane]:
    """Open a lane: `lane()` for single payments, `lane("file")` for files; no fault of the bank is armed."""
    bank_of_faults.clear_faults()
    return module_lane


@pytest.fixture(scope="module")
def module_lane(console: Console, bank_of_faults: BankProcess) -> Callable[..., Lane]:
    """The same for fixtures that serve a whole module."""

    def make(kind: str = "payment", server: BankProcess = bank_of_faults) -> Lane:
        return open_lane(kind=kind, server=server, console=console, actor=TESTER)

    return make


def _is_sealed() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select not exists(select from journal_pending)")
        return bool(cursor.fetchone()[0])
