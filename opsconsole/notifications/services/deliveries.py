"""Deliveries as they move: claimed under a lease, ended by what came of them, given up in time, tried again by hand."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import connection
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.core.queue import after_commit
from opsconsole.journal.record import record
from opsconsole.notifications import access, digests
from opsconsole.notifications.errors import ChannelIsOff, NotDead
from opsconsole.notifications.gateways.outcome import Outcome
from opsconsole.notifications.kinds import TEST
from opsconsole.notifications.models import Delivery
from opsconsole.notifications.services.fanout import DEAD, LIFE, PUMP, QUEUE
from opsconsole.notifications.states import NotificationState

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)  # well beyond what an attempt may take
MAX_ATTEMPTS = 12
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0  # seconds; doubles in between, give or take a fifth
PER_LANE = 2  # so many at once to one endpoint
TRIP_AFTER = 3  # failures of the endpoint in a row until it is left alone
FIRST_REST, LONGEST_REST = 15.0, 300.0  # seconds; doubles in between
KEPT = timedelta(days=90)


@operation
def claim_due(*, most: int, actor: Actor) -> list[Delivery]:
    """Take up to so many messages that are due, oldest first, few of each endpoint, none of one at rest.

    Of a digest its leader is returned; the companions are taken with it.
    """
    with connection.cursor() as cursor:
        # The lanes are locked while their rows are counted: two workers together take no more than one may.
        cursor.execute(
            """
            with lanes as (
              select name, case when failures >= %(trip)s then 1 else %(per_lane)s end as most
              from notifications_lanes l
              where (open_until is null or open_until <= now())
                and exists (select from notifications_deliveries d where d.lane = l.name and d.told_with_id is null
                            and d.status in ('due', 'sending') and d.next_attempt_at <= now())
              order by name for update skip locked
            ), room as (
              select name, most - (select count(*) from notifications_deliveries d where d.lane = name
                                   and d.told_with_id is null and d.status = 'sending'
                                  and d.next_attempt_at > now()) as free
              from lanes
            ), taken as (
              select d.id from room cross join lateral (
                select id, next_attempt_at from notifications_deliveries w
                where w.lane = room.name and w.status in ('due', 'sending') and w.next_attempt_at <= now()
                  and w.told_with_id is null
                order by w.next_attempt_at limit greatest(room.free, 0) for update skip locked
              ) d order by d.next_attempt_at limit %(most)s
            )
            update notifications_deliveries d set status = 'sending', attempts = attempts + 1,
              next_attempt_at = now() + make_interval(secs => %(lease)s)
            from taken where d.id = taken.id returning d.id
            """,
            {"trip": TRIP_AFTER, "per_lane": PER_LANE, "most": most, "lease": LEASE.total_seconds()},
        )
        taken = [row[0] for row in cursor.fetchall()]
    if not taken:
        return []
    digests.claim_companions(taken)
    found = list(
        Delivery.objects.filter(pk__in=taken).select_related("notice", "channel", "user").order_by("created_at", "pk")
    )
    return digests.gather(found)


@operation
def claim_one(*, delivery_id: UUID, actor: Actor) -> Delivery | None:
    """Take this delivery, whatever its endpoint went through; None when it is done, or somebody has it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update notifications_deliveries set status = 'sending', attempts = attempts + 1,"
            " next_attempt_at = clock_timestamp() + make_interval(secs => %s)"
            " where id = %s and status in ('due', 'sending') and next_attempt_at <= clock_timestamp()",
            [LEASE.total_seconds(), delivery_id],
        )
        if not cursor.rowcount:
            return None
    return Delivery.objects.select_related("notice", "channel", "user").get(pk=delivery_id)


@operation
def finish(*, delivery: Delivery, outcome: Outcome, actor: Actor) -> bool:
    """Note how the attempt went that was claimed as `delivery`; False when the lease was lost and another has it."""
    row = (
        Delivery.objects.select_for_update(of=("self",), no_key=True)
        .select_related("notice")
        .filter(pk=delivery.pk, status=NotificationState.SENDING, attempts=delivery.attempts)
        .first()
    )
    if row is None:
        log.warning("notifications.lease_lost", delivery=str(delivery.pk), error=outcome.error)
        return False
    row.error, row.answer_status, row.answer = outcome.error[:2000], outcome.status, outcome.answer
    row.seconds = round(outcome.seconds, 3)
    row.move_to(_next_state(row, outcome))
    if row.status == NotificationState.DUE:
        row.next_attempt_at = timezone.now() + _pause(row.attempts, outcome.retry_after)
    else:
        row.ended_at = timezone.now()
    columns = ("error", "answer_status", "answer", "seconds", "status", "next_attempt_at", "ended_at")
    row.save(update_fields=columns)
    written = {name: getattr(row, name) for name in columns}
    companions = digests.follow(row, [NotificationState.SENDING], **written)
    _note_health(row.lane, outcome)
    if row.status == NotificationState.DEAD:
        _bury(row, 1 + companions)
    return True


@operation
def drop(*, delivery: Delivery, reason: str, actor: Actor) -> None:
    """End a delivery that nobody wants any more: the channel is off, the person has left or may not know."""
    ended = {"status": NotificationState.DROPPED, "error": reason, "ended_at": timezone.now()}
    mine = Delivery.objects.filter(pk=delivery.pk, status=NotificationState.SENDING, attempts=delivery.attempts)
    if mine.update(**ended):
        digests.follow(delivery, [NotificationState.SENDING], **ended)


