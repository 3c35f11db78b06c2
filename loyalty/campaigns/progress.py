"""How far a campaign has come, what it waits for, and which ones somebody has to look after."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Count, F, Max, Sum

from loyalty.campaigns import chunks, moves
from loyalty.models import Campaign, Chunk
from loyalty.states import CampaignState, ProgramState

# Who is told of a campaign does something within so many seconds, or is dead and another one is told.
PATIENCE: Final = 10
REFUSED_PATIENCE: Final = 60
UNDO_PATIENCE: Final = 60
STUCK_SCHEDULED: Final = "2 hours"  # past its start, as runbook 6 looks for it
STUCK_RUNNING: Final = "5 minutes"  # without a chunk

# When the campaign last moved: launched, resumed, tried again, or a chunk, also one of which everybody was skipped.
_MOVED: Final = """coalesce(greatest(c.progress_at, (
    select max(k.created_at) from loyalty_campaign_chunks k where k.campaign_id = c.id)), '-infinity')"""
_REQUEST: Final = f"""
    select from approvals_requests r where r.subject_kind = 'loyalty_campaigns' and r.subject_id = c.id::text
      and r.action = '{moves.LAUNCH}'"""
_APPROVED: Final = f"exists ({_REQUEST} and r.status = 'approved')"
# The first time a launch is tried in any case, if only to say why it is refused; then once others have agreed to it, or
# now and then where something else stands in its way.
_RETRIED: Final = f"""exists ({_REQUEST} and r.status = 'approved'
    and greatest(r.decided_at, now() - interval '{REFUSED_PATIENCE} seconds') > coalesce(c.woken_at, '-infinity'))"""
_DUE: Final = f"""(
    c.status = 'scheduled' and c.start_date <= now() and (c.failure = '' or {_RETRIED})
    or c.status = 'running' and p.status = 'active' and {_MOVED} < now() - interval '{PATIENCE} seconds')"""
_UNDO_DUE: Final = f"""(
    c.undo_asked_at < now() - interval '{PATIENCE} seconds' and c.undone_at is null and not exists (
      select from loyalty_campaign_chunks k
      where k.campaign_id = c.id and k.undone_at > now() - interval '{PATIENCE} seconds'))"""
# One that is held back by people, who suspended its program or have not agreed to it, is not stuck.
_STUCK: Final = f"""(p.status = 'active' and (
    c.status = 'scheduled' and {_APPROVED} and greatest(
      c.start_date + interval '{STUCK_SCHEDULED}', c.progress_at + interval '{STUCK_RUNNING}') < now()
    or c.status = 'running' and {_MOVED} + interval '{STUCK_RUNNING}' < now()))"""
_LEFT_OVER: Final = f"""(
    c.status in ('completed', 'failed', 'cancelled') and (c.points_reserved <> 0 or exists (
      {_REQUEST} and r.status in ('pending', 'approved', 'suspended'))))"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How many chunks and members of a frozen audience are through, when it last moved, and what holds it back."""

    chunks_done: int
    chunks: int
    members_done: int
    members: int
    moved_at: datetime | None
    held_back_by: str


def progress_of(campaign: Campaign) -> Progress:
    """How far the campaign has come; one without an audience has not begun."""
    done = Chunk.objects.filter(campaign=campaign, no__gte=1).aggregate(
        number=Count("no"), through=Sum(F("last_ordinal") - F("first_ordinal") + 1), at=Max("created_at")
    )
    members, through = campaign.audience_size or 0, done["through"] or 0
    moved = [at for at in (campaign.progress_at, done["at"]) if at is not None]
    held_back = ""
    if campaign.status == CampaignState.PAUSED:
        held_back = "paused"
    elif campaign.status in (CampaignState.SCHEDULED, CampaignState.RUNNING) and (
        campaign.program.status == ProgramState.SUSPENDED
    ):
        held_back = "program_suspended"
    return Progress(
        chunks_done=done["number"],
        chunks=done["number"] + math.ceil((members - through) / chunks.CHUNK),
        members_done=through,
        members=members,
        moved_at=max(moved, default=None),
        held_back_by=held_back,
    )


def is_stuck(campaign: Campaign) -> bool:
    """Whether nothing has become of the campaign for too long, though nobody holds it back."""
    return campaign.pk in set(_ids(f"{_STUCK} and c.id = %s", [campaign.pk]))


def stuck_campaigns() -> list[UUID]:
    """Those of which nothing has become for too long."""
    return _ids(_STUCK)


def left_over_campaigns() -> list[UUID]:
    """Those that have ended, by hand perhaps, and still keep budget back or people asked."""
    return _ids(_LEFT_OVER)


def claim_due() -> list[UUID]:
    """The campaigns to wake a worker for, in the caller's operation; each is handed out once in a while."""
    return _claim(_DUE, PATIENCE)


def claim_undos() -> list[UUID]:
    """The same for those whose undo goes on."""
    return _claim(_UNDO_DUE, UNDO_PATIENCE)


def _claim(condition: str, seconds: int) -> list[UUID]:
    # Whoever holds the row does something with the campaign just now: it is passed over, and looked at the next time.
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            update loyalty_campaigns set woken_at = now() where id in (
              select c.id from loyalty_campaigns c join loyalty_programs p on p.id = c.program_id
              where {condition} and (c.woken_at is null or c.woken_at < now() - interval '{seconds} seconds')
              for update of c skip locked)
            returning id
            """
        )
        return [row[0] for row in cursor.fetchall()]


def _ids(condition: str, params: list[Any] | None = None) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select c.id from loyalty_campaigns c join loyalty_programs p on p.id = c.program_id"
            f" where {condition} order by c.start_date, c.id",
            params or [],
        )
        return [row[0] for row in cursor.fetchall()]
