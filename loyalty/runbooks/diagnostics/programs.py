"""Programs: their state, their budget, and how fast it goes."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from loyalty.runbooks.parameters import DAYS, PROGRAM
from loyalty.states import ProgramState
from opsconsole.runbooks.diagnostics import Column, Diagnostic, Shown
from opsconsole.runbooks.parameters import Parameter, ParameterKind

SEE: Final = "loyalty.view_program"
ID: Final = Column("id", _("program"), of="loyalty.Program")
NAME: Final = Column("name", _("name"))
NO_PROGRAM: Final = _("There is no such program.")
PERCENT: Final = Parameter("percent", _("spent at least, in %"), ParameterKind.INT, default="90", least=1, most=100)

STATUS: Final = Diagnostic(
    name="program-status",
    label=_("The state of the program"),
    permission=SEE,
    parameters=[PROGRAM],
    columns=[
        ID,
        NAME,
        Column("status", _("state"), Shown.STATE, dict(ProgramState.choices)),
        Column("updated_at", _("changed"), Shown.MOMENT),
    ],
    sql="select id, name, status, updated_at from loyalty_programs where id = %(program_id)s",
    empty=NO_PROGRAM,
)

BUDGET: Final = Diagnostic(
    name="program-budget",
    label=_("The budget of the program"),
    permission=SEE,
    parameters=[PROGRAM],
    columns=[
        Column("budget_spent", _("spent"), Shown.FIGURE),
        Column("budget_limit", _("budget"), Shown.FIGURE),
        Column("pct_used", _("spent, in %"), Shown.AMOUNT),
    ],
    sql="""
        select budget_spent, budget_limit, (budget_spent / budget_limit * 100) as pct_used
        from loyalty_programs
        where id = %(program_id)s
    """,
    empty=NO_PROGRAM,
)

NEARLY_SPENT: Final = Diagnostic(
    name="budgets-nearly-spent",
    label=_("Programs whose budget is nearly spent"),
    permission=SEE,
    parameters=[PERCENT],
    columns=[
        ID,
        NAME,
        Column("budget_limit", _("budget"), Shown.FIGURE),
        Column("budget_spent", _("spent"), Shown.FIGURE),
        Column("pct_used", _("spent, in %"), Shown.AMOUNT),
        Column("remaining", _("not spent"), Shown.FIGURE),
    ],
    sql="""
        select id, name, budget_limit, budget_spent, round((budget_spent / budget_limit * 100)::numeric, 2) as pct_used,
               budget_limit - budget_spent as remaining
        from loyalty_programs
        where budget_spent / budget_limit >= %(percent)s / 100.0
        order by pct_used desc, name
    """,
    empty=_("No program has spent so much."),
)

# Which line of the decision matrix a program is in; what is reserved for campaigns is as good as spent.
DECISIONS: Final = {
    "act": pgettext_lazy("a budget", "act at once"),
    "prepare": pgettext_lazy("a budget", "tell the merchant, prepare an increase"),
    "watch": pgettext_lazy("a budget", "watch it closely"),
}
DECISION: Final = Diagnostic(
    name="budget-decision",
    label=_("What the decision table says of this program now"),
    permission=SEE,
    parameters=[PROGRAM],
    columns=[
        NAME,
        Column("remaining_pct", _("left, in %"), Shown.AMOUNT),
        Column("reserved_pct", _("of it reserved for campaigns, in %"), Shown.AMOUNT),
        Column("decision", _("what to do"), Shown.STATE, DECISIONS),
    ],
    sql="""
        select name, round((budget_limit - budget_spent) / budget_limit * 100, 2) as remaining_pct,
               round(budget_reserved / budget_limit * 100, 2) as reserved_pct,
               case when (budget_limit - budget_spent - budget_reserved) / budget_limit < 0.05 then 'act'
                    when (budget_limit - budget_spent - budget_reserved) / budget_limit <= 0.10 then 'prepare'
                    else 'watch' end as decision
        from loyalty_programs
        where id = %(program_id)s
    """,
    empty=NO_PROGRAM,
)

RATE: Final = Diagnostic(
    name="spending-rate",
    label=_("Points earned, day by day"),
    permission="loyalty.view_transaction",
    parameters=[PROGRAM, DAYS],
    columns=[
        Column("date", _("day"), Shown.DAY),
        Column("txn_count", _("transactions"), Shown.NUMBER),
        Column("points_awarded", _("points"), Shown.NUMBER),
    ],
    sql="""
        select date(lt.created_at) as date, count(*) as txn_count, sum(lt.amount) as points_awarded
        from loyalty_transactions lt join loyalty_balances lb on lt.balance_id = lb.id
        where lb.program_id = %(program_id)s and lt.event_type = 'earn'
          and lt.created_at >= now() - %(days)s * interval '1 day'
        group by date(lt.created_at)
        order by date desc
    """,
    empty=_("Nothing was earned in these days."),
)

DIAGNOSTICS: Final = (STATUS, BUDGET, NEARLY_SPENT, DECISION, RATE)
