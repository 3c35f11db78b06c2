"""The operation: one durable transaction with an author, which every public service is.

A service is decorated with `@operation`. The decorator opens the transaction, tells the database session who acts
(so that triggers know a service write from a pasted one) and, through `once`, honours an Idempotency-Key. Kernel
functions join an operation and assert that they are inside one; services never call services.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, cast
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import override

from opsconsole.core.actors import Actor
from opsconsole.core.database import the_row
from opsconsole.core.idempotency import Answer, RequestKey, claim, remember
from opsconsole.core.kept import given_up_soon
from opsconsole.core.requests import current_request_id

P = ParamSpec("P")
R = TypeVar("R")

_current: ContextVar[tuple[str, Actor] | None] = ContextVar("operation", default=None)


class Operation(Generic[P, R]):
    """A service, callable as the function it wraps; made by `operation`."""

    def __init__(self, service: Callable[P, R]) -> None:
        parameters = inspect.signature(service).parameters
        if "actor" not in parameters:
            raise TypeError(f"{service.__qualname__} is an operation and takes no actor")
        loose = [p.name for p in parameters.values() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        if loose:
            raise TypeError(f"{service.__qualname__} takes {', '.join(loose)} by position; keyword only")
        self.name = f"{service.__module__}.{service.__qualname__}"
        self.service = service
        update_wrapper(self, service)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the service in its own durable transaction; raises Busy where another session keeps what it needs."""
        with self._running(kwargs), transaction.atomic(durable=True):
            _tell_the_database()
            return self._served(*args, **kwargs)

    def _served(self, *args: P.args, **kwargs: P.kwargs) -> R:
        # What is written, and what approvals are bound to, must not depend on the language of whoever acts.
        with override(settings.LANGUAGE_CODE):
            return self.service(*args, **kwargs)

    @contextmanager
    def _running(self, kwargs: Mapping[str, Any]) -> Iterator[None]:
        token = _current.set((self.name, self._author(kwargs)))
        try:
            with given_up_soon(self._about(kwargs)):
                yield
        finally:
            _current.reset(token)

    def _about(self, kwargs: Mapping[str, Any]) -> tuple[str, frozenset[UUID]] | None:
        """The service and the ids of what it is called for, if it is given any, by themselves or in lists."""
        given = [item for value in kwargs.values() for item in (value if isinstance(value, list | tuple) else [value])]
        ids = frozenset(item for item in given if isinstance(item, UUID))
        return (self.name, ids) if ids else None

    def _author(self, kwargs: Mapping[str, Any]) -> Actor:
        if (running := _current.get()) is not None:
            raise RuntimeError(f"{self.name} is called inside {running[0]}; services never call services")
        if not isinstance(kwargs.get("actor"), Actor):
            raise TypeError(f"{self.name} takes an actor: who does it is never left out")
        return cast(Actor, kwargs["actor"])

    def once(self, key: RequestKey | None, render: Callable[[R], Answer], *args: P.args, **kwargs: P.kwargs) -> Answer:
        """Run the service under an Idempotency-Key; the answer is stored in the transaction of its effect.

        The same key and request again gets the stored answer; raises KeyReused for another request under the key,
        KeyInFlight while the first is still running. Without a key the service just runs.
        """
        if key is None:
            return render(self(*args, **kwargs))
        with self._running(kwargs), transaction.atomic(durable=True):
            stored = claim(key)
            if stored is not None:
                return stored
            _tell_the_database()
            answer = render(self._served(*args, **kwargs))
            remember(key, answer)
            return answer


class OneStatement(Operation[P, R]):
    """A service that writes by one statement, which is a transaction of its own; made by `one_statement`."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the service; its statement carries what the database is told."""
        with self._running(kwargs), _nothing_open():
            return self._served(*args, **kwargs)


def _nothing_open() -> AbstractContextManager[object]:
    # Inside another transaction it is as durable as any operation: refused, or in a test a savepoint.
    return transaction.atomic(durable=True) if connection.in_atomic_block else nullcontext()


def operation(service: Callable[P, R]) -> Operation[P, R]:
    """Make a keyword-only function that takes an `actor` a public service."""
    return Operation(service)


def one_statement(service: Callable[P, R]) -> OneStatement[P, R]:
    """Make a service an operation without BEGIN and COMMIT, for what people wait for at a till.

    It may read before, and writes by one statement that is given `told_to_the_database()`. Whatever joins an operation
    to write refuses to here.
    """
    return OneStatement(service)


def assert_in_operation() -> None:
    """Raise RuntimeError outside an operation: kernel functions write only in somebody's name."""
    if _current.get() is None or not connection.in_atomic_block:
        raise RuntimeError("this writes, and may only be called inside an @operation")


def current_actor() -> Actor:
    """The actor of the running operation."""
    running = _current.get()
    if running is None:
        raise RuntimeError("no operation is running")
    return running[1]


def told_to_the_database() -> tuple[str, str, str]:
    """What a statement tells its session of the operation it belongs to: its name, the actor's, the request's id.

    Raises RuntimeError outside an operation.
    """
    running = _current.get()
    if running is None:
        raise RuntimeError("this writes, and may only be called inside an operation")
    name, actor = running
    return name, actor.name, current_request_id()


def _tell_the_database() -> None:
    # Local to the transaction: gone after commit, rollback and the return to a pool.
    the_row(
        "select set_config('ops.context', %s, true), set_config('ops.actor', %s, true),"
        " set_config('ops.request_id', %s, true)",
        told_to_the_database(),
    )
