"""`python -m bench.callers`: so many callers of one door, each keeping a connection for a while, in one light process.

Reads what to call as JSON from stdin, and tells how it went as JSON on stdout. Each caller sends its next request when
it has the answer to the last one. They take turns at sockets that never block, and no HTTP library stands between: the
load must cost little of the two cores that it measures.
"""

from __future__ import annotations

import json
import random
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

from bench.processes import ROOT

SEED = 4
RENEWED = 50  # calls on one connection: the kernel deals them out to the server's processes by chance


@dataclass(frozen=True, slots=True)
class Calls:
    """POSTs to one door. `{n}` in a header or the body is a new number each time, `{m}` one of so many members."""

    port: int
    path: str
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    expected: int = 201
    callers: int = 8
    members: int = 1
    warm_up: float = 1.0  # seconds
    seconds: float = 5.0
    first: int = 0  # of the numbers


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers a second, and their latencies in milliseconds as a caller meets them."""

    rate: float
    p50: float
    p99: float
    last: int  # of the numbers


def answers(calls: Calls) -> Answers:
    """Have the calls made by a process of their own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.callers"],
        cwd=ROOT, input=json.dumps(asdict(calls)), stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return Answers(**json.loads(done.stdout))


class _Caller:
    """One connection, and the request that is under way on it."""

    def __init__(self, port: int, ready: selectors.BaseSelector) -> None:
        self.port, self.ready = port, ready
        self.got = b""
        self.began = 0.0
        self.calls = 0
        self._connect()

    def _connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ready.register(self.socket, selectors.EVENT_READ, self)

    def close(self) -> None:
        """Hang up."""
        self.ready.unregister(self.socket)
        self.socket.close()

    def send(self, request: bytes) -> None:
        self.got = b""
        self.calls += 1
        if self.calls % RENEWED == 0:
            self.close()
            self._connect()
        self.began = time.perf_counter()
        self.socket.sendall(request)

    def answered(self) -> bool:
        """Take in what has come; whether that is the whole answer."""
        came = self.socket.recv(65536)
        if not came:
            raise RuntimeError("the server has hung up")
        self.got += came
        head, ended, body = self.got.partition(b"\r\n\r\n")
        if not ended:
            return False
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        return len(body) >= int(length)

    @property
    def status(self) -> int:
        return int(self.got[9:12])


def call(calls: Calls) -> Answers:
    """Make the calls."""
    numbers, members = count(calls.first), random.Random(SEED + calls.first)
    headers = "".join(f"{name}: {value}\r\n" for name, value in calls.headers.items())
    head = f"POST {calls.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{headers}"

    def request() -> bytes:
        number, member = str(next(numbers)), str(members.randrange(calls.members))
        body = calls.body.replace("{n}", number).replace("{m}", member)
        return f"{head.replace('{n}', number)}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    taken: list[float] = []
    with selectors.DefaultSelector() as ready:
        callers = [_Caller(calls.port, ready) for _ in range(calls.callers)]
        for caller in callers:
            caller.send(request())
        begin = time.perf_counter() + calls.warm_up
        end = begin + calls.seconds
        while (now := time.perf_counter()) < end:
            for key, _events in ready.select(1.0):
                caller = key.data
                if not caller.answered():
                    continue
                now = time.perf_counter()
                if caller.status != calls.expected:
                    raise RuntimeError(f"{calls.path} answered {caller.got!r}")
                if begin <= now < end:
                    taken.append((now - caller.began) * 1000)
                caller.send(request())
        for caller in callers:
            caller.close()
    taken.sort()
    return Answers(len(taken) / calls.seconds, taken[len(taken) // 2], taken[int(len(taken) * 0.99)], next(numbers))


def main() -> None:
    """One run of calls, as told on stdin."""
    told: dict[str, Any] = json.load(sys.stdin)
    print(json.dumps(asdict(call(Calls(**told)))))


if __name__ == "__main__":
    main()
