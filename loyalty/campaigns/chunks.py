"""Runs of ordinals that are awarded, or taken back, in one transaction each: exactly once by the chunk's own row.

The caller holds the campaign (`moves.hold`): who awards together with others who do, anybody else alone. Whatever is
written here, the ledger comes last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Sum
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty.errors import AwardsMissing
from loyalty.ledger import refusals
from loyalty.models import Campaign, Chunk
from loyalty.states import SkipReason

CHUNK: Final = 10_000  # ordinals
TOGETHER: Final = 2  # workers at one campaign
LOOKED_AT: Final = 2 * TOGETHER  # open chunks: more than others can have in hand


@dataclass(frozen=True, slots=True)
class Span:
    """A chunk by its number and its ordinals, both ends included."""

    no: int
    first: int
    last: int


def follow_closely() -> None:
    """From here to the commit, so long a silence of ours ends the session: a frozen worker must not keep balances."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select set_config('idle_in_transaction_session_timeout', %s, true)",
            [str(int(settings.RUN_LEASE_SECONDS * 1000))],
        )


def claim(campaign: Campaign) -> Span | None:
    """Take the next chunk that nobody has in hand, until the transaction ends; None when there is none.

    None also for who comes third: workers that a slow campaign has made the sweeper send must not all work on it.
    How many ordinals a chunk has is settled by the first one, which is therefore awarded alone: from then on its number
    says which they are, whoever counts, also a worker of another release.
    """
    if not any(_take(f"{campaign.pk}/place/{place}") for place in range(TOGETHER)):
        return None
    for span in _open(campaign):
        # Asked behind the lock: who had it may just have committed.
        if _take(f"{campaign.pk}/{span.no}") and not Chunk.objects.filter(campaign=campaign, no=span.no).exists():
            return span
    return None


def _take(name: str) -> bool:
    """Take a lock of this transaction; False where another has it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_try_advisory_xact_lock(hashtextextended('loyalty.chunk' || chr(31) || %s, 0))", [name]
        )
        return bool(cursor.fetchone()[0])


def is_through(campaign: Campaign) -> bool:
    """Whether every chunk of the audience is awarded, and committed."""
    return not _open(campaign)


def _open(campaign: Campaign) -> list[Span]:
    """The next chunks without a row, some of which others may have in hand; of a campaign just launched the first."""
    members = campaign.audience_size or 0
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select f.last_ordinal, n
            from loyalty_campaign_chunks f, generate_series(1, (%s + f.last_ordinal - 1) / f.last_ordinal) n
            where f.campaign_id = %s and f.no = 1 and not exists (
              select from loyalty_campaign_chunks k where k.campaign_id = f.campaign_id and k.no = n)
            order by n limit %s
            """,
            [members, campaign.pk, LOOKED_AT],
        )
        found = [Span(no, (no - 1) * size + 1, min(no * size, members)) for size, no in cursor.fetchall()]
    if found or not members or Chunk.objects.filter(campaign=campaign, no=1).exists():
        return found
    return [Span(1, 1, min(CHUNK, members))]


def skip_frozen(campaign: Campaign, span: Span) -> list[UUID]:
    """Note the members of the span who have been frozen since the launch; they are passed over for good."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into loyalty_campaign_skips (campaign_id, balance_id, reason)
            select a.campaign_id, a.balance_id, %s
            from loyalty_campaign_audience a
              join loyalty_balances b on b.id = a.balance_id and b.program_id = %s and b.is_frozen
            where a.campaign_id = %s and a.ordinal between %s and %s
            returning balance_id
            """,
            [SkipReason.FROZEN.value, campaign.program_id, campaign.pk, span.first, span.last],
        )
        return [row[0] for row in cursor.fetchall()]


def open_chunk(campaign: Campaign, span: Span, skipped: list[UUID]) -> Chunk:
    """Write the row by which the span is awarded once: a second one of its number waits for it, and is refused."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into loyalty_campaign_chunks
              (campaign_id, no, first_ordinal, last_ordinal, awarded, points, skipped, created_at)
            select %s, %s, %s, %s, count(a.ordinal), coalesce(sum(a.points), 0), %s, now()
            from loyalty_campaign_audience a
            where a.campaign_id = %s and a.ordinal between %s and %s and a.balance_id <> all(%s::uuid[])
            returning awarded, points
            """,
            [campaign.pk, span.no, span.first, span.last, len(skipped), campaign.pk, span.first, span.last, skipped],
        )
        awarded, points = cursor.fetchone()
    return Chunk(
        campaign=campaign,
        no=span.no,
        first_ordinal=span.first,
        last_ordinal=span.last,
        awarded=awarded,
        points=points,
        skipped=len(skipped),
    )


def award(campaign: Campaign, span: Span, skipped: list[UUID]) -> int:
    """Write the ledger for everybody of the span who was not skipped; how many that were.

    Who is frozen between `skip_frozen` and here makes the ledger refuse all of it (MemberFrozen): the chunk is tried
    again, and skips them. The rows bear the time of the chunk's row, both being that of the transaction.
    """
    with refusals(), connection.cursor() as cursor:
        cursor.execute(
            """
            insert into loyalty_transactions (balance_id, event_type, amount, campaign_id, created_at)
            select a.balance_id, 'bonus', a.points, a.campaign_id, now()
            from loyalty_campaign_audience a
            where a.campaign_id = %s and a.ordinal between %s and %s and a.balance_id <> all(%s::uuid[])
            order by a.ordinal
            """,
            [campaign.pk, span.first, span.last, skipped],
        )
        return int(cursor.rowcount)


