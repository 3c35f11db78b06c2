"""Every kind of event that the console has, in plain words; importing it registers them.

The apps above are known here by the topics of their events, by their permissions and by the names of their pages, and
by nothing else. Behind the topics of an app stands its pattern, for what it may add.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.states import ReviewCause
from opsconsole.notifications.kinds import Cause, Kind, register
from opsconsole.notifications.states import Severity

PLANS, APPROVALS, CHANGES = "plans.view_plan", "approvals.view_request", "changes.view_change"
PAYOUTS, BANKS, ACCOUNTS = "treasury.view_payout", "treasury.view_bank", "treasury.view_account"
JOURNAL, INCIDENTS, PEOPLE = "journal.view_entry", "monitoring.view_incident", "core.view_user"
BACKUPS = "backups.view_backup"
CHANNELS = "notifications.view_channel"
PROGRAMS, MEMBERS = "loyalty.view_program", "loyalty.view_balance"
LEDGER = "loyalty.view_transaction"
CAMPAIGNS = "loyalty.view_campaign"
VOUCHERS, REWARDS, RULES = "loyalty.view_voucherbatch", "loyalty.view_redemption", "loyalty.view_rule"
FRAUD, FRAUD_RULES, DISPUTES = "loyalty.view_fraudhit", "loyalty.view_fraudrule", "loyalty.view_dispute"

_PLAN, _CALENDAR = "plans_plan_change", "plans_calendar_change"
_REQUEST, _REVIEW, _CHANGE = "approvals_request_change", "approvals_review_change", "changes_change_change"
_PAYOUT, _BANK = "treasury_payout_change", "treasury_bank_change"
_CHECKPOINTS, _ENTRIES = "journal_checkpoint_changelist", "journal_entry_changelist"
_INCIDENT, _USER = "monitoring_incident_change", "core_user_change"
_BACKUP = "backups_backup_change"
_KEY = "approvals_signerkey_change"
_CHANNEL, _CHANNELS = "notifications_channel_change", "notifications_channel_changelist"
_DELIVERY = "notifications_delivery_change"
_PROGRAM, _MEMBER = "loyalty_program_change", "loyalty_balance_change"
_CAMPAIGN = "loyalty_campaign_change"
_PROGRAMS = "loyalty_program_changelist"
_BATCH, _REDEMPTION = "loyalty_voucherbatch_change", "loyalty_redemption_change"
_RULE, _FRAUD_RULE = "loyalty_rule_change", "loyalty_fraudrule_change"
_HITS = "loyalty_fraudhit_changelist"
_DISPUTE, _DISPUTES = "loyalty_dispute_change", "loyalty_dispute_changelist"
_BY_POLICY = ReviewCause.POLICY.value

register(
    Kind(
        "approval.requested",
        Severity.WARNING,
        APPROVALS,
        _("Your approval is asked for: %(title)s"),
        _REQUEST,
        "request",
        deciders=True,
    ),
    Kind(
        "approval.expiring",
        Severity.WARNING,
        APPROVALS,
        _("Still waiting for your approval, and soon over: %(title)s"),
        _REQUEST,
        "request",
        deciders=True,
    ),
    Kind("approval.approved", Severity.INFO, APPROVALS, _("Approved: %(title)s"), _REQUEST, "request"),
    Kind("approval.rejected", Severity.WARNING, APPROVALS, _("Rejected: %(title)s"), _REQUEST, "request"),
    Kind("approval.reopened", Severity.WARNING, APPROVALS, _("No longer approved: %(title)s"), _REQUEST, "request"),
    Kind("approval.consumed", Severity.INFO, APPROVALS, _("The approval was used: %(title)s"), _REQUEST, "request"),
    Kind("approval.expired", Severity.WARNING, APPROVALS, _("The request has expired: %(title)s"), _REQUEST, "request"),
    Kind("approval.voided", Severity.INFO, APPROVALS, _("The request is void: %(title)s"), _REQUEST, "request"),
    Kind("approval.suspended", Severity.INFO, APPROVALS, _("The request rests: %(title)s"), _REQUEST, "request"),
    Kind("approval.*", Severity.INFO, APPROVALS, _("Approval: %(title)s (%(topic)s)"), _REQUEST, "request"),
    Kind(
        "break_glass.review_overdue",
        Severity.CRITICAL,
        APPROVALS,
        _("The review of broken glass is overdue: %(title)s"),
        _REVIEW,
        "review",
    ),
    Kind(
        "break_glass.*", Severity.CRITICAL, APPROVALS, _("Glass was broken: %(title)s (%(topic)s)"), _REVIEW, "review"
    ),
    Kind(
        "review.opened",
        Severity.CRITICAL,
        APPROVALS,
        _("Glass was broken, and two people must review it: %(title)s"),
        _REVIEW,
        "review",
        causes=(
            Cause(_BY_POLICY, Severity.WARNING, _("Done, and to be reviewed because its policy says so: %(title)s")),
        ),
    ),
    Kind(
        "review.*",
        Severity.WARNING,
        APPROVALS,
        _("Review of broken glass: %(title)s (%(topic)s)"),
        _REVIEW,
        "review",
        causes=(Cause(_BY_POLICY, Severity.WARNING, _("Review that a policy asks for: %(title)s (%(topic)s)")),),
    ),
    Kind("plan.succeeded", Severity.INFO, PLANS, _("Plan succeeded: %(name)s"), _PLAN),
    Kind("plan.failed", Severity.CRITICAL, PLANS, _("Plan failed: %(name)s"), _PLAN),
    Kind("plan.partial", Severity.CRITICAL, PLANS, _("Plan succeeded in part only: %(name)s"), _PLAN),
    Kind("plan.rolled_back", Severity.WARNING, PLANS, _("Plan rolled back: %(name)s"), _PLAN),
    Kind("plan.rollback_partial", Severity.CRITICAL, PLANS, _("Plan rolled back in part only: %(name)s"), _PLAN),
    Kind(
        "plan.step_unknown",
        Severity.CRITICAL,
        PLANS,
        _("Nobody knows what became of a step; a person must say: %(name)s"),
        _PLAN,
    ),
    Kind("plan.break_glass", Severity.CRITICAL, PLANS, _("Glass was broken for a plan: %(name)s"), _PLAN),
    Kind("plan.*", Severity.WARNING, PLANS, _("Plan: %(name)s (%(topic)s)"), _PLAN),
    Kind("calendar.created", Severity.WARNING, PLANS, _("Freeze calendar made: %(name)s"), _CALENDAR),
    Kind("calendar.ended", Severity.WARNING, PLANS, _("Freeze calendar ended: %(name)s"), _CALENDAR),
    Kind("calendar.*", Severity.INFO, PLANS, _("Freeze calendar: %(name)s (%(topic)s)"), _CALENDAR),
    Kind("change.requested", Severity.WARNING, CHANGES, _("A change is asked for: %(title)s"), _CHANGE),
    Kind("change.applied", Severity.WARNING, CHANGES, _("Changed: %(title)s"), _CHANGE),
    Kind("change.failed", Severity.WARNING, CHANGES, _("The change could not be made: %(title)s"), _CHANGE),
    Kind(
        "change.stale",
        Severity.WARNING,
        CHANGES,
        _("The change came too late, its record is another now: %(title)s"),
        _CHANGE,
    ),
    Kind("change.*", Severity.INFO, CHANGES, _("Change: %(title)s (%(topic)s)"), _CHANGE),
    Kind("payout.returned", Severity.WARNING, PAYOUTS, _("Payout came back: %(external_id)s"), _PAYOUT),
    Kind("payout.failed", Severity.WARNING, PAYOUTS, _("Payout failed: %(external_id)s"), _PAYOUT),
    Kind("payout.*", Severity.INFO, PAYOUTS, _("Payout %(external_id)s (%(topic)s)"), _PAYOUT),
    Kind("sweep.returned", Severity.WARNING, PAYOUTS, _("Sweep came back: %(external_id)s"), _PLAN, "plan"),
    Kind("sweep.failed", Severity.WARNING, PAYOUTS, _("Sweep failed: %(external_id)s"), _PLAN, "plan"),
    Kind("sweep.*", Severity.INFO, PAYOUTS, _("Sweep %(external_id)s (%(topic)s)"), _PLAN, "plan"),
    Kind("bank.paused", Severity.CRITICAL, BANKS, _("Bank paused, it gets no payment: %(bank)s"), _BANK),
    Kind("bank.resumed", Severity.WARNING, BANKS, _("Bank resumed: %(bank)s"), _BANK),
    Kind("bank.*", Severity.WARNING, BANKS, _("Bank %(bank)s (%(topic)s)"), _BANK),
    Kind("freeze.set", Severity.CRITICAL, ACCOUNTS, _("Frozen: %(subject)s %(of)s"), _PLAN, "plan"),
    Kind(
        "freeze.lifted",
        Severity.WARNING,
        ACCOUNTS,
        _("No longer frozen by this plan: %(subject)s %(of)s"),
        _PLAN,
        "plan",
    ),
    Kind("freeze.*", Severity.WARNING, ACCOUNTS, _("Freeze: %(subject)s %(of)s (%(topic)s)"), _PLAN, "plan"),
    Kind("bank_file.break", Severity.CRITICAL, ACCOUNTS, _("A bank's file does not agree with our books: %(file)s")),
    Kind("bank_file.*", Severity.WARNING, ACCOUNTS, _("Bank file: %(file)s (%(topic)s)")),
    Kind(
        "journal.broken",
        Severity.CRITICAL,
        JOURNAL,
        _("The journal does not verify: somebody may have tampered with it"),
        _CHECKPOINTS,
        "",
    ),
    Kind("journal.*", Severity.WARNING, JOURNAL, _("Journal: %(topic)s"), _ENTRIES, ""),
    Kind("backup.verified", Severity.INFO, BACKUPS, _("Backup made and restored on trial: %(name)s"), _BACKUP),
    Kind("backup.failed", Severity.CRITICAL, BACKUPS, _("The backup failed: %(name)s: %(why)s"), _BACKUP),
    Kind("backup.*", Severity.INFO, BACKUPS, _("Backup: %(name)s (%(topic)s)"), _BACKUP),
    Kind("incident.opened", Severity.WARNING, INCIDENTS, _("Incident: %(title)s"), _INCIDENT),
    Kind("incident.grew_worse", Severity.CRITICAL, INCIDENTS, _("The incident grew worse: %(title)s"), _INCIDENT),
    Kind("incident.fires_again", Severity.WARNING, INCIDENTS, _("The alert fires again: %(title)s"), _INCIDENT),
    Kind("incident.reopened", Severity.WARNING, INCIDENTS, _("Open again: %(title)s"), _INCIDENT),
    Kind(
        "incident.acknowledged", Severity.INFO, INCIDENTS, _("Somebody has the incident in hand: %(title)s"), _INCIDENT
    ),
    Kind("incident.resolved", Severity.INFO, INCIDENTS, _("Resolved: %(title)s"), _INCIDENT),
    Kind("incident.*", Severity.INFO, INCIDENTS, _("Incident: %(title)s (%(topic)s)"), _INCIDENT),
    Kind("program.suspended", Severity.CRITICAL, PROGRAMS, _("Loyalty program suspended: %(program)s"), _PROGRAM),
    Kind("program.resumed", Severity.WARNING, PROGRAMS, _("Loyalty program active again: %(program)s"), _PROGRAM),
    Kind("program.budget_changed", Severity.WARNING, PROGRAMS, _("Another budget: %(program)s"), _PROGRAM),
    Kind("program.rate_changed", Severity.WARNING, PROGRAMS, _("Another earn rate: %(program)s"), _PROGRAM),
    Kind("program.*", Severity.INFO, PROGRAMS, _("Loyalty program %(program)s (%(topic)s)"), _PROGRAM),
    Kind(
        "tiers.evaluated",
        Severity.INFO,
        PROGRAMS,
        _("%(upgraded)s members went up and %(downgraded)s down: %(program)s"),
        _PROGRAM,
    ),
    Kind("tiers.*", Severity.INFO, PROGRAMS, _("Tiers of %(program)s (%(topic)s)"), _PROGRAM),
    Kind(
        "ledger.drifted",
        Severity.CRITICAL,
        LEDGER,
        _("%(drift)s figures of loyalty are not what the ledger adds up to, such as %(figure)s of %(of)s"),
        _PROGRAMS,
        "",
    ),
    Kind(
        "ledger.broken",
        Severity.CRITICAL,
        LEDGER,
        _("The ledger of points does not verify: somebody may have tampered with it"),
        _ENTRIES,
        "",
    ),
    Kind("ledger.*", Severity.WARNING, LEDGER, _("Ledger of points: %(topic)s"), _ENTRIES, ""),
    Kind("member.frozen", Severity.WARNING, MEMBERS, _("Member frozen: %(member)s in %(program)s"), _MEMBER),
    Kind("member.*", Severity.INFO, MEMBERS, _("Member %(member)s of %(program)s (%(topic)s)"), _MEMBER),
    Kind("points.adjusted", Severity.INFO, MEMBERS, _("Points adjusted by hand: %(amount)s in %(program)s"), _MEMBER),
    Kind(
        "points.expired",
        Severity.INFO,
        PROGRAMS,
        _("%(points)s points of %(members)s members expired: %(program)s"),
        _PROGRAM,
    ),
    Kind("points.*", Severity.INFO, MEMBERS, _("Points of a member of %(program)s (%(topic)s)"), _MEMBER),
    Kind("member.erased", Severity.WARNING, MEMBERS, _("A member of %(program)s was erased"), _MEMBER),
    Kind(
        "vouchers.issued", Severity.INFO, VOUCHERS, _("%(count)s vouchers were made: %(batch)s of %(program)s"), _BATCH
    ),
    Kind(
        "vouchers.exported",
        Severity.WARNING,
        VOUCHERS,
        _("Voucher codes were taken away: %(batch)s of %(program)s"),
        _BATCH,
    ),
    Kind(
        "vouchers.withdrawn", Severity.WARNING, VOUCHERS, _("Vouchers were withdrawn: %(batch)s of %(program)s"), _BATCH
    ),
    Kind("vouchers.*", Severity.INFO, VOUCHERS, _("Vouchers %(batch)s of %(program)s (%(topic)s)"), _BATCH),
    Kind("voucher.guessed", Severity.WARNING, VOUCHERS, _("Many wrong voucher codes: %(misses)s by %(caller)s")),
    Kind("voucher.*", Severity.INFO, VOUCHERS, _("Voucher of %(batch)s in %(program)s (%(topic)s)"), _BATCH),
    Kind("reward.*", Severity.INFO, REWARDS, _("Reward %(reward)s of %(program)s (%(topic)s)"), _REDEMPTION),
    Kind("redemption.*", Severity.INFO, REWARDS, _("Redemption of %(member)s in %(program)s (%(topic)s)"), _REDEMPTION),
    Kind("rule.*", Severity.WARNING, RULES, _("Rule of earning %(rule)s of %(program)s (%(topic)s)"), _RULE),
    Kind("fraud_rule.*", Severity.WARNING, FRAUD_RULES, _("Fraud rule %(rule)s (%(topic)s)"), _FRAUD_RULE),
    Kind(
        "fraud.found", Severity.WARNING, FRAUD, _("%(hits)s members look like fraud, by the rule %(rule)s"), _HITS, ""
    ),
    Kind(
        "fraud.confirmed",
        Severity.WARNING,
        FRAUD,
        _("Fraud confirmed, member frozen: %(member)s in %(program)s"),
        _MEMBER,
        "balance",
    ),
    Kind("fraud.overdue", Severity.WARNING, FRAUD, _("%(hits)s fraud hits wait for a verdict for too long"), _HITS, ""),
    Kind("fraud.*", Severity.INFO, FRAUD, _("Fraud: %(member)s in %(program)s (%(topic)s)"), _MEMBER, "balance"),
    Kind("dispute.overdue", Severity.WARNING, DISPUTES, _("%(disputes)s disputes wait for too long"), _DISPUTES, ""),
    Kind(
        "dispute.*",
        Severity.INFO,
        DISPUTES,
        _("Dispute %(ticket)s of %(member)s in %(program)s (%(topic)s)"),
        _DISPUTE,
    ),
    Kind(
        "budget.alerted",
        Severity.WARNING,
        PROGRAMS,
        _("%(threshold)s percent of the budget are used, %(left)s points are left: %(program)s"),
        _PROGRAM,
    ),
    Kind("budget.*", Severity.INFO, PROGRAMS, _("Budget of %(program)s (%(topic)s)"), _PROGRAM),
    Kind("campaign.scheduled", Severity.INFO, CAMPAIGNS, _("Campaign scheduled: %(campaign)s"), _CAMPAIGN),
    Kind("campaign.refused", Severity.WARNING, CAMPAIGNS, _("Campaign not launched: %(campaign)s"), _CAMPAIGN),
    Kind("campaign.launched", Severity.INFO, CAMPAIGNS, _("Campaign launched: %(campaign)s"), _CAMPAIGN),
    Kind("campaign.paused", Severity.WARNING, CAMPAIGNS, _("Campaign paused: %(campaign)s"), _CAMPAIGN),
    Kind("campaign.faulted", Severity.WARNING, CAMPAIGNS, _("Campaign broken off by a fault: %(campaign)s"), _CAMPAIGN),
    Kind(
        "campaign.retried",
        Severity.WARNING,
        CAMPAIGNS,
        _("Campaign was stuck and is tried again: %(campaign)s"),
        _CAMPAIGN,
    ),
    Kind(
        "campaign.completed",
        Severity.INFO,
        CAMPAIGNS,
        _("Campaign completed: %(campaign)s, %(users_awarded)s members awarded"),
        _CAMPAIGN,
    ),
    Kind("campaign.failed", Severity.CRITICAL, CAMPAIGNS, _("Campaign failed: %(campaign)s"), _CAMPAIGN),
    Kind("campaign.cancelled", Severity.WARNING, CAMPAIGNS, _("Campaign cancelled: %(campaign)s"), _CAMPAIGN),
    Kind(
        "campaign.undone",
        Severity.WARNING,
        CAMPAIGNS,
        _("Campaign undone: %(campaign)s, %(points_taken_back)s points taken back"),
        _CAMPAIGN,
    ),
    Kind("campaign.*", Severity.INFO, CAMPAIGNS, _("Campaign %(campaign)s (%(topic)s)"), _CAMPAIGN),
    Kind("user.created", Severity.WARNING, PEOPLE, _("New user: %(username)s"), _USER),
    Kind("user.roles_changed", Severity.WARNING, PEOPLE, _("Other roles: %(username)s"), _USER),
    Kind("user.granted", Severity.WARNING, PEOPLE, _("A right on one object was granted: %(username)s"), _USER),
    Kind("user.reactivated", Severity.WARNING, PEOPLE, _("Back again: %(username)s"), _USER),
    Kind("user.offboarded", Severity.WARNING, PEOPLE, _("Has left: %(username)s"), _USER),
    Kind("user.taken_away", Severity.WARNING, PEOPLE, _("Rights were taken away: %(username)s"), _USER),
    Kind("user.password_changed", Severity.INFO, PEOPLE, _("Password changed: %(username)s"), _USER),
    Kind("user.invited", Severity.INFO, PEOPLE, _("Invited: %(username)s"), _USER),
    Kind("user.invitation_accepted", Severity.INFO, PEOPLE, _("The invitation was accepted: %(username)s"), _USER),
    Kind("user.*", Severity.INFO, PEOPLE, _("User %(username)s (%(topic)s)"), _USER),
    Kind("second_factor.enrolled", Severity.INFO, PEOPLE, _("Second factor set up: %(username)s"), _USER),
    Kind("second_factor.recovered", Severity.WARNING, PEOPLE, _("A recovery code was used: %(username)s"), _USER),
    Kind("second_factor.reset", Severity.WARNING, PEOPLE, _("Second factor reset: %(username)s"), _USER),
    Kind("second_factor.*", Severity.INFO, PEOPLE, _("Second factor of %(username)s (%(topic)s)"), _USER),
    Kind("token.issued", Severity.WARNING, PEOPLE, _("An API token was issued: %(username)s"), _USER),
    Kind("token.*", Severity.INFO, PEOPLE, _("API token of %(username)s (%(topic)s)"), _USER),
    Kind("signer_key.registered", Severity.WARNING, PEOPLE, _("New signer key: %(name)s"), _KEY),
    Kind("signer_key.*", Severity.WARNING, PEOPLE, _("Signer key %(name)s (%(topic)s)"), _KEY),
    Kind("login.throttled", Severity.WARNING, PEOPLE, _("Too many failed logins: %(username)s from %(address)s")),
    Kind("login.*", Severity.WARNING, PEOPLE, _("Login: %(username)s from %(address)s (%(topic)s)")),
    Kind("notification.test", Severity.INFO, CHANNELS, _("A test message from OpsConsole"), _CHANNEL),
    Kind("notification.dead", Severity.WARNING, CHANNELS, _("A notification was given up: %(told)s"), _DELIVERY),
    Kind("notification.channel_added", Severity.WARNING, CHANNELS, _("New channel: %(name)s"), _CHANNEL),
    Kind("notification.channel_changed", Severity.WARNING, CHANNELS, _("Channel changed: %(name)s"), _CHANNEL),
    Kind("notification.channel_removed", Severity.WARNING, CHANNELS, _("Channel removed: %(name)s"), _CHANNELS, ""),
)
