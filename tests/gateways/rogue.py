"""A server that answers every request with the same bytes, as a broken bank or something in between would."""

from __future__ import annotations

import re
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    requests: list[bytes]


@contextmanager
def answering(
    answer: bytes, *, drip: float = 0.0, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    """The base URL of a server that says `answer`, a byte every `drip` seconds; and the requests that it got."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            line = self.request
            try:
                if tls is not None:
                    line = tls.wrap_socket(line, server_side=True)
                server.requests.append(_request(line))
                for start in range(len(answer)) if drip else []:
                    line.sendall(answer[start : start + 1])
                    time.sleep(drip)
                if not drip:
                    line.sendall(answer)
                _hang_up(line)
            except OSError:  # the client had enough
                return

    server = _Server(("127.0.0.1", 0), Handler)
    server.requests = []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    scheme = "https" if tls else "http"
    try:
        yield f"{scheme}://localhost:{server.server_address[1]}", server.requests
    finally:
        server.shutdown()
        server.server_close()


def _request(line: socket.socket) -> bytes:
    """All of a request, body too: what is unread when a line is closed resets it, and takes the answer along."""
    line.settimeout(10)
    request = line.recv(65_536)
    while b"\r\n\r\n" not in request and (more := line.recv(65_536)):
        request += more
    head, _, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    left = (int(length[1]) if length else 0) - len(body)
    while left > 0 and (more := line.recv(65_536)):
        request += more
        left -= len(more)
    return request


def _hang_up(line: socket.socket) -> None:
    """Say that there is no more, and wait until the other side has heard it."""
    line.shutdown(socket.SHUT_WR)
    while socket.socket.recv(line, 65_536):
        pass
    line.close()


def http_answer(status: str, body: str | bytes, kind: str = "application/json", **headers: str) -> bytes:
    """An HTTP/1.1 answer."""
    payload = body.encode() if isinstance(body, str) else body
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    length = "" if "Content_Length" in headers else f"Content-Length: {len(payload)}\r\n"
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{length}{more}\r\n".encode() + payload
