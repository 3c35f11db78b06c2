"""One POST to a stranger: to a checked address, within one budget, following nothing, reading little."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException
from typing import Final

from django.conf import settings
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, SSLError

from opsconsole.notifications.gateways.addresses import Forbidden, Target, parse, resolve
from opsconsole.notifications.gateways.outcome import ANSWER_KEPT, Outcome

MAX_ANSWER_BYTES: Final = 16_384
CONNECT_SECONDS: Final = 4.0
READ_SECONDS: Final = 8.0
BUDGET_SECONDS: Final = 10.0  # for all of it, however slowly the receiver drips
LONGEST_RETRY_AFTER: Final = 3600.0


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
    """Send the body; an outcome in any case, within BUDGET_SECONDS and the time a name takes to be resolved."""
    begin = time.monotonic()
    try:
        target = parse(url)
        outcome = _exchange(target, resolve(target), body, headers)
    except Forbidden as error:
        outcome = Outcome(error=str(error), permanent=True)
    except socket.gaierror as error:
        outcome = Outcome(error=f"The host's name is not known: {error.strerror}.", unwell=True)
    except (HTTPError, HTTPException, OSError) as error:
        late = time.monotonic() - begin >= BUDGET_SECONDS
        said = f"no answer within {BUDGET_SECONDS:g} s" if late else f"the line failed: {_words(error)}"
        outcome = Outcome(error=said, unwell=True)
    return _timed(outcome, time.monotonic() - begin)


def _exchange(target: Target, addresses: list[str], body: bytes, headers: Mapping[str, str]) -> Outcome:
    connection = _connect(target, addresses)
    over = threading.Event()
    ending = threading.Timer(BUDGET_SECONDS, _cut, [connection, over])
    ending.daemon = True
    ending.start()
    try:
        connection.request(
            "POST",
            target.path,
            body=body,
            headers={
                "Host": target.host_header,
                "User-Agent": "OpsConsole",
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
                "Connection": "close",
                **headers,
            },
            preload_content=False,
            decode_content=False,
        )
        response = connection.getresponse()
        said = response.read(MAX_ANSWER_BYTES)
        if over.is_set():  # what was read until then may look like an answer
            raise TimeoutError
        return read_answer(response.status, response.headers, said)
    finally:
        ending.cancel()
        connection.close()


def _connect(target: Target, addresses: list[str]) -> HTTPConnection:
    """A connection to the first address that takes one; the certificate must be that of the name."""
    trouble: Exception = OSError("the host has no address")
    for address in addresses[:3]:
        connection = _connection(target, address)
        try:
            connection.connect()
        except SSLError:
            raise
        except (HTTPError, OSError) as error:
            trouble = error
            connection.close()
        else:
            connection.timeout = READ_SECONDS
            if connection.sock is not None:
                connection.sock.settimeout(READ_SECONDS)
            return connection
    raise trouble


def _connection(target: Target, address: str) -> HTTPConnection:
    if not target.tls:
        return HTTPConnection(address, target.port, timeout=CONNECT_SECONDS)
    context = ssl.create_default_context(cafile=settings.NOTIFICATIONS_CA_FILE or None)
    return HTTPSConnection(
        address,
        target.port,
        timeout=CONNECT_SECONDS,
        ssl_context=context,
        server_hostname=target.host,
    )


def _cut(connection: HTTPConnection, over: threading.Event) -> None:
    over.set()
    line = connection.sock
    if line is not None:
        with contextlib.suppress(OSError):  # it has ended by itself
            line.shutdown(socket.SHUT_RDWR)


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """What an answer means: 2xx arrived, 410 never will, the rest may later; no redirect is followed."""
    said = body[:ANSWER_KEPT].decode(errors="replace").replace("\0", "")
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome(status=status, answer=said)
    unwell = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    error = f"the receiver answered {status}"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        error = f"{error}, a redirect, which is not followed"
    return Outcome(
        error=error,
        permanent=status == HTTPStatus.GONE,
        unwell=unwell,
        retry_after=_retry_after(headers.get("Retry-After", "")) if unwell else None,
        status=status,
        answer=said,
    )


def _retry_after(said: str) -> float | None:
    """Seconds, from a number of them or a date; None for anything else."""
    text = said.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    ahead = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(ahead, 0.0), LONGEST_RETRY_AFTER)


def _words(error: Exception) -> str:
    """What an error says, without the object that says it."""
    return str(error).rpartition("): ")[2] or type(error).__name__


def _timed(outcome: Outcome, seconds: float) -> Outcome:
    return Outcome(
        error=outcome.error,
        permanent=outcome.permanent,
        unwell=outcome.unwell,
        retry_after=outcome.retry_after,
        status=outcome.status,
        answer=outcome.answer,
        seconds=seconds,
    )
