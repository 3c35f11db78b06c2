"""How a campaign moves: its row, the journal, whoever listens, and the budget that it gives back.

The callers are in an operation and hold the campaign's row. What gives back a reservation comes last in them: it takes
the program's row, which everybody needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now

from loyalty.ledger import refusals
from loyalty.models import Campaign
from loyalty.states import CampaignState
from opsconsole.approvals import kernel
from opsconsole.core.actors import Actor
from opsconsole.core.operations import assert_in_operation
from opsconsole.core.outbox import emit
from opsconsole.core.queue import after_commit
from opsconsole.journal.record import record

EXECUTE: Final = "loyalty.jobs.campaigns.execute_campaign"
HELP: Final = "loyalty.jobs.campaigns.help_campaign"
UNDO: Final = "loyalty.jobs.campaigns.undo_campaign"
QUEUE: Final = "campaigns"
LAUNCH: Final = "loyalty.launch"  # the action that others agree to


def hold(campaign_id: UUID, *, wait: bool = False, together: bool = False) -> bool:
    """Take the campaign for what this transaction does to its audience; False where another has it.

    Those who award hold it together, each its own chunk, and keep out who needs it alone.

    A lock of the transaction, so a worker that dies holds it no longer than its connection lives, and not of the
    campaign's row: chunks lock balances first, the campaign after them, and a row taken before would be taken in the
    wrong order.
    """
    assert_in_operation()
    function = f"pg_{'' if wait else 'try_'}advisory_xact_lock{'_shared' if together else ''}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"select {function}(hashtextextended('loyalty.campaign' || chr(31) || %s, 0))", [str(campaign_id)]
        )
        return wait or bool(cursor.fetchone()[0])


def write(campaign: Campaign, **columns: Any) -> None:
    """Write columns of the campaign, and when it was changed."""
    Campaign.objects.filter(pk=campaign.pk).update(**columns, updated_at=Now())
    campaign.refresh_from_db()


def tell(
    campaign: Campaign,
    verb: str,
    actor: Actor,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
    **facts: Any,
) -> None:
    """Journal what happened and tell whoever listens."""
    record(actor, verb, campaign, before=before, after=after, reason=reason)
    about = {
        "campaign": campaign.name,
        "program": campaign.program.name,
        "status": campaign.status,
        "users_awarded": campaign.users_awarded,
        "total_points_awarded": campaign.total_points_awarded,
        **facts,
    }
    emit(verb, kind=Campaign._meta.db_table, id=campaign.pk, data=about | ({"reason": reason} if reason else {}))


def turn(
    campaign: Campaign,
    state: CampaignState,
    verb: str,
    actor: Actor,
    *,
    reason: str = "",
    after: Mapping[str, Any] | None = None,
    **columns: Any,
) -> Campaign:
    """Move the campaign to its next state and tell of it; raises WrongState where its table does not lead there."""
    before = campaign.status
    campaign.move_to(state)
    write(campaign, status=state.value, **columns)
    tell(
        campaign,
        verb,
        actor,
        before={"status": before},
        after={"status": state.value, **(after or {})},
        reason=reason,
    )
    return campaign


def end(
    campaign: Campaign, state: CampaignState, verb: str, actor: Actor, *, reason: str = "", **columns: Any
) -> Campaign:
    """End the campaign: what it has reserved is free again, and nobody is asked for approval any more."""
    kernel.void(Campaign._meta.db_table, campaign.pk, reason=f"the campaign is {state.value}", actor=actor)
    after = {
        "users_awarded": campaign.users_awarded,
        "total_points_awarded": campaign.total_points_awarded,
        "points_released": campaign.points_reserved,
    }
    turn(campaign, state, verb, actor, reason=reason, after=after, **columns)
    release(campaign)
    return campaign


def release(campaign: Campaign) -> int:
    """Give what the campaign has reserved and not awarded back to its program's budget; how much that was."""
    with connection.cursor() as cursor:
        cursor.execute("select loyalty_release(%s)", [campaign.pk])
        points = int(cursor.fetchone()[0])
    campaign.points_reserved = 0
    return points


def reserve(campaign: Campaign, points: int) -> None:
    """Set points of the program's budget aside; raises BudgetExhausted, ProgramSuspended."""
    with refusals(), connection.cursor() as cursor:
        cursor.execute("select loyalty_reserve(%s, %s)", [campaign.pk, points])
    campaign.points_reserved += points


def wake(campaign: Campaign) -> None:
    """Have a worker go on with the campaign once this is committed."""
    after_commit(EXECUTE, campaign.pk, queue=QUEUE)


def wake_to_undo(campaign: Campaign) -> None:
    """Have a worker go on with taking the campaign back once this is committed."""
    after_commit(UNDO, campaign.pk, queue=QUEUE)
