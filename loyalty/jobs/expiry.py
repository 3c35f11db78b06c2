"""Points expire every day."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q

from loyalty.due import programs_not_since
from loyalty.jobs.watched import watched
from loyalty.services import expiry
from loyalty.workers import Worker
from opsconsole.core.actors import SYSTEM
from opsconsole.core.queue import enqueue
from opsconsole.core.schedule import periodic

EXPIRE: Final = "loyalty.jobs.expiry.expire"
EXPIRER: Final = SYSTEM("points-expirer")
EVERY: Final = timedelta(days=1)


@periodic(every=timedelta(minutes=10))
def wake_expiry() -> None:
    """Have points expire in every program whose points do, where nobody has looked for a day."""
    for program_id in programs_not_since("liability.worked_out", EVERY, Q(points_valid_months__isnull=False)):
        enqueue(EXPIRE, str(program_id))


def expire(program_id: str) -> None:
    """Take what is old enough; safe at any time, for any number of workers."""
    with watched(Worker.POINTS_EXPIRER, program_id, EXPIRER):
        expiry.expire_points(program_id=UUID(program_id), actor=EXPIRER)
