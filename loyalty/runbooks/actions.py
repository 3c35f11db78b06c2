"""Where the runbooks of loyalty lead: the buttons of the console that do what has to be done."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from django.utils.translation import gettext_lazy as _

from loyalty.models import Balance
from loyalty.runbooks.parameters import CAMPAIGN, HAPPENED, MEMBER, PROGRAM, PURCHASE
from opsconsole.runbooks.actions import ActionLink
from opsconsole.runbooks.backups import BACKUP, BACKUPS
from opsconsole.runbooks.diagnostics import Values


def _balance(values: Values) -> object | None:
    """The balance of a member in a program."""
    found = Balance.objects.filter(user_id=values["user_id"], program_id=values["program_id"])
    return found.values_list("pk", flat=True).first()


# --- a campaign ---

PREVIEW: Final = ActionLink(
    name="preview-campaign",
    label=_("Preview the campaign"),
    address="loyalty_campaign_preview",
    parameters=[CAMPAIGN],
    row=CAMPAIGN.name,
)
TEST: Final = ActionLink(
    name="campaign-test-run",
    label=_("Award one or two members as a test"),
    address="loyalty_campaign_test",
    parameters=[CAMPAIGN],
    row=CAMPAIGN.name,
)
SCHEDULE: Final = ActionLink(
    name="schedule-campaign",
    label=_("Schedule the campaign"),
    address="loyalty_campaign_schedule",
    parameters=[CAMPAIGN],
    row=CAMPAIGN.name,
    note=_("It asks for approval of exactly what the preview says."),
)
EXECUTE: Final = ActionLink(
    name="execute-campaign",
    label=_("Execute the campaign now"),
    address="loyalty_campaign_execute",
    parameters=[CAMPAIGN],
    row=CAMPAIGN.name,
)
PAUSE: Final = ActionLink(
    name="pause-campaign",
    label=_("Pause the campaign"),
    address="loyalty_campaign_pause",
    parameters=[CAMPAIGN],
    row=CAMPAIGN.name,
)

FAIL: Final = ActionLink(
    name="fail-campaign",
    label=_("Mark the campaign as failed"),
    address="loyalty_campaign_fail",
    parameters=[CAMPAIGN],
    row=CAMPAIGN.name,
    note=_("For good: it cannot be executed again."),
)

# --- one member ---

FREEZE: Final = ActionLink(
    name="freeze-member",
    label=_("Freeze the member"),
    address="loyalty_balance_freeze",
    parameters=[MEMBER, PROGRAM],
    row=_balance,
    note=_("Its form locks all points and adds a flag as well, where that is wished."),
)
LOCK: Final = ActionLink(
    name="lock-points",
    label=_("Lock the member's points"),
    address="loyalty_balance_lock",
    parameters=[MEMBER, PROGRAM],
    row=_balance,
)
FLAG: Final = ActionLink(
    name="flag-member",
    label=_("Flag the member"),
    address="loyalty_balance_flag",
    parameters=[MEMBER, PROGRAM],
    row=_balance,
)
ADJUST: Final = ActionLink(
    name="adjust-points",
    label=_("Adjust the member's points"),
    address="loyalty_balance_adjust",
    parameters=[MEMBER, PROGRAM],
    row=_balance,
    note=_("Above 10,000 points in 24 hours it asks for approval first."),
)

DISPUTE: Final = ActionLink(
    name="open-dispute",
    label=_("Open a dispute"),
    address="loyalty_dispute_new",
    # Its form asks for what nobody has typed yet.
    parameters=[replace(one, required=False) for one in (PROGRAM, MEMBER, PURCHASE, HAPPENED)],
    given={
        "program": PROGRAM.name,
        "user_id": MEMBER.name,
        "origin_txn_id": PURCHASE.name,
        "happened_at": HAPPENED.name,
    },
    note=_("Its page looks the purchase up by its id and by keys, and ends in points or a refusal."),
)

# --- fraud ---

QUEUE: Final = ActionLink(
    name="fraud-queue",
    label=_("The review queue of fraud"),
    address="loyalty_fraudhit_changelist",
    note=_("Whom a rule has hit, the worst first; a verdict is given there, by risk_manager."),
)

# --- a whole program ---

SUSPEND: Final = ActionLink(
    name="suspend-program",
    label=_("Suspend the program"),
    address="loyalty_program_suspend",
    parameters=[PROGRAM],
    row=PROGRAM.name,
    note=_("It asks for approval first: finance_ops and ops_marketing."),
)
BUDGET: Final = ActionLink(
    name="change-budget",
    label=_("Change the budget"),
    address="loyalty_program_budget",
    parameters=[PROGRAM],
    row=PROGRAM.name,
    note=_("An increase asks for approval first: finance_ops and ops_marketing."),
)
RATE: Final = ActionLink(
    name="change-earn-rate",
    label=_("Change the earn rate"),
    address="loyalty_program_earn-rate",
    parameters=[PROGRAM],
    row=PROGRAM.name,
    note=_("It asks for approval first: finance_ops and ops_marketing."),
)

EVALUATE: Final = ActionLink(
    name="evaluate-tiers",
    label=_("Evaluate the tiers"),
    address="loyalty_tier_evaluate",
    parameters=[PROGRAM],
    given={"program": PROGRAM.name},
    note=_("A worker does it. Doing it twice does no harm."),
)

# --- what the kernel has ---

APPROVALS: Final = ActionLink(
    name="open-approvals",
    label=_("Requests that wait for approval"),
    address="approvals_request_changelist",
    note=_("A request is agreed to or rejected on its own page, by whoever may."),
)

INCIDENT: Final = ActionLink(
    name="open-incident",
    label=_("Open an incident"),
    address="monitoring_incident_open",
)

ACTIONS: Final = (
    PREVIEW, TEST, SCHEDULE, EXECUTE, PAUSE, FAIL, FREEZE, LOCK, FLAG, ADJUST, DISPUTE, QUEUE, SUSPEND, BUDGET, RATE,
    EVALUATE, APPROVALS, INCIDENT, BACKUP, BACKUPS,
)  # fmt: skip
