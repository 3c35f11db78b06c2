"""Digests: in a burst, what waits for one receiver about one kind of event goes out as one message.

The delivery that is claimed leads, and the others go with it as its companions: their states, attempts and deadline
are the leader's from then on. Who goes with whom is settled at the first attempt and stays, so that a repetition has
the same body under the same id. A signed webhook gets each event by itself, as its standard says, and so does everybody
what asks for a decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from django.db import connection

from opsconsole.core.operations import assert_in_operation
from opsconsole.notifications import texts
from opsconsole.notifications.kinds import kind_of
from opsconsole.notifications.models import Delivery, Notice
from opsconsole.notifications.states import WAITING, ChannelKind, Severity
from opsconsole.notifications.texts import Message

FEWEST: Final = 6  # so few are told one by one
MOST: Final = 1000  # in one message; more are the next message
LISTED: Final = 10


def claim_companions(leaders: Sequence[UUID]) -> None:
    """Have the companions of deliveries that are claimed again claimed with them."""
    assert_in_operation()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update notifications_deliveries c
            set status = 'sending', attempts = l.attempts, next_attempt_at = l.next_attempt_at
            from notifications_deliveries l
            where l.id = any(%s) and c.told_with_id = l.id and c.status in ('due', 'sending')
            """,
            [list(leaders)],
        )


def gather(claimed: Sequence[Delivery]) -> list[Delivery]:
    """Give each of these, at its first attempt, what waits for the same receiver, if that is a burst.

    Returns those that are messages of their own; one may have become the companion of another.
    """
    assert_in_operation()
    fresh = [delivery.pk for delivery in claimed if delivery.attempts == 1]
    bound: set[UUID] = set()
    for leader in claimed:
        if leader.pk in fresh and leader.pk not in bound and _may_lead(leader):
            bound |= _bind(leader, fresh)
    return [delivery for delivery in claimed if delivery.pk not in bound]


def follow(leader: Delivery, states: Iterable[str] = WAITING, **columns: Any) -> int:
    """Write to the companions of a leader, which is locked, what became of it; how many there are."""
    assert_in_operation()
    # The leader is always locked before its companions, here and wherever a channel's deliveries are dropped.
    return Delivery.objects.filter(told_with=leader, status__in=states).update(**columns)


def message_of(delivery: Delivery) -> Message:
    """What is said to the receiver: of a leader, how many there are and the first of them."""
    companions = Delivery.objects.filter(told_with=delivery, status=delivery.status)
    count = companions.count()
    if not count:
        return texts.message_of(delivery.notice)
    together = Notice.objects.filter(deliveries__in=[delivery.pk, *companions.values_list("pk", flat=True)])
    worst = max((Severity(said) for said in together.values_list("severity", flat=True).distinct()), key=_rank)
    return texts.digest_of(list(together.order_by("happened_at", "pk")[:LISTED]), count + 1, worst)


def _rank(severity: Severity) -> int:
    return severity.rank


def _may_lead(delivery: Delivery) -> bool:
    return delivery.kind != ChannelKind.WEBHOOK and not kind_of(delivery.notice.topic).single


def _bind(leader: Delivery, fresh: Sequence[UUID]) -> set[UUID]:
    """Make companions of what waits beside it, and of what was claimed with it just now (`fresh`)."""
    with connection.cursor() as cursor:
        # What somebody else has locked is left to the next message. The index of what waits in a lane finds the rows.
        cursor.execute(
            """
            with beside as (
              select d.id from notifications_deliveries d join notifications_notices n on n.id = d.notice_id
              where d.lane = %(lane)s and d.status in ('due', 'sending') and d.id <> %(leader)s
                and (d.id = any(%(fresh)s) or (d.status = 'due' and d.next_attempt_at <= now() and d.attempts = 0))
                and d.told_with_id is null and n.topic = %(topic)s
                and d.channel_id is not distinct from %(channel)s and d.user_id is not distinct from %(user)s
              order by d.created_at, d.id limit %(most)s for update of d skip locked
            )
            update notifications_deliveries d
            set told_with_id = l.id, status = 'sending', attempts = l.attempts, next_attempt_at = l.next_attempt_at,
              deadline_at = l.deadline_at
            from beside, notifications_deliveries l
            where d.id = beside.id and l.id = %(leader)s and (select count(*) from beside) >= %(fewest)s
            returning d.id
            """,
            {
                "lane": leader.lane,
                "topic": leader.notice.topic,
                "channel": leader.channel_id,
                "user": leader.user_id,
                "most": MOST - 1,
                "leader": leader.pk,
                "fresh": list(fresh),
                "fewest": FEWEST - 1,
            },
        )
        return {row[0] for row in cursor.fetchall()}
