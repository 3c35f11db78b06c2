"""What time does to requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from uuid import UUID

import structlog

from opsconsole.approvals import selectors, services
from opsconsole.core.actors import SYSTEM
from opsconsole.core.errors import DomainError
from opsconsole.core.schedule import periodic

log = structlog.get_logger(__name__)

SWEEPER = SYSTEM("approvals-sweeper")


@periodic(every=timedelta(seconds=10))
def expire_requests() -> int:
    """End every live request whose time is over; returns how many."""
    return _each(selectors.requests_past_their_time(), lambda pk: services.expire_request(request_id=pk, actor=SWEEPER))


@periodic(every=timedelta(seconds=30))
def recount_requests() -> int:
    """Reopen every approved request that has lost its quorum; returns how many."""
    return _each(selectors.approved_requests(), lambda pk: services.recount_request(request_id=pk, actor=SWEEPER))


@periodic(every=timedelta(seconds=30))
def note_overdue_reviews() -> int:
    """Say of every review that was not answered in its day that it is overdue; returns how many."""
    return _each(
        selectors.reviews_past_their_time(), lambda pk: services.note_overdue_review(review_id=pk, actor=SWEEPER)
    )


def _each(requests: Iterable[UUID], move: Callable[[UUID], bool]) -> int:
    # One operation for each: a subject that refuses holds up nobody else's.
    moved = 0
    for request_id in requests:
        try:
            moved += move(request_id)
        except DomainError as error:
            log.warning("approvals.sweep_refused", request=str(request_id), code=error.code, error=error.message)
    return moved
