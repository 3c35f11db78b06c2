"""The bank's own API under /v1/: payments, probes, recalls, balances; every request signed."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from sandbox_bank.faults import LINE_KINDS, PAYMENT_KINDS, Fault, FaultBoard
from sandbox_bank.orders import MAX_BODY_BYTES, Order, check_key, parse_order
from sandbox_bank.problems import BankProblem
from sandbox_bank.signing import Keyring
from sandbox_bank.store import Store

MAX_PAGE = 1_000
FILTERS = ("status", "debtor_account", "creditor_account", "end_to_end_id", "key")

Process = Callable[[], Awaitable[web.Response]]


def answer(body: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json", headers=headers)


class BankApi:
    """The handlers of /v1/; each answers only after what it did is committed."""

    def __init__(self, *, store: Store, faults: FaultBoard, keyring: Keyring) -> None:
        self._store = store
        self._faults = faults
        self._keyring = keyring

    def routes(self) -> list[web.RouteDef]:
        """What to add to the application."""
        return [
            web.post("/v1/payments", self.submit),
            web.get("/v1/payments", self.list_payments),
            web.get("/v1/payments/by-key/{key}", self.probe),
            web.get("/v1/payments/{id}", self.show),
            web.post("/v1/payments/{id}/recall", self.recall),
            web.get("/v1/accounts/{iban}/balance", self.balance),
        ]

    async def submit(self, request: web.Request) -> web.Response:
        """POST /v1/payments: 201; again with the same key and order: the same; with another order: 422."""
        body = await self._signed_body(request)
        key = check_key(request.headers.get("Idempotency-Key", ""))
        try:
            order = parse_order(body)
        except BankProblem as problem:
            self._store.refuse(key=key, end_to_end_id="", code=problem.code, now=time.time())
            await self._store.written()
            raise
        if self._faults.empty:
            return await self._accept(order, key)
        facts = asdict(order) | {"key": key}
        return await self._under_faults(request, "submit", facts, lambda: self._accept(order, key))

    async def _accept(self, order: Order, key: str) -> web.Response:
        now = time.time()
        fault = self._payment_fault(order, key, now)
        try:
            if fault is not None and fault.kind == "reject_account":
                raise BankProblem(422, "account_closed", f"The account {order.creditor_account} is closed.")
            accepted = self._store.accept(order, key=key, now=now)
        except BankProblem as problem:
            self._store.refuse(key=key, end_to_end_id=order.end_to_end_id, code=problem.code, now=now)
            await self._store.written()
            raise
        if fault is not None and fault.kind == "return_later":
            self._store.mark_return(accepted.payment_id, seconds=fault.seconds)
        await self._store.written()
        body = {"payment_id": accepted.payment_id, "status": "accepted", "end_to_end_id": order.end_to_end_id}
        headers = {"Idempotency-Replayed": "true"} if accepted.replayed else None
        return answer(body, status=201, headers=headers)

    def _payment_fault(self, order: Order, key: str, now: float) -> Fault | None:
        if self._faults.empty or self._store.has_key(key):
            return None
        return self._faults.strike(PAYMENT_KINDS, "submit", asdict(order) | {"key": key}, now)

    async def probe(self, request: web.Request) -> web.Response:
        """GET /v1/payments/by-key/{key}: the payment accepted under this key, or 404 `unknown_key`."""
        await self._signed_body(request)
        key = request.match_info["key"]

        async def look_up() -> web.Response:
            payment = self._store.find(key=key)
            if payment is None:
                raise BankProblem(404, "unknown_payment", "No payment was accepted under this key.")
            return answer(payment)

        return await self._under_faults(request, "probe", self._facts(key=key), look_up)

    async def show(self, request: web.Request) -> web.Response:
        """GET /v1/payments/{id}."""
        await self._signed_body(request)
        payment = self._store.find(payment_id=request.match_info["id"])
        if payment is None:
            raise BankProblem(404, "unknown_payment", "This bank knows no such payment.")
        return answer(payment)

    async def recall(self, request: web.Request) -> web.Response:
        """POST /v1/payments/{id}/recall: 200 recalled, however often; 409 with the status when too late."""
        await self._signed_body(request)
        check_key(request.headers.get("Idempotency-Key", ""))
        payment_id = request.match_info["id"]

        async def take_back() -> web.Response:
            payment = self._store.recall(payment_id)
            await self._store.written()
            return answer({name: payment[name] for name in ("payment_id", "status", "end_to_end_id")})

        return await self._under_faults(request, "recall", self._facts(payment_id=payment_id), take_back)

    async def balance(self, request: web.Request) -> web.Response:
        """GET /v1/accounts/{iban}/balance: booked and available."""
        await self._signed_body(request)
        iban = request.match_info["iban"]

        async def look_up() -> web.Response:
            balance = self._store.balance(iban)
            if balance is None:
                raise BankProblem(404, "unknown_account", "This bank keeps no such account.")
            return answer(balance)

        return await self._under_faults(request, "balance", {"debtor_account": iban}, look_up)

    async def list_payments(self, request: web.Request) -> web.Response:
        """GET /v1/payments?status=&debtor_account=&creditor_account=&end_to_end_id=&key=&after=&limit=."""
        await self._signed_body(request)
        query = request.query
        unknown = query.keys() - {*FILTERS, "after", "limit"}
        if unknown:
            raise BankProblem(400, "bad_query", f"Unknown: {', '.join(sorted(unknown))}.")
        numbers = {"after": query.get("after", "0"), "limit": query.get("limit", "100")}
        if not all(text.isascii() and text.isdigit() and len(text) < 16 for text in numbers.values()):  # noqa: PLR2004 - fits an integer column
            raise BankProblem(400, "bad_query", "after and limit are whole numbers.")
        filters = {name: query[name] for name in FILTERS if name in query}
        limit = max(1, min(int(numbers["limit"]), MAX_PAGE))
        return answer(self._store.page(filters=filters, after=int(numbers["after"]), limit=limit))

    # What every request goes through

    async def _signed_body(self, request: web.Request) -> bytes:
        body = await request.read() if request.can_read_body else b""
        if len(body) > MAX_BODY_BYTES:
            raise BankProblem(413, "too_large", f"The body is longer than {MAX_BODY_BYTES} bytes.")
        self._keyring.check(request, body, now=time.time())
        return body

    def _facts(self, **which: str) -> dict[str, str]:
        """What a fault can match in a request about a payment."""
        if self._faults.empty:
            return {}
        found = self._store.find(**which) or {}
        return which | {name: text for name, text in found.items() if isinstance(text, str)}

    async def _under_faults(
        self, request: web.Request, operation: str, facts: Mapping[str, str], process: Process
    ) -> web.Response:
        """Process the request, or let the armed fault have it."""
        now = time.time()
        fault = None if self._faults.empty else self._faults.strike(LINE_KINDS, operation, facts, now)
        if fault is None:
            return await process()
        await self._store.written()
        match fault.kind:
            case "delay":
                resets = self._store.resets
                await asyncio.sleep(fault.seconds)
                if resets == self._store.resets:
                    return await process()
                # What was delayed past a reset belongs to a bank that is forgotten.
                _reset(request)
                return web.Response(status=500)
            case "unavailable":
                left = max(1, round((fault.opened_at or now) + fault.seconds - now))
                raise BankProblem(503, "unavailable", "Try again later.", headers={"Retry-After": str(left)})
            case "refuse_probes":
                raise BankProblem(501, "probes_refused", "This bank does not answer probes.")
        if fault.accept:
            await _swallow(process)
        if fault.kind == "error_5xx":
            return web.Response(status=fault.status, text="Something went wrong.")
        if fault.kind == "timeout":
            await _say_nothing(request, fault.seconds)
        _reset(request)
        return web.Response(status=500)


async def _swallow(process: Process) -> None:
    """Process the request; its answer, or its refusal, is lost on the way."""
    try:
        await process()
    except BankProblem:
        return


async def _say_nothing(request: web.Request, seconds: float) -> None:
    """Hold the connection open, without a word, until the client goes or the time is up."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.05)


def _reset(request: web.Request) -> None:
    """Cut the connection with a TCP RST."""
    transport = request.transport
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        # Linger on, for zero seconds: closing then resets instead of finishing politely.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
