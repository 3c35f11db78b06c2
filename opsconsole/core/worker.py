"""The RQ worker of this product: it dies together with its child, outlives Redis, and says that it is alive."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
from collections.abc import Iterator
from types import FrameType
from typing import Any

import structlog
from django.db import connections
from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job
from rq.worker import Worker

from opsconsole.core import queue as wakeups
from opsconsole.core.faults import crash_together_with
from opsconsole.core.heartbeats import beat
from opsconsole.core.requests import bind_request_id

log = structlog.get_logger(__name__)

PR_SET_PDEATHSIG = 1
STOPS = (signal.SIGTERM, signal.SIGINT)
# RQ waits for work 15 s less than this between two heartbeats, and /readyz gives up on a worker after 30 s.
LIFE = 20
BUSY_BEAT = 2  # seconds between two heartbeats while a job runs

_libc = ctypes.CDLL(None)  # loaded here: after a fork is no place for an import


class ConsoleWorker(Worker):
    """Forks a child for each job; a worker that is killed takes its child along, so a lease is never shared.

    Told to end, it has the job in hand leave at its next boundary and ends after it. Nothing that Redis does while a
    job runs touches the job.
    """

    max_connection_wait_time = 2.0

    def __init__(self, queues: list[Queue], **options: Any) -> None:
        super().__init__(queues, worker_ttl=LIFE, job_monitoring_interval=BUSY_BEAT, **options)
        self.heart = f"worker:{socket.gethostname()}:{os.getpid()}"

    @property
    def told_to_end(self) -> bool:
        """Whether somebody asked it to end; else it was Redis that ended it."""
        return self._shutdown_requested_date is not None

    # The child

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork with no database connection open: one used on both sides would mix up their answers."""
        connections.close_all()
        # A signal between the fork and the child's own handlers would be lost, or end the child as if it were us.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            super().fork_work_horse(job, queue)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Run the job in the child, to be killed when the worker is."""
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.pid:  # it died before we could ask
            os._exit(1)
        crash_together_with(self.pid)
        bind_request_id(job.meta.get("request_id"))
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """SIGTERM asks the job to leave at its next boundary; Ctrl-C in the terminal is for the worker."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _leave)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def handle_warm_shutdown_request(self) -> None:
        """Pass the wish to end on to the job."""
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call] # rq has no types here
        if self.horse_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.horse_pid, signal.SIGTERM)

    # Redis, which may go away at any time

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """Tell Redis, which RQ wants, and PostgreSQL, which /readyz and the metrics read."""
        if not self.is_horse:
            names = self.queue_names()
            # One that only tells people, or makes backups, is no sign that plans are executed.
            apart = "notifier" if "notifications" in names else "archivist"
            kind = apart if wakeups.APART.issuperset(names) else "worker"
            beat(self.heart, kind=kind, queues=" ".join(names))
        with _redis_may_be_away():
            super().heartbeat(*args, **kwargs)

    def maintain_heartbeats(self, job: Job) -> None:
        """What RQ notes of a running job; it runs on all the same."""
        with _redis_may_be_away():
            super().maintain_heartbeats(job)

    def set_current_job_working_time(self, *args: Any, **kwargs: Any) -> None:
        """What RQ notes of a running job; it runs on all the same."""
        with _redis_may_be_away():
            super().set_current_job_working_time(*args, **kwargs)

    def set_shutdown_requested_date(self) -> None:
        """What RQ notes of a wish to end; it holds all the same."""
        with _redis_may_be_away():
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call] # nor here

    def teardown(self) -> None:
        """Take leave of Redis if it is there, and leave no thread behind that waits for it."""
        with _redis_may_be_away():
            super().teardown()  # type: ignore[no-untyped-call] # nor here
        listening: Any = self.pubsub_thread  # rq types it as the None it starts with
        if listening:
            listening.stop()


def _leave(_signal: int, _frame: FrameType | None) -> None:
    wakeups.leave()


@contextlib.contextmanager
def _redis_may_be_away() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        log.warning("worker.redis_away", error=str(error))
