"""Members: who they are, what was done to them, what they earned, and what is said of one purchase of theirs."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from loyalty.runbooks.parameters import DAYS, HAPPENED, MEMBER, PROGRAM, PURCHASE
from loyalty.states import EventType
from opsconsole.approvals.states import RequestState
from opsconsole.runbooks.diagnostics import Column, Diagnostic, Shown

SEE: Final = "loyalty.view_balance"
SEE_LEDGER: Final = "loyalty.view_transaction"
EVENT: Final = Column("event_type", _("what"), Shown.STATE, dict(EventType.choices))

STANDING: Final = Diagnostic(
    name="member",
    label=_("The member, in each program"),
    permission=SEE,
    parameters=[MEMBER],
    columns=[
        Column("id", _("balance"), of="loyalty.Balance"),
        Column("program", _("program")),
        Column("points_balance", _("points"), Shown.NUMBER),
        Column("locked", _("of them locked"), Shown.NUMBER),
        Column("is_frozen", _("frozen"), Shown.FLAG),
        Column("fraud_flags", _("flags"), Shown.JSON),
        Column("updated_at", _("changed"), Shown.MOMENT),
    ],
    sql="""
        select b.id, p.name as program, b.points_balance, b.locked, b.is_frozen, b.fraud_flags, b.updated_at
        from loyalty_balances b join loyalty_programs p on p.id = b.program_id
        where b.user_id = %(user_id)s
        order by p.name
    """,
    empty=_("Nobody is called that in any program."),
)

TRAIL: Final = Diagnostic(
    name="member-trail",
    label=_("What was done to the member, the last 20 entries"),
    permission=SEE,
    parameters=[MEMBER],
    columns=[
        Column("id", _("entry"), of="journal.Entry"),
        Column("entity_type", _("about")),
        Column("entity_id", _("balance"), of="loyalty.Balance"),
        Column("user_id", _("member")),
        Column("actor", _("by")),
        Column("action", _("what"), Shown.CODE),
        Column("created_at", _("at"), Shown.MOMENT),
    ],
    sql="""
        select id, entity_type, entity_id, user_id, actor, action, created_at
        from loyalty_audit_logs
        where entity_type = 'balance'
          and entity_id in (select id from loyalty_balances where user_id = %(user_id)s)
        order by created_at desc
        limit 20
    """,
    empty=_("Nothing was done to this member."),
)

PATTERN: Final = Diagnostic(
    name="transaction-pattern",
    label=_("The member's transactions by day and kind"),
    permission=SEE_LEDGER,
    parameters=[MEMBER, DAYS],
    columns=[
        Column("date", _("day"), Shown.DAY),
        EVENT,
        Column("txn_count", _("transactions"), Shown.NUMBER),
        Column("total_points", _("points"), Shown.NUMBER),
    ],
    sql="""
        select date(created_at) as date, event_type, count(*) as txn_count, sum(amount) as total_points
        from loyalty_transactions
        where balance_id in (select id from loyalty_balances where user_id = %(user_id)s)
          and created_at >= now() - %(days)s * interval '1 day'
        group by date(created_at), event_type
        order by date desc, event_type
    """,
    empty=_("The member has no transaction in these days."),
)

# Every column of the ledger, as the runbook asks for it.
LEDGER: Final = (
    Column("id", _("transaction"), of="loyalty.Transaction"),
    Column("balance_id", _("balance"), of="loyalty.Balance"),
    EVENT,
    Column("amount", _("points"), Shown.NUMBER),
    Column("origin_txn_id", _("purchase"), Shown.CODE),
    Column("idempotency_key", _("key"), Shown.CODE),
    Column("purchase", _("spent on it"), Shown.AMOUNT),
    Column("ip_address", _("address")),
    Column("campaign_id", _("campaign"), of="loyalty.Campaign"),
    Column("reverses_id", _("takes back"), of="loyalty.Transaction"),
    Column("reason", _("reason")),
    Column("created_at", _("at"), Shown.MOMENT),
)
_LEDGER: Final = ", ".join(column.name for column in LEDGER)

BY_PURCHASE: Final = Diagnostic(
    name="transaction-by-origin",
    label=_("The transaction of this purchase"),
    permission=SEE_LEDGER,
    parameters=[PURCHASE, MEMBER],
    columns=LEDGER,
    sql=f"""
        select {_LEDGER}
        from loyalty_transactions
        where origin_txn_id = %(origin_txn_id)s
          and balance_id in (select id from loyalty_balances where user_id = %(user_id)s)
        order by created_at
    """,
    empty=_("Not found: this purchase gave this member no points."),
)

BY_KEY: Final = Diagnostic(
    name="transaction-by-key",
    label=_("Transactions whose idempotency key has the purchase in it"),
    permission=SEE_LEDGER,
    parameters=[PURCHASE],
    columns=LEDGER,
    # position() where the runbook has LIKE: a % or _ in what was typed stands for itself.
    sql=f"""
        select {_LEDGER}
        from loyalty_transactions
        where position(%(origin_txn_id)s in idempotency_key) > 0
        order by created_at
    """,
    empty=_("No key has it: nobody has ever asked for these points."),
)

AROUND: Final = Diagnostic(
    name="audit-trail",
    label=_("Everything that was booked in the hour before and after"),
    permission=SEE_LEDGER,
    parameters=[HAPPENED],
    columns=[
        Column("id", _("entry"), Shown.CODE),
        Column("entity_type", _("about")),
        Column("entity_id", _("transaction"), of="loyalty.Transaction"),
        Column("user_id", _("member")),
        Column("actor", _("by")),
        Column("action", _("what"), Shown.STATE, dict(EventType.choices)),
        Column("created_at", _("at"), Shown.MOMENT),
    ],
    # The literal has its type: without one, an interval cannot be taken from it.
    sql="""
        select id, entity_type, entity_id, user_id, actor, action, created_at
        from loyalty_audit_logs
        where entity_type = 'transaction'
          and created_at >= %(happened_at)s::timestamptz - interval '1 hour'
          and created_at <= %(happened_at)s::timestamptz + interval '1 hour'
        order by created_at desc
    """,
    empty=_("Nothing was booked in these two hours."),
)

ADJUSTED: Final = Diagnostic(
    name="recent-adjustments",
    label=_("What was adjusted by hand in the last 24 hours"),
    permission=SEE_LEDGER,
    parameters=[MEMBER, PROGRAM],
    columns=[
        Column("created_at", _("at"), Shown.MOMENT),
        Column("amount", _("points"), Shown.NUMBER),
        Column("reason", _("reason")),
        Column("added_up", _("so far, up or down"), Shown.NUMBER),
    ],
    sql="""
        select t.created_at, t.amount, t.reason, sum(abs(t.amount)) over (order by t.created_at, t.id) as added_up
        from loyalty_transactions t join loyalty_balances b on b.id = t.balance_id
        where b.user_id = %(user_id)s and b.program_id = %(program_id)s and t.event_type = 'adjust'
          and t.created_at >= now() - interval '24 hours'
        order by t.created_at desc, t.id desc
    """,
    empty=_("Nothing: the whole 10,000 points are free."),
)

REQUESTS: Final = Diagnostic(
    name="approval-requests",
    label=_("What waits for approval in loyalty"),
    permission="loyalty.view_balance",
    columns=[
        Column("id", _("request"), of="approvals.Request"),
        Column("title", _("what")),
        Column("status", _("state"), Shown.STATE, dict(RequestState.choices)),
        Column("required_roles", _("roles"), Shown.JSON),
        Column("created_at", _("asked"), Shown.MOMENT),
        Column("expires_at", _("until"), Shown.MOMENT),
    ],
    sql="""
        select id, title, status, required_roles, created_at, expires_at
        from loyalty_approval_requests
        where status in ('pending', 'approved')
        order by created_at desc
    """,
    empty=_("Nothing waits."),
)

DIAGNOSTICS: Final = (STANDING, TRAIL, PATTERN, BY_PURCHASE, BY_KEY, AROUND, ADJUSTED, REQUESTS)
