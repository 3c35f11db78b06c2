"""Campaigns: what one is, what it would cost, how far it is, what came of it."""

from __future__ import annotations

import json
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from loyalty.campaigns.audience import candidates
from loyalty.errors import SegmentInvalid
from loyalty.models import Campaign
from loyalty.runbooks.parameters import CAMPAIGN
from loyalty.segments.parse import parse_segment
from loyalty.segments.words import told
from loyalty.selectors import database_clock
from loyalty.states import CampaignState, CampaignType, SkipReason
from opsconsole.core.texts import Text
from opsconsole.runbooks.diagnostics import Column, Diagnostic, Shown, Statement, Values
from opsconsole.runbooks.facts import values_of_fact

SEE: Final = "loyalty.view_campaign"
ID: Final = Column("id", _("campaign"), of="loyalty.Campaign")
NAME: Final = Column("name", _("name"))
STATUS: Final = Column("status", _("state"), Shown.STATE, dict(CampaignState.choices))
NO_CAMPAIGN: Final = _("There is no such campaign.")


def _segment(value: Any) -> Text:
    """A segment in a sentence; one that is none, as it stands."""
    try:
        return told(parse_segment(json.loads(value)))
    except SegmentInvalid:
        return str(value)


CONFIGURATION: Final = Diagnostic(
    name="campaign-configuration",
    label=_("The campaign as it is set up"),
    permission=SEE,
    parameters=[CAMPAIGN],
    columns=[
        ID,
        NAME,
        Column("campaign_type", _("gives"), Shown.STATE, dict(CampaignType.choices)),
        Column("target_segment", _("segment"), Shown.JSON, tell=_segment),
        Column("bonus_points", _("bonus points"), Shown.NUMBER),
        Column("start_date", _("starts"), Shown.MOMENT),
        Column("end_date", _("ends"), Shown.MOMENT),
        STATUS,
    ],
    sql="""
        select id, name, campaign_type, target_segment, bonus_points, start_date, end_date, status
        from loyalty_campaigns
        where id = %(campaign_id)s
    """,
    empty=NO_CAMPAIGN,
)


def _impact(values: Values) -> Statement:
    """The members counted by the statement that freezes an audience; one row, also where the segment finds nobody."""
    campaign = Campaign.objects.filter(pk=values["campaign_id"]).first()
    if campaign is None:
        return _NO_IMPACT, {}
    found = candidates(campaign, at=database_clock())
    statement = f"""
        with found as ({found.text})
        select count(f.balance_id) as target_users, coalesce(sum(f.points), 0) as estimated_cost,
               lp.budget_limit - lp.budget_spent as budget_remaining, lp.budget_reserved
        from loyalty_programs lp left join found f on f.excluded is null
        where lp.id = %s
        group by lp.id
    """
    return statement, (*found.params, campaign.program_id)


_NO_IMPACT: Final = """
    select null::bigint as target_users, null::bigint as estimated_cost, null::numeric as budget_remaining,
           null::numeric as budget_reserved
    where false
"""
IMPACT: Final = Diagnostic(
    name="budget-impact",
    label=_("Whom it reaches, and what that costs"),
    permission=SEE,
    parameters=[CAMPAIGN],
    columns=[
        Column("target_users", _("members"), Shown.NUMBER),
        Column("estimated_cost", _("points they would get"), Shown.NUMBER),
        Column("budget_remaining", _("budget not spent"), Shown.FIGURE),
        Column("budget_reserved", _("of it reserved"), Shown.FIGURE),
    ],
    compose=_impact,
    empty=NO_CAMPAIGN,
)

RESULT: Final = Diagnostic(
    name="campaign-result",
    label=_("What the campaign came to"),
    permission=SEE,
    parameters=[CAMPAIGN],
    columns=[
        ID,
        NAME,
        STATUS,
        Column("users_awarded", _("members awarded"), Shown.NUMBER),
        Column("total_points_awarded", _("points awarded"), Shown.NUMBER),
        Column("executed_at", _("done"), Shown.MOMENT),
    ],
    sql="""
        select id, name, status, users_awarded, total_points_awarded, executed_at
        from loyalty_campaigns
        where id = %(campaign_id)s
    """,
    empty=NO_CAMPAIGN,
)

PROGRESS: Final = Diagnostic(
    name="campaign-progress",
    label=_("How far it is"),
    permission=SEE,
    parameters=[CAMPAIGN],
    columns=[
        STATUS,
        Column("audience_size", _("audience"), Shown.NUMBER),
        Column("chunks", _("chunks done"), Shown.NUMBER),
        Column("awarded", _("members awarded"), Shown.NUMBER),
        Column("skipped", _("skipped"), Shown.NUMBER),
        Column("points", _("points"), Shown.NUMBER),
        Column("progress_at", _("last chunk"), Shown.MOMENT),
        Column("failure", _("failure")),
    ],
    sql="""
        select c.status, c.audience_size, count(k.no) filter (where k.no > 0) as chunks,
               coalesce(sum(k.awarded), 0) as awarded, coalesce(sum(k.skipped), 0) as skipped,
               coalesce(sum(k.points), 0) as points, c.progress_at, c.failure
        from loyalty_campaigns c left join loyalty_campaign_chunks k on k.campaign_id = c.id
        where c.id = %(campaign_id)s
        group by c.id
    """,
    empty=NO_CAMPAIGN,
)

