"""The campaigns' jobs: launching what is due, awarding chunk by chunk, taking back, and looking after what got stuck.

Log lines carry CAMPAIGN_EXECUTOR, by which operators grep for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import Error

from loyalty.campaigns import progress
from loyalty.campaigns.moves import EXECUTE, HELP, QUEUE, UNDO
from loyalty.errors import CampaignHalted, CampaignOver, LaunchForged, MemberFrozen, ProgramSuspended
from loyalty.services import awards, campaign_sweeping, launches, undoing
from loyalty.services.awards import Turn
from loyalty.services.launches import Launched
from opsconsole.core.actors import SYSTEM
from opsconsole.core.errors import DomainError
from opsconsole.core.faults import crashpoint
from opsconsole.core.outages import is_outage, outlast
from opsconsole.core.queue import enqueue, leaving, ping
from opsconsole.core.schedule import periodic

log = structlog.get_logger(__name__)

EXECUTOR: Final = SYSTEM("campaign-executor")
SWEEPER: Final = SYSTEM("campaign-sweeper")
HELPED_FOR: Final = 5.0  # seconds, before who helps gets back in line
FROZEN_IN_BETWEEN: Final = 5  # times in a row that a chunk is tried again because somebody was frozen in that moment


def execute_campaign(campaign_id: str) -> None:
    """Launch a campaign that is due, or go on with one that runs; safe at any time, for any number of workers."""
    which = UUID(campaign_id)
    crashpoint("loyalty.campaign.before_launch")
    try:
        if not _launch(which):
            return
        crashpoint("loyalty.campaign.after_launch")
        _award(which, alone=True)
    except Exception as error:
        if isinstance(error, Error) and is_outage(error):
            raise
        log.exception("CAMPAIGN_EXECUTOR broke off", campaign=campaign_id)
        _note_fault(which, error)


def help_campaign(campaign_id: str) -> None:
    """Award beside the worker that has a running campaign, for a while at a time: others wait for a worker, too."""
    which = UUID(campaign_id)
    try:
        _award(which, alone=False)
    except Exception as error:
        if isinstance(error, Error) and is_outage(error):
            raise
        log.exception("CAMPAIGN_EXECUTOR broke off", campaign=campaign_id)
        _note_fault(which, error)


def _launch(campaign_id: UUID) -> bool:
    """Whether the campaign runs now."""
    try:
        launched = outlast(lambda _: launches.launch_campaign(campaign_id=campaign_id, actor=EXECUTOR))
    except DomainError as error:
        why, code = error.message, error.code
        log.warning("CAMPAIGN_EXECUTOR refused to launch", campaign=str(campaign_id), code=code, error=why)
        outlast(lambda _: launches.refuse_launch(campaign_id=campaign_id, code=code, why=why, actor=EXECUTOR))
        return False
    if launched is Launched.NOW:
        log.info("CAMPAIGN_EXECUTOR launched", campaign=str(campaign_id))
    elif launched is not Launched.BEFORE:
        log.info("CAMPAIGN_EXECUTOR has nothing to do", campaign=str(campaign_id), because=launched.value)
    return launched in (Launched.NOW, Launched.BEFORE)


def _award(campaign_id: UUID, *, alone: bool) -> None:
    """Award chunk after chunk until none is left. Who is alone at it asks for another worker after the first one."""
    frozen = done = 0
    until = None if alone else time.monotonic() + HELPED_FOR
    while True:
        crashpoint("loyalty.campaign.before_chunk")
        try:
            turn = outlast(lambda _: awards.award_chunk(campaign_id=campaign_id, actor=EXECUTOR))
        except MemberFrozen:
            frozen += 1
            if frozen > FROZEN_IN_BETWEEN:
                raise
            continue
        except (CampaignHalted, ProgramSuspended):
            turn = Turn.HALTED
        except (CampaignOver, LaunchForged) as error:
            _fail(campaign_id, error)
            return
        crashpoint("loyalty.campaign.after_chunk")
        frozen = 0
        match turn:
            case Turn.DONE:
                done += 1
            case Turn.THROUGH:
                _finish(campaign_id, done)
                return
            case _:
                _leave(campaign_id, turn, done, alone=alone)
                return
        if alone and done == 1:
            enqueue(HELP, str(campaign_id), queue=QUEUE)
        if leaving() or (until is not None and time.monotonic() >= until):
            log.info("CAMPAIGN_EXECUTOR hands over", campaign=str(campaign_id), chunks=done)
            _hand_over(campaign_id, alone=alone)
            return


def _leave(campaign_id: UUID, turn: Turn, chunks: int, *, alone: bool) -> None:
    """Say why; who came to help and found it done has nothing to say, least of all that a campaign was stopped."""
    if alone or chunks:
        log.info("CAMPAIGN_EXECUTOR stopped", campaign=str(campaign_id), chunks=chunks, because=turn.value)


def _hand_over(campaign_id: UUID, *, alone: bool) -> None:
    if alone:
        enqueue(EXECUTE, str(campaign_id), queue=QUEUE)
    else:
        enqueue(HELP, str(campaign_id), queue=QUEUE)


def _fail(campaign_id: UUID, error: DomainError) -> None:
    log.error("CAMPAIGN_EXECUTOR failed", campaign=str(campaign_id), code=error.code, error=error.message)
    outlast(lambda _: awards.fail_campaign(campaign_id=campaign_id, why=error.message, actor=EXECUTOR))


def _finish(campaign_id: UUID, chunks: int) -> None:
    crashpoint("loyalty.campaign.before_finish")
    campaign = outlast(lambda _: awards.finish_campaign(campaign_id=campaign_id, actor=EXECUTOR))
    crashpoint("loyalty.campaign.after_finish")
    log.info(
        "CAMPAIGN_EXECUTOR completed",
        campaign=str(campaign_id),
        status=campaign.status,
        chunks=chunks,
        users_awarded=campaign.users_awarded,
        total_points_awarded=campaign.total_points_awarded,
    )


def undo_campaign(campaign_id: str) -> None:
    """Go on with taking a campaign's awards back; safe at any time, for any number of workers."""
    which = UUID(campaign_id)
    try:
        _take_back(which)
    except Exception as error:
        if isinstance(error, Error) and is_outage(error):
            raise
        log.exception("CAMPAIGN_EXECUTOR broke off an undo", campaign=campaign_id)
        _note_fault(which, error)


