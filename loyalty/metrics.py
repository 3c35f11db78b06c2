"""What Prometheus is told of loyalty: from the tallies of what workers did, from partial indexes and small tables."""

from __future__ import annotations

from collections import Counter

from loyalty.campaigns.progress import stuck_campaigns
from loyalty.models import Campaign, Program
from loyalty.states import CampaignState
from loyalty.workers import executions
from opsconsole.core.metrics import Fact, Samples, register

ENDED = tuple(state.value for state in CampaignState if state.is_final)
LIVE = tuple(state.value for state in CampaignState if not state.is_final)


def _campaign_executions() -> Samples:
    # One that was given up before its launch was never executed.
    ended = Campaign.objects.filter(status__in=ENDED).exclude(status=CampaignState.CANCELLED, launched_at=None)
    counted = Counter(ended.values_list("status", flat=True))
    return [((status,), float(counted[status])) for status in ENDED]


def _campaigns() -> Samples:
    counted = Counter(Campaign.objects.filter(status__in=LIVE).values_list("status", flat=True))
    return [((status,), float(counted[status])) for status in LIVE]


def _budgets() -> Samples:
    return [
        ((name,), float((spent + reserved) / limit))
        for name, spent, reserved, limit in Program.objects.values_list(
            "name", "budget_spent", "budget_reserved", "budget_limit"
        )
    ]


register(
    Fact(
        "loyalty_program_budget_ratio",
        "Share of a program's budget that is spent or reserved.",
        "gauge",
        ("program",),
        _budgets,
    ),
    Fact(
        "loyalty_campaign_executions_total",
        "Executions of campaigns that have ended, by status.",
        "counter",
        ("status",),
        _campaign_executions,
    ),
    Fact("loyalty_campaigns", "Campaigns that have not ended, by status.", "gauge", ("status",), _campaigns),
    Fact(
        "loyalty_campaigns_stuck",
        "Campaigns that are approved and two hours late, or run without awarding anybody for five minutes.",
        "gauge",
        (),
        lambda: [((), float(len(stuck_campaigns())))],
    ),
    Fact(
        "loyalty_worker_executions_total",
        "Executions of the workers of loyalty, by worker and by what came of them.",
        "counter",
        ("worker", "status"),
        lambda: [(labels, float(count)) for labels, count in executions().items()],
    ),
)
