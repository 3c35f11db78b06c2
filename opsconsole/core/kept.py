"""Rows that another session keeps: who asks for one is told so, and those who ask next are told at once.

A session of a web process gives up a row after some seconds (`lock_timeout`, set where its pool is made). With many who
want the same one that would still keep each of its few threads for seconds on end. So what was waited for in vain is
remembered by the process for a while, and hardly waited for again until somebody gets it. Other sessions wait as they
like, and nothing is ever remembered there; nor behind a pooler, whose sessions are not one's own to set.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import structlog
from django.conf import settings
from django.db import Error, OperationalError, connection
from django.utils.translation import gettext_lazy as _
from psycopg.errors import LockNotAvailable

from opsconsole.core.errors import Busy

log = structlog.get_logger(__name__)

REMEMBERED: Final = 10.0  # seconds
HARDLY: Final = "100ms"

_waited_in_vain: dict[Hashable, float] = {}


@contextmanager
def given_up_soon(what: Hashable | None) -> Iterator[None]:
    """Raise Busy for a row that was not to be had; hardly wait for it where the last one who did the same got none.

    `what` says what is done, and to which rows; None, if that cannot be told, is not remembered. No transaction may be
    open yet.
    """
    known = what in _waited_in_vain and time.monotonic() - _waited_in_vain.get(what, -REMEMBERED) < REMEMBERED
    if known:
        _session(f"set lock_timeout = '{HARDLY}'")
    try:
        yield
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        log.warning("operation.busy", what=str(what), error=str(error).strip())
        if what is not None and not settings.OPS_PGBOUNCER:
            _remember(what)
        told = _("Somebody else is changing this and has not finished. Nothing was done; try again.")
        raise Busy(told) from error
    else:
        if known:
            _waited_in_vain.pop(what, None)
    finally:
        if known:
            with suppress(Error):  # a connection that is broken is not used again
                _session("reset lock_timeout")


def _remember(what: Hashable) -> None:
    now = time.monotonic()
    for other, when in list(_waited_in_vain.items()):
        if now - when > REMEMBERED:
            _waited_in_vain.pop(other, None)
    _waited_in_vain[what] = now


def _session(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
