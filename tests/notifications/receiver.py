"""A receiver of webhooks in a process of its own; how it behaves is said by the path, what came is kept in a file.

`/ok`, `/status/500`, `/later/2` (429 with Retry-After), `/hang`, `/reset` (drops the line once it has everything),
`/drip` (a byte now and then, without end), `/big` (megabytes), `/redirect` (to /ok), `/flaky/2` (500 twice, then 200).
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Receiver(BaseHTTPRequestHandler):
    """Keeps what comes, and does as the path says."""

    protocol_version = "HTTP/1.1"
    kept: Path
    lock = threading.Lock()
    seen: Counter[str] = Counter()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock, self.kept.open("a") as file:
            self.seen[self.path] += 1
            headers = {name.lower(): value for name, value in self.headers.items()}
            record = {"path": self.path, "headers": headers, "body": body.decode(), "at": time.time()}
            file.write(json.dumps(record) + "\n")
        name, _, rest = self.path.partition("?")[0].strip("/").partition("/")
        getattr(self, f"do_{name}")(rest)

    def do_ok(self, _rest: str) -> None:
        self._answer(200, b"thank you")

    def do_status(self, code: str) -> None:
        self._answer(int(code), b"no")

    def do_later(self, seconds: str) -> None:
        self._answer(429, b"slowly", **{"Retry-After": seconds})

    def do_flaky(self, times: str) -> None:
        self._answer(500 if self.seen[self.path] <= int(times) else 200, b"")

    def do_redirect(self, _rest: str) -> None:
        self._answer(302, b"", Location="/ok")

    def do_hang(self, _rest: str) -> None:
        time.sleep(60)

    def do_reset(self, _rest: str) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def do_drip(self, _rest: str) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                self.wfile.write(b"X")
                time.sleep(0.2)

    def do_big(self, _rest: str) -> None:
        with contextlib.suppress(OSError):
            self._answer(200, b"x" * 8_000_000)

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *_args: Any) -> None:
        pass


@dataclass
class Started:
    """A receiver, or a mail server, that runs, and what came to it."""

    process: subprocess.Popen[str]
    port: int
    kept: Path

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def got(self, path: str = "") -> list[dict[str, Any]]:
        """What came, to one path or to all."""
        if not self.kept.exists():
            return []
        found = [json.loads(line) for line in self.kept.read_text().splitlines()]
        return [one for one in found if not path or one["path"] == path]

    def forget(self) -> None:
        self.kept.unlink(missing_ok=True)

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


def start(module: str, kept: Path) -> Started:
    """Start one of the two and wait until it listens."""
    process = subprocess.Popen([sys.executable, "-m", module, str(kept)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return Started(process, int(process.stdout.readline()), kept)


if __name__ == "__main__":
    Receiver.kept = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
