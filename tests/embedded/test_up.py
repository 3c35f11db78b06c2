"""`manage.py up`, whole: it serves, refuses a second one, heals its servers, and leaves no process behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from opsconsole.core.management.commands.up import Command, Screen, free_port, why_not_ready
from opsconsole.embedded.places import Binaries
from tests.embedded.acting import ROOT, main_process, nothing_runs, processes


class Console:
    """A running `manage.py up` on a state folder of its own."""

    def __init__(self, var: Path, *, demo: bool = False) -> None:
        self.var = var
        foreign = (
            "PORT",
            "HOST",
            "REDIS_URL",
            "OPS_PGBOUNCER",
            "DATABASE_",
            "LOG_LEVEL",
        )  # the console brings servers of its own
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        ours = {"OPS_VAR": str(var), "OPS_ENV": "local", "OPS_DEMO": str(int(demo))}
        self.environment = kept | ours
        self.output = (var.parent / "output").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "manage.py", "up"],
            env=self.environment,
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )
        self.eventually(lambda: "is ready at" in self.said() or self.process.poll() is not None)
        assert self.process.poll() is None, self.said()
        self.address = json.loads((var / "up.json").read_text())["address"]

    def manage(self, *command: str) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, ROOT / "manage.py", *command, env=self.environment)

    def said(self) -> str:
        return Path(self.output.name).read_text()

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def children(self) -> list[int]:
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def eventually(self, holds: Callable[[], bool], *, within: float = 120) -> None:
        deadline = time.monotonic() + within
        while not holds():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, text=True, capture_output=True, check=False, **options)


@contextmanager
def console(var: Path, *, demo: bool = False) -> Iterator[Console]:
    it = Console(var, demo=demo)
    try:
        yield it
    finally:
        it.process.kill()
        it.process.wait(60)
        it.output.close()


def running(pids: list[int]) -> list[int]:
    """Those that still run; zombies that nobody fetched do not."""
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        found += [pid] if state != "Z" else []
    return found


@pytest.mark.fault
def test_up_serves_heals_and_leaves_nothing_behind(new_var: Callable[..., Path]) -> None:
    var = new_var()
    with console(var) as up:
        assert up.is_ready()
        up.eventually(lambda: len(up.children()) == 6)  # web, two workers, notifier, scheduler, bank

        second = up.manage("up")
        assert second.returncode == 1
        assert f"already runs: {up.address}" in second.stderr

        psql = Binaries.installed().postgres("psql")
        url = up.manage("dburl")
        assert url.stderr == "", "what `up` keeps needs no note"
        who = run(psql, url.stdout.strip(), "-Atc", "select current_user")
        assert who.stdout == "operator\n"

        os.kill(main_process(var, "postgres"), signal.SIGKILL)
        up.eventually(lambda: "PostgreSQL had died and runs again" in up.said())
        up.eventually(up.is_ready)

        before = up.children()
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(90) == 0
        assert "stopped" in up.said().splitlines()[-1]
        assert running(before) == []
        assert nothing_runs(var)
        assert not (var / "up.json").exists()

    with console(var) as up:  # killed, it cannot stop anything: its children do
        before = up.children()
        up.process.kill()
        up.process.wait(60)
        up.eventually(lambda: running(before) == [] and not processes(var, "postgres"))
        assert nothing_runs(var)


def test_what_is_routine_is_in_the_log_and_not_on_the_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (
        '{"level": "info", "event": "CAMPAIGN_EXECUTOR launched"}',
        '{"level": "warning", "event": "slow"}',
        "Oh",
        "7",
    )
    for level, shown in ((None, lines[1:]), ("INFO", lines)):
        monkeypatch.delenv("LOG_LEVEL", raising=False)
        if level:
            monkeypatch.setenv("LOG_LEVEL", level)
        screen = Screen()
        for line in lines:
            screen.repeat("worker-1", line)
        assert capsys.readouterr().out.splitlines() == [f"worker-1  {line}" for line in shown]


def test_a_console_that_fails_without_a_word_is_not_ready() -> None:
    class Failing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(500)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Failing) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert "500" in why_not_ready(f"http://127.0.0.1:{server.server_port}")
    assert "refused" in why_not_ready(f"http://127.0.0.1:{server.server_port}")


def test_a_port_that_was_asked_for_must_be_free(monkeypatch) -> None:
    command = Command()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        with pytest.raises(CommandError, match=f"PORT {port}: Address already in use"):
            command.web_port("127.0.0.1")
        assert port < free_port("127.0.0.1", port) < port + 100, "one that was not asked for gives way"
    with command.web_port("127.0.0.1") as reserved:
        assert reserved.getsockname() == ("127.0.0.1", port)
        with pytest.raises(CommandError, match="Address already in use"):
            command.web_port("127.0.0.1")
        with socket.socket() as granian:  # shares the port as the reservation does
            granian.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            granian.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            granian.bind(("127.0.0.1", port))
            granian.listen()

    monkeypatch.setenv("PORT", "eighty")
    with pytest.raises(CommandError, match="must be a number"):
        command.web_port("127.0.0.1")
    with pytest.raises(CommandError, match="Cannot listen on 192.0.2.1"):
        free_port("192.0.2.1", 8000)
