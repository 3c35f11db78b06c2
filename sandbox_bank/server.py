"""The process: routes, the clock that executes payments, start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from sandbox_bank.api import BankApi, answer
from sandbox_bank.control import Control
from sandbox_bank.faults import FaultBoard
from sandbox_bank.problems import BankProblem
from sandbox_bank.signing import Keyring
from sandbox_bank.store import Store

log = logging.getLogger(__name__)

TICK_SECONDS = 0.2
BACKLOG = 512

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Bank:
    """A bank ready to serve."""

    store: Store
    keyring: Keyring

    def application(self) -> web.Application:
        """The aiohttp application, with its clock."""
        faults = FaultBoard(self.store)
        app = web.Application(middlewares=[_problems], client_max_size=1 << 20)
        app.add_routes(BankApi(store=self.store, faults=faults, keyring=self.keyring).routes())
        app.add_routes(Control(store=self.store, faults=faults).routes())
        app.add_routes([web.get("/healthz", _healthz)])
        app.cleanup_ctx.append(self._clock)
        return app

    async def _clock(self, _app: web.Application) -> AsyncIterator[None]:
        """Execute and settle what is due, five times a second, while the application runs."""
        ticking = asyncio.create_task(self._tick())
        yield
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking

    async def _tick(self) -> None:
        while True:
            try:
                self.store.advance(now=time.time())
            except sqlite3.Error:
                log.exception("payments could not move on; trying again")
            await asyncio.sleep(TICK_SECONDS)

    async def serve(self, listener: socket.socket, accounts: Sequence[tuple[str, str, int]] = ()) -> None:
        """Open these accounts (IBAN, currency, thousandths), then serve on this socket until SIGTERM or SIGINT."""
        for account in accounts:
            self.store.open_account(*account)
        await self.store.written()
        # A dropped client is everyday here; handlers run on, as a bank's would.
        runner = web.AppRunner(self.application(), access_log=None, handler_cancellation=False)
        await runner.setup()
        stop = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
        await web.SockSite(runner, listener, backlog=BACKLOG, shutdown_timeout=1.0).start()
        host, port = listener.getsockname()[:2]
        print(f"sandbox bank listening on http://{host}:{port}", flush=True)  # noqa: T201 - said to whoever started it
        await stop.wait()
        await runner.cleanup()
        self.store.close()


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every refusal into a problem document, the framework's own included."""
    try:
        return await handler(request)
    except BankProblem as problem:
        return problem.response()
    except web.HTTPException as error:
        code = error.reason.lower().replace(" ", "_")
        return BankProblem(error.status, code, error.reason).response()


async def _healthz(_request: web.Request) -> web.Response:
    """GET /healthz."""
    return answer({"status": "ok"})
