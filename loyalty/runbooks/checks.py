"""The items of loyalty's checklists that figures answer."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from loyalty.runbooks.parameters import CAMPAIGN, MEMBER, PROGRAM
from loyalty.states import CampaignState
from opsconsole.runbooks.backups import BACKUP_THERE
from opsconsole.runbooks.checks import Check
from opsconsole.runbooks.database import INSPECT

SEE: Final = "loyalty.view_campaign"

# What the runbooks expect after an upgrade; two of them are views, which information_schema lists as well.
TABLES: Final = (
    "programs", "balances", "transactions", "tiers", "rewards", "redemptions", "campaigns", "rules",
    "vouchers", "tier_snapshots", "audit_logs", "approval_requests", "sira_feedback",
)  # fmt: skip
_TABLES: Final = ", ".join(f"'loyalty_{name}'" for name in TABLES)

# --- before a launch ---

SEGMENT: Final = Check(
    name="segment-previewed",
    label=_("The segment was previewed and finds members"),
    permission=SEE,
    parameters=[CAMPAIGN],
    sql="""
        select estimated_users > 0 as in_order, coalesce(estimated_users, 0) as estimated_users
        from loyalty_campaigns where id = %(campaign_id)s
    """,
    told=_("the last preview found {estimated_users} members"),
)

WITHIN_BUDGET: Final = Check(
    name="within-budget",
    label=_("The estimated cost is below what is left of the budget"),
    permission=SEE,
    parameters=[CAMPAIGN],
    # What this very campaign has reserved already is there for it; what its test runs have given is spent already.
    sql="""
        select c.estimated_points - c.total_points_awarded
                 <= p.budget_limit - p.budget_spent - p.budget_reserved + c.points_reserved as in_order,
               greatest(coalesce(c.estimated_points, 0) - c.total_points_awarded, 0) as estimated_points,
               p.budget_limit - p.budget_spent - p.budget_reserved + c.points_reserved as budget_left
        from loyalty_campaigns c join loyalty_programs p on p.id = c.program_id
        where c.id = %(campaign_id)s
    """,
    told=_("{estimated_points} points of {budget_left} that are left"),
)

DATES: Final = Check(
    name="dates-ahead",
    label=_("The campaign starts in the future, and ends after that"),
    permission=SEE,
    parameters=[CAMPAIGN],
    sql="""
        select start_date > now() and (end_date is null or end_date > start_date) as in_order, start_date, end_date
        from loyalty_campaigns where id = %(campaign_id)s
    """,
    told=_("from {start_date} to {end_date}, UTC"),
)

DESCRIBED: Final = Check(
    name="campaign-described",
    label=_("The campaign has a description"),
    permission=SEE,
    parameters=[CAMPAIGN],
    sql="""
        select btrim(description) <> '' as in_order, name, length(description) as letters
        from loyalty_campaigns where id = %(campaign_id)s
    """,
    told=_("“{name}”, described in {letters} letters; whether it is clear, you judge"),
)

PROGRAM_OPEN: Final = Check(
    name="program-open",
    label=_("The program is active and has budget left"),
    permission=SEE,
    parameters=[CAMPAIGN],
    sql="""
        select p.status = 'active' and p.budget_limit > p.budget_spent + p.budget_reserved as in_order, p.name,
               p.budget_limit - p.budget_spent - p.budget_reserved as budget_left
        from loyalty_campaigns c join loyalty_programs p on p.id = c.program_id
        where c.id = %(campaign_id)s
    """,
    told=_("{name} has {budget_left} points left"),
)

APPROVED: Final = Check(
    name="launch-approved",
    label=_("The launch is approved"),
    permission=SEE,
    parameters=[CAMPAIGN],
    sql="""
        select case when count(r.id) > 0 then bool_or(r.status in ('approved', 'consumed')) end as in_order,
               count(r.id) as requests, count(r.id) filter (where r.status in ('approved', 'consumed')) as approved
        from loyalty_campaigns c left join loyalty_approval_requests r
          on r.entity_type = 'loyalty_campaigns' and r.entity_id = c.id::text and r.action = 'loyalty.launch'
        where c.id = %(campaign_id)s
        group by c.id
    """,
    told=_("{approved} of {requests} requests approved"),
)

TESTED: Final = Check(
    name="test-run",
    label=_("The test run has awarded somebody"),
    permission="loyalty.view_transaction",
    parameters=[CAMPAIGN],
    sql="""
        select count(t.id) > 0 as in_order, count(t.id) as awarded, coalesce(sum(t.amount), 0) as points
        from loyalty_campaigns c left join loyalty_transactions t
          on t.campaign_id = c.id and t.event_type = 'bonus' and t.created_at < coalesce(c.launched_at, 'infinity')
        where c.id = %(campaign_id)s
        group by c.id
    """,
    told=_("{awarded} members awarded before the launch, {points} points in all"),
)

TEST_RIGHT: Final = Check(
    name="test-points-right",
    label=_("The test run gave each member what the campaign promises"),
    permission="loyalty.view_transaction",
    parameters=[CAMPAIGN],
    sql="""
        select case when count(t.id) > 0 and c.campaign_type = 'bonus_points'
                    then bool_and(t.amount = c.bonus_points) end as in_order,
               c.bonus_points, coalesce(min(t.amount), 0) as least, coalesce(max(t.amount), 0) as most
        from loyalty_campaigns c left join loyalty_transactions t
          on t.campaign_id = c.id and t.event_type = 'bonus' and t.created_at < coalesce(c.launched_at, 'infinity')
        where c.id = %(campaign_id)s
        group by c.id
    """,
    told=_("{least} to {most} points each; the campaign says {bonus_points}"),
)

PUBLISHED: Final = Check(
    name="webhooks-published",
    label=_("What happened to the campaign was published"),
    permission=SEE,
    parameters=[CAMPAIGN],
    sql="""
        select case when count(e.id) > 0 then count(d.id) filter (where d.status <> 'delivered') = 0 end as in_order,
               count(distinct e.id) as events, count(d.id) filter (where d.status <> 'delivered') as waiting
        from loyalty_campaigns c
        left join core_outbox_events e on e.subject_kind = 'loyalty_campaigns' and e.subject_id = c.id::text
        left join core_outbox_deliveries d on d.event_id = e.id
        where c.id = %(campaign_id)s
        group by c.id
    """,
    told=_("{events} events, {waiting} deliveries not done"),
)

RECORDED: Final = Check(
    name="audit-recorded",
    label=_("The audit trail has it"),
    permission=SEE,
    parameters=[CAMPAIGN],
    sql="""
        select count(l.id) > 0 as in_order, count(l.id) as entries
        from loyalty_campaigns c left join loyalty_audit_logs l
          on l.entity_type = 'campaign' and l.entity_id = c.id
        where c.id = %(campaign_id)s
        group by c.id
    """,
    told=_("{entries} entries"),
)

# --- after a launch ---

COMPLETED: Final = Check(
    name="campaign-completed",
    label=_("The campaign is completed"),
    permission=SEE,
    parameters=[CAMPAIGN],
    sql="""
        select status = 'completed' as in_order, status from loyalty_campaigns where id = %(campaign_id)s
    """,
    told=_("it is {status}"),
    words=dict(CampaignState.choices),
)

AWARDED: Final = Check(
    name="members-awarded",
    label=_("Members were awarded"),
    permission=SEE,
    parameters=[CAMPAIGN],
    sql="""
        select users_awarded > 0 as in_order, users_awarded, coalesce(audience_size, 0) as audience_size
        from loyalty_campaigns where id = %(campaign_id)s
    """,
    told=_("{users_awarded} of an audience of {audience_size}"),
)

AS_ESTIMATED: Final = Check(
    name="points-as-estimated",
    label=_("The points awarded are within 10 % of the estimate"),
    permission=SEE,
    parameters=[CAMPAIGN],
    sql="""
        select abs(total_points_awarded - estimated_points) <= 0.10 * estimated_points as in_order,
               total_points_awarded, coalesce(estimated_points, 0) as estimated_points,
               round(100.0 * (total_points_awarded - estimated_points) / nullif(estimated_points, 0), 1) as off
        from loyalty_campaigns where id = %(campaign_id)s
    """,
    told=_("{total_points_awarded} awarded, {estimated_points} estimated: off by {off} %"),
)

EXECUTED: Final = Check(
    name="executed-at",
    label=_("The time of the execution is recorded"),
    permission=SEE,
    parameters=[CAMPAIGN],
    sql="""
        select executed_at is not null as in_order, executed_at from loyalty_campaigns where id = %(campaign_id)s
    """,
    told=_("done at {executed_at}, UTC"),
)

# --- stopping ---

FROZEN: Final = Check(
    name="member-frozen",
    label=_("The member is frozen"),
    permission="loyalty.view_balance",
    parameters=[MEMBER, PROGRAM],
    sql="""
        select is_frozen as in_order, jsonb_array_length(fraud_flags) as flags, updated_at
        from loyalty_balances where user_id = %(user_id)s and program_id = %(program_id)s
    """,
    told=_("{flags} flags, last changed at {updated_at}, UTC"),
)

LOCKED: Final = Check(
    name="points-locked",
    label=_("All points of the member are locked"),
    permission="loyalty.view_balance",
    parameters=[MEMBER, PROGRAM],
    sql="""
        select locked = points_balance as in_order, locked, points_balance
        from loyalty_balances where user_id = %(user_id)s and program_id = %(program_id)s
    """,
    told=_("{locked} of {points_balance} locked"),
)

SUSPENDED: Final = Check(
    name="program-suspended",
    label=_("The program is suspended"),
    permission="loyalty.view_program",
    parameters=[PROGRAM],
    sql="""
        select status = 'suspended' as in_order, name, updated_at from loyalty_programs where id = %(program_id)s
    """,
    told=_("{name}, last changed at {updated_at}, UTC"),
)

ADJUSTABLE: Final = Check(
    name="adjustable-alone",
    label=_("Adjustments of the last 24 hours stay within 10,000 points"),
    permission="loyalty.view_transaction",
    parameters=[MEMBER, PROGRAM],
    sql="""
        select coalesce(sum(abs(t.amount)), 0) <= 10000 as in_order, coalesce(sum(abs(t.amount)), 0) as adjusted,
               greatest(10000 - coalesce(sum(abs(t.amount)), 0), 0) as free
        from loyalty_balances b left join loyalty_transactions t
          on t.balance_id = b.id and t.event_type = 'adjust' and t.created_at >= now() - interval '24 hours'
        where b.user_id = %(user_id)s and b.program_id = %(program_id)s
        group by b.id
    """,
    told=_("{adjusted} points adjusted, {free} more need nobody else"),
)

# --- the database ---

ALL_TABLES: Final = Check(
    name="tables-there",
    label=_("Every table of loyalty is there"),
    permission=INSPECT,
    sql=f"""
        select count(t.table_name) = count(*) as in_order, count(t.table_name) as found, count(*) as expected,
               coalesce(string_agg(e.name, ', ') filter (where t.table_name is null), '–') as missing
        from unnest(array[{_TABLES}]) as e(name)
        left join information_schema.tables t on t.table_schema = 'public' and t.table_name = e.name
    """,
    told=_("{found} of {expected}; missing: {missing}"),
)

BUDGET_RULE: Final = Check(
    name="budget-rule",
    label=_("The database itself refuses to overspend a budget"),
    permission=INSPECT,
    # The ledger's trigger on every insert, switched on, and the constraint behind it.
    sql="""
        select (select count(*) from pg_trigger where tgrelid = 'loyalty_transactions'::regclass
                  and not tgisinternal and tgenabled = 'O' and tgtype & 4 = 4) > 0
               and (select convalidated from pg_constraint where conname = 'program_within_budget') as in_order,
               (select count(*) from pg_trigger where tgrelid = 'loyalty_transactions'::regclass
                  and not tgisinternal and tgenabled = 'O' and tgtype & 4 = 4) as triggers
    """,
    told=_("{triggers} triggers watch every insert into the ledger"),
)

WORKERS: Final = Check(
    name="workers-alive",
    label=_("A worker and the scheduler are alive"),
    permission=INSPECT,
    sql="""
        select count(distinct kind) filter (where beat_at > now() - interval '30 seconds'
                 and kind in ('worker', 'scheduler')) = 2 as in_order,
               count(*) filter (where beat_at > now() - interval '30 seconds') as alive, count(*) as known
        from core_worker_heartbeats
    """,
    told=_("{alive} of {known} processes were heard in the last 30 seconds"),
)

NONE_STUCK: Final = Check(
    name="no-campaign-stuck",
    label=_("No campaign is stuck"),
    permission=SEE,
    sql="""
        select count(*) = 0 as in_order, count(*) as stuck
        from loyalty_campaigns
        where (status = 'scheduled' and start_date < now() - interval '2 hours')
           or (status = 'running' and coalesce(progress_at, launched_at, start_date) < now() - interval '5 minutes')
    """,
    told=_("{stuck} are"),
)

CHECKS: Final = (
    SEGMENT, WITHIN_BUDGET, DATES, DESCRIBED, PROGRAM_OPEN, APPROVED, TESTED, TEST_RIGHT, PUBLISHED, RECORDED,
    COMPLETED, AWARDED, AS_ESTIMATED, EXECUTED, FROZEN, LOCKED, SUSPENDED, ADJUSTABLE, ALL_TABLES, BUDGET_RULE,
    WORKERS, NONE_STUCK, BACKUP_THERE,
)  # fmt: skip
