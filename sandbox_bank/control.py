"""The control plane under /sandbox/: arm faults, open accounts, let time pass; for this machine only."""

from __future__ import annotations

import ipaddress
import json
import time
from typing import Any

from aiohttp import web

from sandbox_bank.api import answer
from sandbox_bank.faults import FaultBoard, parse_fault
from sandbox_bank.orders import is_iban, thousandths
from sandbox_bank.problems import BankProblem
from sandbox_bank.store import Store


class Control:
    """The handlers of /sandbox/."""

    def __init__(self, *, store: Store, faults: FaultBoard) -> None:
        self._store = store
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        """What to add to the application."""
        return [
            web.post("/sandbox/faults", self.arm_fault),
            web.get("/sandbox/faults", self.list_faults),
            web.delete("/sandbox/faults", self.clear_faults),
            web.post("/sandbox/accounts", self.open_accounts),
            web.post("/sandbox/settings", self.change_settings),
            web.post("/sandbox/execute", self.execute),
            web.post("/sandbox/settle", self.settle),
            web.post("/sandbox/reset", self.reset),
            web.get("/sandbox/stats", self.stats),
        ]

    async def arm_fault(self, request: web.Request) -> web.Response:
        """POST /sandbox/faults: 201 with the fault and its id."""
        fault = self._faults.arm(parse_fault(await _json(request)))
        await self._store.written()
        return answer({"id": fault.id, "kind": fault.kind}, status=201)

    async def list_faults(self, request: web.Request) -> web.Response:
        """GET /sandbox/faults: every armed fault, with how often it was seen and has fired."""
        _local(request)
        return answer({"faults": self._faults.shown()})

    async def clear_faults(self, request: web.Request) -> web.Response:
        """DELETE /sandbox/faults: disarm all."""
        _local(request)
        self._faults.clear()
        await self._store.written()
        return web.Response(status=204)

    async def open_accounts(self, request: web.Request) -> web.Response:
        """POST /sandbox/accounts {"accounts": [{iban, currency, opening_balance}]}: open or set them."""
        accounts = parse_accounts(await _json(request))
        for account in accounts:
            self._store.open_account(*account)
        await self._store.written()
        return answer({"accounts": len(accounts)})

    async def change_settings(self, request: web.Request) -> web.Response:
        """POST /sandbox/settings {execute_after, settle_after}: seconds, kept in the store."""
        body = await _json(request)
        if not isinstance(body, dict) or body.keys() - self._store.settings.keys():
            raise BankProblem(400, "bad_settings", "The settings are execute_after and settle_after.")
        for seconds in body.values():
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
                raise BankProblem(400, "bad_settings", "A setting is a number of seconds, not negative.")
        self._store.set_times({name: float(seconds) for name, seconds in body.items()})
        await self._store.written()
        return answer(self._store.settings)

    async def execute(self, request: web.Request) -> web.Response:
        """POST /sandbox/execute: execute every accepted payment now."""
        _local(request)
        count = self._store.execute(now=time.time())
        await self._store.written()
        return answer({"executed": count})

    async def settle(self, request: web.Request) -> web.Response:
        """POST /sandbox/settle: settle every executed payment now, or return it where a fault said so."""
        _local(request)
        count = self._store.settle(now=time.time())
        await self._store.written()
        return answer({"settled": count})

    async def stats(self, request: web.Request) -> web.Response:
        """GET /sandbox/stats: what the bank did, in numbers."""
        _local(request)
        return answer(self._store.stats())

    async def reset(self, request: web.Request) -> web.Response:
        """POST /sandbox/reset: forget everything."""
        _local(request)
        self._faults.clear()
        self._store.reset()
        await self._store.written()
        return web.Response(status=204)


def _local(request: web.Request) -> None:
    """Raises a 403 problem for a caller on another machine."""
    if request.remote is None or not ipaddress.ip_address(request.remote).is_loopback:
        raise BankProblem(403, "not_local", "The control plane answers to this machine only.")


async def _json(request: web.Request) -> Any:
    _local(request)
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise BankProblem(400, "not_json", "The body is not JSON.") from error


def parse_accounts(body: Any) -> list[tuple[str, str, int]]:
    """IBAN, currency and opening balance in thousandths of each of `{"accounts": [...]}`; raises BankProblem."""
    accounts = body.get("accounts") if isinstance(body, dict) else None
    if not isinstance(accounts, list):
        raise BankProblem(400, "bad_accounts", "The body must be an object with a list of accounts.")
    return [_account(account) for account in accounts]


def _account(account: Any) -> tuple[str, str, int]:
    wrong = BankProblem(400, "bad_accounts", "An account is {iban, currency, opening_balance}, all strings.")
    if not isinstance(account, dict) or account.keys() != {"iban", "currency", "opening_balance"}:
        raise wrong
    if not all(isinstance(text, str) for text in account.values()) or not is_iban(account["iban"]):
        raise wrong
    try:
        return account["iban"], account["currency"], thousandths(account["opening_balance"])
    except ValueError as error:
        raise wrong from error
