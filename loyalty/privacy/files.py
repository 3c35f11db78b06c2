"""All that is known of a member in every program, as JSON that is written while it is read.

What somebody who looks into fraud has found is left out: it would warn whom it is about. `docs/loyalty/fraud.md` says
what else is not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from django.db import connection

from opsconsole.core.canonical import to_plain
from opsconsole.journal.selectors import snapshot

CHUNK: Final = 2_000

_MEMBER: Final = """
    select b.id, p.name as program, b.user_id as "userId", b.points_balance as "pointsBalance", b.locked,
      b.is_frozen as "isFrozen", t.name as tier, b.joined_at as "joinedAt"
    from loyalty_balances b join loyalty_programs p on p.id = b.program_id left join loyalty_tiers t on t.id = b.tier_id
    where b.id = %s
"""
# Each a list of the member's, by the name that it has in the file.
_LISTS: Final[dict[str, str]] = {
    "transactions": """
        select t.id, t.event_type as "eventType", t.amount, t.purchase, t.origin_txn_id as "originTxnId",
          host(t.ip_address) as "ipAddress", c.name as campaign, t.reason, t.created_at as "createdAt"
        from loyalty_transactions t left join loyalty_campaigns c on c.id = t.campaign_id
        where t.balance_id = %s order by t.created_at, t.id
    """,
    "redemptions": """
        select d.id, r.name as reward, d.points, d.status, d.created_at as "createdAt"
        from loyalty_redemptions d left join loyalty_rewards r on r.id = d.reward_id
        where d.balance_id = %s order by d.id
    """,
    "vouchers": """
        select v.id, b.name as batch, b.points, v.redeemed_at as "redeemedAt"
        from loyalty_vouchers v join loyalty_voucher_batches b on b.id = v.batch_id
        where v.balance_id = %s order by v.redeemed_at, v.id
    """,
    "tiers": """
        select s.move, was.name as "from", now.name as "to", s.points_in_window as points, s.created_at as "createdAt"
        from loyalty_tier_snapshots s left join loyalty_tiers was on was.id = s.was_id
          left join loyalty_tiers now on now.id = s.now_id
        where s.balance_id = %s order by s.id
    """,
    "disputes": """
        select d.ticket, d.origin_txn_id as "originTxnId", d.happened_at as "happenedAt", d.claim, d.status, d.verdict,
          d.created_at as "createdAt"
        from loyalty_disputes d where d.balance_id = %s order by d.id
    """,
}


def pieces(user_id: str, balance_ids: Sequence[UUID]) -> Iterator[str]:
    """The file in pieces, out of one unchanging view; it is whole only with its last brace."""
    yield f'{{"userId": {json.dumps(user_id)}, "programs": ['
    with snapshot():
        for number, balance_id in enumerate(balance_ids):
            yield from _program(balance_id, first=number == 0)
    yield "]}\n"


def _program(balance_id: UUID, *, first: bool) -> Iterator[str]:
    (member,) = next(_rows(_MEMBER, balance_id))
    yield f"{'' if first else ', '}{json.dumps(member, ensure_ascii=False)[:-1]}"
    for name, query in _LISTS.items():
        yield f', "{name}": ['
        empty = True
        for rows in _rows(query, balance_id):
            text = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
            yield text if empty else f",\n{text}"
            empty = False
        yield "]"
    yield "}"


def _rows(query: str, balance_id: UUID) -> Iterator[list[dict[str, Any]]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, [balance_id])
        names: list[str] = []
        while rows := cursor.fetchmany(CHUNK):
            names = names or [column[0] for column in cursor.description]
            yield [to_plain(dict(zip(names, row, strict=True))) for row in rows]