# What of a chunk's awards there still is, and how much of that can be taken: what is neither spent nor locked. By then
# the balances are locked, so the two statements that use this see the same, and nobody else takes any of it.
# Looked up member by member (`offset 0` keeps it so): the planner does not know yet how many rows a campaign has, and
# where it guesses that there are none, it reads all of them for each.
_TAKEN: Final = """
  given as materialized (
    select t.id, t.balance_id, greatest(b.points_balance - b.locked, 0) as free, t.amount + coalesce((
        select sum(r.amount) from loyalty_transactions r where r.reverses_id = t.id), 0) as rest
    from loyalty_campaign_audience a
      cross join lateral (
        select b.points_balance, b.locked from loyalty_balances b where b.id = a.balance_id offset 0) b
      cross join lateral (
        select t.id, t.balance_id, t.amount, t.campaign_id, t.event_type from loyalty_transactions t
        where t.balance_id = a.balance_id and t.created_at = %(at)s offset 0) t
    where a.campaign_id = %(campaign)s and a.ordinal between %(first)s and %(last)s
      and t.campaign_id = %(campaign)s and t.event_type = 'bonus'
  ),
  taken as (select g.id, g.balance_id, g.rest, least(g.rest, g.free)::bigint as back from given g where g.rest > 0)"""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What an undo takes back of a chunk: points and members, and what was spent already."""

    points: int
    members: int
    spent: int
    short: int


def to_take_back(campaign: Campaign) -> Chunk | None:
    """The next chunk that an undo has not come to; None when it is through."""
    return Chunk.objects.filter(campaign=campaign, undone_at=None).order_by("no").first()


def close_chunk(chunk: Chunk) -> TakenBack:
    """Lock the chunk's members, work out what can be taken back, and write it down on the chunk's row.

    Raises AwardsMissing where the chunk's row and the ledger do not tell the same.
    """
    with connection.cursor() as cursor:
        # By the order of ids, as the ledger locks them; a statement of its own, so that the next one's snapshot is
        # taken when nobody can spend any more.
        cursor.execute(
            """
            select count(*) from (
              select a.balance_id from loyalty_campaign_audience a
              where a.campaign_id = %(campaign)s and a.ordinal between %(first)s and %(last)s
              order by a.balance_id offset 0) a
              cross join lateral (select b.id from loyalty_balances b where b.id = a.balance_id for no key update) b
            """,
            _facts(chunk),
        )
        cursor.execute(
            f"""
            with {_TAKEN},
            summed as (
              select coalesce(sum(back), 0)::bigint as points, count(*) filter (where back > 0) as members,
                coalesce(sum(rest - back), 0)::bigint as spent, count(*) filter (where back < rest) as short,
                (select count(*) from given) as found
              from taken
            )
            update loyalty_campaign_chunks c
              set undone_at = now(), points_undone = s.points, members_undone = s.members, points_spent = s.spent,
                members_short = s.short
            from summed s where c.campaign_id = %(campaign)s and c.no = %(no)s and c.undone_at is null
            returning s.points, s.members, s.spent, s.short, s.found
            """,
            _facts(chunk),
        )
        *sums, found = cursor.fetchone()
    if found != chunk.awarded:
        raise AwardsMissing(
            format_lazy(
                _("Chunk {no} has awarded {awarded} members, and the ledger has {found} of them at its time."),
                no=chunk.no,
                awarded=chunk.awarded,
                found=found,
            ),
            chunk=chunk.no,
        )
    return TakenBack(*sums)


def take_back(chunk: Chunk, reason: str) -> int:
    """Write the reversals of what `close_chunk` has found; how many they are."""
    with refusals(), connection.cursor() as cursor:
        cursor.execute(
            f"""
            with {_TAKEN}
            insert into loyalty_transactions
              (balance_id, event_type, amount, reverses_id, campaign_id, reason, created_at)
            select k.balance_id, 'reverse', -k.back, k.id, %(campaign)s, %(reason)s, now()
            from taken k where k.back > 0 order by k.balance_id
            """,
            {**_facts(chunk), "reason": reason},
        )
        return int(cursor.rowcount)


def totals(campaign: Campaign) -> dict[str, int]:
    """What the chunks add up to, test runs included."""
    sums = ("awarded", "points", "skipped", "points_undone", "points_spent", "members_undone", "members_short")
    found = Chunk.objects.filter(campaign=campaign).aggregate(**{f"all_{name}": Sum(name) for name in sums})
    return {name: int(found[f"all_{name}"] or 0) for name in sums}


def _facts(chunk: Chunk) -> dict[str, Any]:
    return {
        "campaign": chunk.campaign_id,
        "no": chunk.no,
        "first": chunk.first_ordinal,
        "last": chunk.last_ordinal,
        "at": chunk.created_at,
    }
