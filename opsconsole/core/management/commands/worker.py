"""`manage.py worker [QUEUE ...]`: take wake-ups from the queues and do what the rows say."""

from __future__ import annotations

import signal
import time
from argparse import ArgumentParser
from typing import Any

import structlog
from redis.exceptions import RedisError
from rq import Queue

from opsconsole.core.commands import ConsoleCommand
from opsconsole.core.heartbeats import retire
from opsconsole.core.queue import APART, QUEUES, redis_connection
from opsconsole.core.worker import STOPS, ConsoleWorker

log = structlog.get_logger(__name__)

PAUSE = 1.0


class Command(ConsoleCommand):
    """Run one worker until it is told to end; without Redis it waits for it."""

    help = (
        "Run a worker for some queues (when none is named, all but notifications and backups, which need a worker of"
        " their own)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which queues, in order of preference."""
        parser.add_argument("queues", nargs="*", metavar="QUEUE", help=f"of {', '.join(QUEUES)}")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Work until SIGTERM or SIGINT: the job in hand leaves at its next boundary; a second signal kills it."""
        names = options["queues"] or [name for name in QUEUES if name not in APART]
        handlers = {number: signal.getsignal(number) for number in STOPS}
        while not self.worked(names):
            for number, handler in handlers.items():  # those set now belong to a worker that is over
                signal.signal(number, handler)
            time.sleep(PAUSE)

    def worked(self, names: list[str]) -> bool:
        """Work for as long as Redis is there; whether that was until we were told to end."""
        heart = ""
        try:
            connection = redis_connection()
            worker = ConsoleWorker([Queue(name, connection=connection) for name in names], connection=connection)
            heart = worker.heart
            worker.work(with_scheduler=False, logging_level="WARNING")
        except RedisError as error:
            log.warning("worker.waits_for_redis", error=str(error))
            return False
        finally:
            if heart:
                retire(heart)
        return worker.told_to_end