SKIPPED: Final = Diagnostic(
    name="campaign-skips",
    label=_("Who was skipped, and why"),
    permission=SEE,
    parameters=[CAMPAIGN],
    columns=[
        Column("reason", _("reason"), Shown.STATE, dict(SkipReason.choices)),
        Column("members", _("members"), Shown.NUMBER),
    ],
    sql="""
        select reason, count(*) as members from loyalty_campaign_skips
        where campaign_id = %(campaign_id)s group by reason order by members desc
    """,
    empty=_("Nobody was skipped."),
)

SAMPLE: Final = Diagnostic(
    name="awarded-members",
    label=_("Five members who were awarded"),
    permission="loyalty.view_balance",
    parameters=[CAMPAIGN],
    columns=[
        Column("user_id", _("member"), Shown.CODE),
        Column("points_balance", _("points"), Shown.NUMBER),
        Column("updated_at", _("changed"), Shown.MOMENT),
        Column("awarded", _("awarded"), Shown.NUMBER),
    ],
    # By the ledger, so that nobody is shown whose balance merely moved for another reason since.
    sql="""
        select b.user_id, b.points_balance, b.updated_at, t.amount as awarded
        from loyalty_transactions t join loyalty_balances b on b.id = t.balance_id
        where t.campaign_id = %(campaign_id)s and t.event_type = 'bonus'
        limit 5
    """,
    empty=_("Nobody has been awarded."),
)

TRAIL: Final = Diagnostic(
    name="campaign-trail",
    label=_("What is recorded of the campaign"),
    permission=SEE,
    parameters=[CAMPAIGN],
    columns=[
        Column("created_at", _("at"), Shown.MOMENT),
        Column("actor", _("by")),
        Column("action", _("what"), Shown.CODE),
    ],
    sql="""
        select created_at, actor, action from loyalty_audit_logs
        where entity_type = 'campaign' and entity_id = %(campaign_id)s
        order by created_at desc limit 50
    """,
    empty=_("Nothing is recorded of it."),
)

NEWS: Final = Diagnostic(
    name="campaign-webhooks",
    label=_("What was published of the campaign"),
    permission=SEE,
    parameters=[CAMPAIGN],
    columns=[
        Column("topic", _("event"), Shown.CODE),
        Column("created_at", _("at"), Shown.MOMENT),
        Column("delivered", _("delivered"), Shown.NUMBER),
        Column("due", _("not delivered yet"), Shown.NUMBER),
        Column("dead", _("given up"), Shown.NUMBER),
    ],
    sql="""
        select e.topic, e.created_at, count(*) filter (where d.status = 'delivered') as delivered,
               count(*) filter (where d.status = 'due') as due, count(*) filter (where d.status = 'dead') as dead
        from core_outbox_events e left join core_outbox_deliveries d on d.event_id = e.id
        where e.subject_kind = 'loyalty_campaigns' and e.subject_id = %(campaign_id)s::text
        group by e.id order by e.created_at desc limit 50
    """,
    empty=_("Nothing was published of it."),
)

EXECUTIONS: Final = values_of_fact(
    name="campaign-executions",
    label=_("Executions of campaigns, as Prometheus is told"),
    permission=SEE,
    fact="loyalty_campaign_executions_total",
)

STUCK: Final = Diagnostic(
    name="stuck-campaigns",
    label=_("Campaigns scheduled for more than two hours ago"),
    permission=SEE,
    columns=[
        ID,
        NAME,
        STATUS,
        Column("start_date", _("should have started"), Shown.MOMENT),
        Column("created_at", _("created"), Shown.MOMENT),
    ],
    sql="""
        select id, name, status, start_date, created_at
        from loyalty_campaigns
        where status = 'scheduled' and start_date < now() - interval '2 hours'
        order by start_date
    """,
    empty=_("None: every campaign that was due has started."),
)

STALLED: Final = Diagnostic(
    name="stalled-campaigns",
    label=_("Campaigns that run and have awarded nobody for five minutes"),
    permission=SEE,
    columns=[
        ID,
        NAME,
        Column("progress_at", _("last chunk"), Shown.MOMENT),
        Column("attempts", _("attempts"), Shown.NUMBER),
        Column("users_awarded", _("members awarded"), Shown.NUMBER),
        Column("audience_size", _("audience"), Shown.NUMBER),
    ],
    sql="""
        select id, name, progress_at, attempts, users_awarded, audience_size
        from loyalty_campaigns
        where status = 'running' and coalesce(progress_at, launched_at, start_date) < now() - interval '5 minutes'
        order by progress_at nulls first
    """,
    empty=_("None: whatever runs goes on."),
)

RUNNING: Final = Diagnostic(
    name="running-campaigns",
    label=_("Campaigns that run now"),
    permission=SEE,
    columns=[
        ID,
        NAME,
        Column("users_awarded", _("members awarded"), Shown.NUMBER),
        Column("audience_size", _("audience"), Shown.NUMBER),
        Column("progress_at", _("last chunk"), Shown.MOMENT),
    ],
    sql="""
        select id, name, users_awarded, audience_size, progress_at
        from loyalty_campaigns
        where status = 'running'
        order by progress_at desc nulls last
    """,
    empty=_("None runs."),
)

DIAGNOSTICS: Final = (
    CONFIGURATION, IMPACT, RESULT, PROGRESS, SKIPPED, SAMPLE, TRAIL, NEWS, EXECUTIONS, STUCK, STALLED, RUNNING,
)  # fmt: skip
