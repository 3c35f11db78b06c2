"""The RQ worker of this product: it dies with its parent, shares no connection with it, and says it is alive."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from typing import Any

from django.db import connections
from rq import Queue
from rq.job import Job
from rq.worker import Worker

from opsconsole.core.heartbeats import beat
from opsconsole.core.requests import bind_request_id

PR_SET_PDEATHSIG = 1


class ConsoleWorker(Worker):
    """Forks a child for each job; a worker that is killed takes its child along, so a lease is never shared."""

    job_monitoring_interval = 5

    def __init__(self, queues: list[Queue], **options: Any) -> None:
        super().__init__(queues, **options)
        self.heart = f"worker:{socket.gethostname()}:{os.getpid()}"

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """Tell Redis, which RQ wants, and PostgreSQL, which /readyz and the metrics read."""
        beat(self.heart, kind="worker", queues=" ".join(self.queue_names()))
        super().heartbeat(*args, **kwargs)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork with no database connection open: one used on both sides would mix up their answers."""
        connections.close_all()
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Run the job in the child, to be killed when the worker is."""
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            os._exit(1)
        bind_request_id(job.meta.get("request_id"))
        super().main_work_horse(job, queue)
