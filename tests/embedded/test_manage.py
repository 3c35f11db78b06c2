"""`manage.py`: which commands need servers, and that each leaves as it should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from manage import needs_servers
from tests.embedded.acting import ROOT, nothing_runs, query

# A suite that a shell has started in the background ignores SIGINT, and so would its children.
WAIT = "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler)"
WAIT += "; print('in', flush=True); time.sleep(60)"


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("", False),
        ("help", False),
        ("--version", False),
        ("migrate --help", False),
        ("check", False),
        ("check --deploy", False),
        ("check --database default", True),
        ("collectstatic --no-input", False),
        ("migrate", True),
        ("makemigrations --check", True),
        ("dburl", True),
    ],
)
def test_only_commands_that_need_servers_start_them(line: str, needed: bool) -> None:
    assert needs_servers(line.split()) is needed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_command_that_is_ended_stops_the_servers(var: Path, number: signal.Signals) -> None:
    command = [sys.executable, ROOT / "manage.py", "shell", "--no-imports", "--command", WAIT]
    environment = {**os.environ, "OPS_VAR": str(var), "OPS_ENV": "local"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "in\n"
        process.send_signal(number)
        assert process.wait(20) == 128 + number
    assert nothing_runs(var)


def test_the_address_for_psql_works_with_nothing_else_running(var: Path) -> None:
    def dburl(*options: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OPS_VAR": str(var), "OPS_ENV": "local"}
        command = [sys.executable, ROOT / "manage.py", "dburl", *options]
        return subprocess.run(command, env=environment, text=True, capture_output=True, check=True)

    told = dburl()
    assert "stays up for psql until" in told.stderr
    assert query(told.stdout.strip(), "select current_user") == "operator"

    assert dburl("--stop").stdout == ""
    assert nothing_runs(var)
