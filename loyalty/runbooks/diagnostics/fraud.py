"""Fraud: who earns too often, which addresses too many share, who is flagged."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from loyalty.runbooks.parameters import HOURS
from opsconsole.runbooks.diagnostics import Column, Diagnostic, Shown
from opsconsole.runbooks.parameters import Parameter, ParameterKind

SEE: Final = "loyalty.view_fraudhit"
EARNS: Final = Parameter("earns", _("more transactions than"), ParameterKind.INT, default="50", most=1_000_000)
POINTS: Final = Parameter("points", _("or more points than"), ParameterKind.INT, default="10000")
SHARING: Final = Parameter("sharing", _("shared by more members than"), ParameterKind.INT, default="5", most=1_000_000)

EARNERS: Final = Diagnostic(
    name="high-frequency-earners",
    label=_("Members who earn too often or too much"),
    permission=SEE,
    parameters=[HOURS, EARNS, POINTS],
    columns=[
        Column("user_id", _("member"), Shown.CODE),
        Column("txn_count", _("transactions"), Shown.NUMBER),
        Column("total_points", _("points"), Shown.NUMBER),
        Column("ip_addresses", _("addresses")),
    ],
    sql="""
        select lb.user_id, count(*) as txn_count, sum(lt.amount) as total_points,
               array_agg(distinct lt.ip_address) filter (where lt.ip_address is not null) as ip_addresses
        from loyalty_transactions lt join loyalty_balances lb on lt.balance_id = lb.id
        where lt.created_at >= now() - %(hours)s * interval '1 hour' and lt.event_type = 'earn'
        group by lb.user_id
        having count(*) > %(earns)s or sum(lt.amount) > %(points)s
        order by total_points desc
    """,
    empty=_("Nobody: everybody is within these limits."),
)

ADDRESSES: Final = Diagnostic(
    name="shared-addresses",
    label=_("Addresses that many members share"),
    permission=SEE,
    parameters=[HOURS, SHARING],
    columns=[
        Column("ip_address", _("address"), Shown.CODE),
        Column("user_count", _("members"), Shown.NUMBER),
        Column("total_points", _("points"), Shown.NUMBER),
    ],
    sql="""
        select lt.ip_address, count(distinct lal.user_id) as user_count, sum(lt.amount) as total_points
        from loyalty_audit_logs lal join loyalty_transactions lt on lal.entity_id = lt.id
        where lal.entity_type = 'transaction' and lal.created_at >= now() - %(hours)s * interval '1 hour'
          and lt.ip_address is not null
        group by lt.ip_address
        having count(distinct lal.user_id) > %(sharing)s
        order by user_count desc
    """,
    empty=_("None is shared by so many."),
)

SPIKES: Final = Diagnostic(
    name="earning-spikes",
    label=_("Members who earned far more than they used to"),
    permission=SEE,
    parameters=[
        HOURS,
        Parameter(
            "times", _("times their daily mean of 28 days"), ParameterKind.INT, default="10", least=2, most=10_000
        ),
    ],
    columns=[
        Column("user_id", _("member"), Shown.CODE),
        Column("earned", _("points"), Shown.NUMBER),
        Column("daily_mean", _("daily mean"), Shown.AMOUNT),
    ],
    # Only those who have earned now are looked up in the four weeks before.
    sql="""
        with now_earned as (
            select balance_id, sum(amount) as earned from loyalty_transactions
            where event_type = 'earn' and created_at >= now() - %(hours)s * interval '1 hour'
            group by balance_id
        )
        select b.user_id, n.earned, round(h.earned / 28.0, 2) as daily_mean
        from now_earned n
        join loyalty_balances b on b.id = n.balance_id
        cross join lateral (
            select coalesce(sum(t.amount), 0) as earned from loyalty_transactions t
            where t.balance_id = n.balance_id and t.event_type = 'earn'
              and t.created_at >= now() - %(hours)s * interval '1 hour' - interval '28 days'
              and t.created_at < now() - %(hours)s * interval '1 hour'
        ) h
        where h.earned > 0 and n.earned > %(times)s * h.earned / 28.0
        order by n.earned desc
    """,
    empty=_("Nobody."),
)

REDEEMERS: Final = Diagnostic(
    name="frequent-redemptions",
    label=_("Members who redeem often"),
    permission=SEE,
    parameters=[
        HOURS,
        Parameter("redeems", _("more redemptions than"), ParameterKind.INT, default="10", most=1_000_000),
    ],
    columns=[
        Column("user_id", _("member"), Shown.CODE),
        Column("txn_count", _("redemptions"), Shown.NUMBER),
        Column("total_points", _("points"), Shown.NUMBER),
    ],
    sql="""
        select lb.user_id, count(*) as txn_count, -sum(lt.amount) as total_points
        from loyalty_transactions lt join loyalty_balances lb on lt.balance_id = lb.id
        where lt.created_at >= now() - %(hours)s * interval '1 hour' and lt.event_type = 'redeem'
        group by lb.user_id
        having count(*) > %(redeems)s
        order by txn_count desc
    """,
    empty=_("Nobody."),
)

FLAGGED: Final = Diagnostic(
    name="flagged-members",
    label=_("Members who are flagged or frozen"),
    permission="loyalty.view_balance",
    columns=[
        Column("id", _("balance"), of="loyalty.Balance"),
        Column("user_id", _("member"), Shown.CODE),
        Column("program", _("program")),
        Column("points_balance", _("points"), Shown.NUMBER),
        Column("locked", _("of them locked"), Shown.NUMBER),
        Column("is_frozen", _("frozen"), Shown.FLAG),
        Column("fraud_flags", _("flags"), Shown.JSON),
        Column("updated_at", _("changed"), Shown.MOMENT),
    ],
    # A branch for each of the two partial indexes.
    sql="""
        select b.id, b.user_id, p.name as program, b.points_balance, b.locked, b.is_frozen, b.fraud_flags, b.updated_at
        from (
            select * from loyalty_balances where is_frozen
            union
            select * from loyalty_balances where fraud_flags <> '[]'
        ) b
        join loyalty_programs p on p.id = b.program_id
        order by b.updated_at desc
    """,
    empty=_("Nobody is."),
)

DIAGNOSTICS: Final = (EARNERS, ADDRESSES, SPIKES, REDEEMERS, FLAGGED)