def _take_back(campaign_id: UUID) -> None:
    while True:
        crashpoint("loyalty.campaign.before_undo")
        turn = outlast(lambda _: undoing.undo_chunk(campaign_id=campaign_id, actor=EXECUTOR))
        crashpoint("loyalty.campaign.after_undo")
        if turn is Turn.THROUGH:
            outlast(lambda _: undoing.finish_undo(campaign_id=campaign_id, actor=EXECUTOR))
            log.info("CAMPAIGN_EXECUTOR has undone", campaign=str(campaign_id))
        if turn is not Turn.DONE:
            return
        if leaving():
            enqueue(UNDO, str(campaign_id), queue=QUEUE)
            return


def _note_fault(campaign_id: UUID, error: Exception) -> None:
    why = error.message if isinstance(error, DomainError) else f"{type(error).__name__}: {error}".strip()
    outlast(lambda _: awards.note_fault(campaign_id=campaign_id, why=why, actor=EXECUTOR))


@periodic(every=timedelta(seconds=2))
def wake_due_campaigns() -> None:
    """Wake a worker for each campaign whose start has come, that nobody goes on with, or that is to be undone."""
    if not ping():
        return  # without Redis nobody would hear: they stay due until it is back
    for campaign_id in campaign_sweeping.hand_out_due_campaigns(actor=SWEEPER):
        enqueue(EXECUTE, str(campaign_id), queue=QUEUE)
    for campaign_id in campaign_sweeping.hand_out_undos(actor=SWEEPER):
        enqueue(UNDO, str(campaign_id), queue=QUEUE)


@periodic(every=timedelta(seconds=30))
def sweep_campaigns() -> None:
    """Try stuck campaigns again, or have them failed; free what those that were ended by hand still keep."""
    _each(
        "campaign.stuck",
        progress.stuck_campaigns(),
        lambda which: campaign_sweeping.retry_or_fail(campaign_id=which, actor=SWEEPER),
    )
    _each(
        "campaign.left_over",
        progress.left_over_campaigns(),
        lambda which: campaign_sweeping.settle_left_over(campaign_id=which, actor=SWEEPER),
    )


def _each(what: str, campaigns: Iterable[UUID], sweep: Callable[[UUID], object]) -> None:
    """One that cannot be swept must not keep the others from it; an outage stops them all."""
    for campaign_id in campaigns:
        try:
            sweep(campaign_id)
        except Exception as error:
            if isinstance(error, Error) and is_outage(error):
                raise
            log.exception("sweep.failed", what=what, campaign=str(campaign_id))
