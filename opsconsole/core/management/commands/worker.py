"""`manage.py worker [QUEUE ...]`: take wake-ups from the queues and do what the rows say."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

import structlog
from redis.exceptions import RedisError
from rq import Queue

from opsconsole.core.commands import ConsoleCommand
from opsconsole.core.heartbeats import retire
from opsconsole.core.queue import QUEUES, redis_connection
from opsconsole.core.worker import ConsoleWorker

log = structlog.get_logger(__name__)

PAUSE = 2


class Command(ConsoleCommand):
    """Run one worker until it is told to stop; without Redis it waits for it."""

    help = "Run a worker for some queues (all of them when none is named)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which queues, in order of preference."""
        parser.add_argument("queues", nargs="*", metavar="QUEUE", help=f"of {', '.join(QUEUES)}")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Work until SIGTERM or SIGINT, which end it after the current job."""
        names = options["queues"] or list(QUEUES)
        while True:
            try:
                connection = redis_connection()
                connection.ping()
            except RedisError as error:
                log.warning("worker.waits_for_redis", error=str(error))
                time.sleep(PAUSE)
                continue
            worker = ConsoleWorker([Queue(name, connection=connection) for name in names], connection=connection)
            try:
                worker.work(with_scheduler=False, logging_level="WARNING")
            except RedisError as error:
                log.warning("worker.lost_redis", error=str(error))
                time.sleep(PAUSE)
                continue
            finally:
                retire(worker.heart)
            return
