"""The engine: as Django's, but for how it finds that a pooled connection is dead."""

from __future__ import annotations

import select
from typing import Any

from django.db.backends.postgresql import base
from psycopg import Connection, Error


class DatabaseWrapper(base.DatabaseWrapper):
    """Django has the pool ask the server before each request whether a connection still stands, a round trip.

    A server that ends, restarts or drops a session hangs up, which the kernel knows. Where it has seen nothing of the
    kind, nobody is asked: what a look cannot tell, a line that was cut without a word, holds up the question as it
    would hold up the first statement.
    """

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection that stood a moment ago; raises psycopg_pool.PoolTimeout where none comes in time."""
        while True:
            connection = super().get_new_connection(conn_params)
            if not self.pool or stands(connection):
                return connection
            connection.close()
            self.pool.putconn(connection)  # which drops what is closed, and makes another


def stands(connection: Connection[Any]) -> bool:
    """Whether the server has neither hung up nor, where it has sent something unasked, fails to answer."""
    waiting = select.poll()
    try:
        waiting.register(connection.fileno(), select.POLLIN)
        if waiting.poll(0):
            connection.execute("")
    except Error:
        return False
    return True
