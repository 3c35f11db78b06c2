"""Previews of segments over a million members with ten million transactions, beside the same question as somebody who
knows the tables would write it by hand.

A preview is the service's: the segment checked and compiled, everybody in it counted with what they would get and who
gets nothing, the budget, and all that written to the campaign.
"""

from __future__ import annotations

from datetime import timedelta
from statistics import median

from django.utils import timezone

from bench.figures import Figure
from bench.members import a_program, person, populate, seconds, superuser, told, with_tiers
from loyalty.models import Campaign, Program
from loyalty.services import campaigns

MEMBERS = 1_000_000
CALLS = 5
CROSSING = 10  # members whose transaction may grow too old between the two counts
SINCE = "now() - interval '30 days'"
ACTED = (
    "exists (select from loyalty_transactions t where t.balance_id = b.id"
    f" and t.event_type in ('earn', 'redeem') and t.created_at >= {SINCE})"
)

QUESTIONS = {
    "everybody": ({}, "true", 0.2),
    "a balance": ({">=": [{"var": "points_balance"}, 900]}, "b.points_balance >= 900", 0.2),
    "a tier": ({"==": [{"var": "tier"}, "Gold"]}, "b.tier_id = %(gold)s", 0.2),
    "active in 30 days": ({">=": [{"var": "last_activity_at"}, {"days_ago": 30}]}, ACTED, 0.2),
    "idle for 30 days": ({"<": [{"var": "last_activity_at"}, {"days_ago": 30}]}, f"not {ACTED}", 0.2),
    "earned 100 in 30 days": (
        {">=": [{"sum": {"event": "earn", "days": 30}}, 100]},
        "b.id in (select t.balance_id from loyalty_transactions t where t.event_type = 'earn'"
        f" and t.created_at >= {SINCE} group by t.balance_id having sum(t.amount) >= 100)",
        0.2,
    ),
    "gold, 2 earns in 90 days": (
        {"and": [{"==": [{"var": "tier"}, "Gold"]}, {">=": [{"count": {"event": "earn", "days": 90}}, 2]}]},
        "b.tier_id = %(gold)s and b.id in (select t.balance_id from loyalty_transactions t"
        " where t.event_type = 'earn' and t.created_at >= now() - interval '90 days'"
        " group by t.balance_id having count(*) >= 2)",
        0.2,
    ),
}


def run(*, scale: float) -> list[Figure]:
    """The median of each preview."""
    members = int(MEMBERS * scale)
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in QUESTIONS}
    with a_program("bench preview") as program, superuser() as db:
        standing = with_tiers(program)
        with told("the ledger loaded"):
            populate(program, members, standing=standing)
        facts = {"program": program.pk, "gold": standing[-1]}
        drafts = {name: _draft(program, name, segment) for name, (segment, _sql, _least) in QUESTIONS.items()}
        for _ in range(CALLS + 1):  # in turn, so that all meet the same machine; the first finds caches cold
            for name, (_segment, sql, _least) in QUESTIONS.items():
                counted: list[int] = []
                by_hand = f"select count(*) from loyalty_balances b where b.program_id = %(program)s and {sql}"
                floor = seconds(
                    lambda by_hand=by_hand, into=counted: into.extend(db.execute(by_hand, facts).fetchone())
                )
                ours = seconds(lambda name=name: _preview(drafts[name]))
                if abs((drafts[name].estimated_users or 0) - counted[0]) > CROSSING:
                    raise RuntimeError(f"{name}: {drafts[name].estimated_users} members, by hand {counted[0]}")
                found[name][0].append(ours)
                found[name][1].append(floor)
    return [
        Figure(
            f"preview of {members:,} members: {name}", median(ours[1:]) * 1000, median(floors[1:]) * 1000, "ms",
            "the count, written by hand", QUESTIONS[name][2], "make bench ARGS=loyalty_preview", lower_is_better=True,
            target=1_000.0,
        )
        for name, (ours, floors) in found.items()
    ]  # fmt: skip


def _draft(program: Program, name: str, segment: dict[str, object]) -> Campaign:
    return campaigns.create_campaign(
        program_id=program.pk, name=name, bonus_points=10, target_segment=segment,
        start_date=timezone.now() + timedelta(days=1), actor=person("ops_marketing"),
    )  # fmt: skip


def _preview(campaign: Campaign) -> None:
    campaigns.preview_campaign(campaign_id=campaign.pk, actor=person("ops_marketing"))
    campaign.refresh_from_db()