@operation
def give_up_overdue(*, most: int, actor: Actor) -> int:
    """Give up what could not be delivered by its deadline, or has lost a worker at every attempt; how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select d.id from notifications_deliveries d
            where d.status in ('due', 'sending') and (d.status = 'due' or d.next_attempt_at <= now())
              and (d.deadline_at <= now() or (d.status = 'sending' and d.attempts >= %s))
              and not exists (select from notifications_deliveries l
                              where l.id = d.told_with_id and l.status in ('due', 'sending'))
            order by d.deadline_at limit %s for update of d skip locked
            """,
            [MAX_ATTEMPTS, most],
        )
        overdue = [row[0] for row in cursor.fetchall()]
    for row in Delivery.objects.select_related("notice").filter(pk__in=overdue):
        hours = LIFE.total_seconds() / 3600
        late = f"not delivered within {hours:g} hours" if row.deadline_at <= timezone.now() else "lost with its worker"
        row.error = f"{late}; {row.error}" if row.error else late
        row.move_to(NotificationState.DEAD)
        row.ended_at = timezone.now()
        row.save(update_fields=["error", "status", "ended_at"])
        companions = digests.follow(row, error=row.error, status=row.status, ended_at=row.ended_at)
        _bury(row, 1 + companions)
    return len(overdue)


@operation
def retry_delivery(*, delivery_id: UUID, actor: Actor) -> Delivery:
    """Have a delivery that was given up sent again; raises NotDead, ChannelIsOff, DeliveryNotFound."""
    row = access.delivery_to_retry(actor, delivery_id)
    if row.status != NotificationState.DEAD:
        raise NotDead(
            format_lazy(_("The delivery is {state}; only one that was given up is sent again."), state=row.state.label)
        )
    if row.channel is not None and not row.channel.active:
        raise ChannelIsOff(
            format_lazy(_("{channel} is switched off."), channel=row.channel.name), channel=str(row.channel_id)
        )
    _revive([row.pk])
    record(actor, "notification.retried", row, before={"status": row.status}, after={"status": "due"})
    row.refresh_from_db()
    return row


@operation
def retry_dead(*, channel_id: UUID, actor: Actor) -> int:
    """Have everything that a channel's receiver was not given sent again; how many. Raises ChannelIsOff."""
    actor.require(access.RETRY)
    row = access.channel_for(actor, channel_id)
    if not row.active:
        raise ChannelIsOff(format_lazy(_("{channel} is switched off."), channel=row.name), channel=str(row.pk))
    dead = list(
        Delivery.objects.select_for_update()
        .filter(channel=row, status=NotificationState.DEAD)
        .values_list("pk", flat=True)
    )
    _revive(dead)
    record(actor, "notification.retried", row, after={"deliveries": len(dead)})
    return len(dead)


@operation
def drop_old(*, actor: Actor) -> None:
    """Delete deliveries that ended long ago, notices that none is left of, and lanes and reminders of the past."""
    with connection.cursor() as cursor:
        age = [KEPT.total_seconds()]
        cursor.execute(
            "delete from notifications_deliveries d where ended_at < now() - make_interval(secs => %s) and not exists ("
            "  select from notifications_deliveries c where c.told_with_id = d.id and"
            "  (c.ended_at is null or c.ended_at >= now() - make_interval(secs => %s)))",
            age * 2,
        )
        cursor.execute(
            "delete from notifications_notices n where happened_at < now() - make_interval(secs => %s)"
            " and not exists (select from notifications_deliveries d where d.notice_id = n.id)",
            age,
        )
        cursor.execute("delete from notifications_reminders where at < now() - make_interval(secs => %s)", age)


def _revive(dead: list[UUID]) -> None:
    Delivery.objects.filter(pk__in=dead, status=NotificationState.DEAD).update(
        status=NotificationState.DUE,
        attempts=0,
        next_attempt_at=timezone.now(),
        deadline_at=timezone.now() + LIFE,
        ended_at=None,
        told_with=None,
    )
    after_commit(PUMP, queue=QUEUE)


def _next_state(row: Delivery, outcome: Outcome) -> NotificationState:
    if outcome.arrived:
        return NotificationState.DELIVERED
    if row.notice.topic == TEST:  # whoever pressed the button has the answer before them
        return NotificationState.DROPPED
    if outcome.permanent or row.attempts >= MAX_ATTEMPTS:
        return NotificationState.DEAD
    return NotificationState.DUE


def _pause(attempts: int, retry_after: float | None) -> timedelta:
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempts - 1)) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    return timedelta(seconds=max(pause, retry_after or 0.0))


def _note_health(lane: str, outcome: Outcome) -> None:
    """Let an endpoint in trouble rest, longer each time; one that answers is spoken to again at once."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update notifications_lanes set
              failures = case when %(unwell)s then failures + 1 else 0 end,
              error = %(error)s,
              open_until = case
                when not %(unwell)s then null
                when %(asked)s::float8 is not null then now() + make_interval(secs => %(asked)s::float8)
                when failures + 1 >= %(trip)s then now() + make_interval(
                  secs => least(%(longest)s, %(first)s * power(2, least(failures + 1 - %(trip)s, 10))))
                end
            where name = %(lane)s
            """,
            {
                "unwell": outcome.unwell,
                "error": outcome.error[:500] if outcome.unwell else "",
                "asked": outcome.retry_after,
                "trip": TRIP_AFTER,
                "first": FIRST_REST,
                "longest": LONGEST_REST,
                "lane": lane,
            },
        )


def _bury(row: Delivery, events: int) -> None:
    """Tell that a message was given up; of that news itself nothing more is told, or it would never end."""
    log.error("notifications.given_up", delivery=str(row.pk), topic=row.notice.topic, events=events, error=row.error)
    if row.notice.topic != DEAD:
        facts = {"told": row.notice.topic, "channel": str(row.channel_id or ""), "error": row.error[:300]}
        if events > 1:
            facts["count"] = str(events)
        emit(DEAD, kind="notifications_deliveries", id=row.pk, data=facts)
