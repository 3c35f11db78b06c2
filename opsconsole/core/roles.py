"""The roles, as one table: who may do what everywhere in the product.

The table is the truth; `manage.py migrate` makes Django's groups follow it. Some rights have a second
lock: which role may approve or execute a plan of a certain type is said by the approval policy of that type.
"""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import Group, Permission

_SEE_PLANS = (
    "plans.view_plan",
    "plans.view_calendar",
    "approvals.view_request",
    "approvals.view_policy",
    "approvals.view_review",
    "journal.view_entry",
)
_SEE_TREASURY = (
    "treasury.view_bank",
    "treasury.view_account",
    "treasury.view_payout",
    "treasury.view_route",
    "treasury.view_transfer",
    "treasury.view_instruction",
    "treasury.view_freeze",
    "treasury.view_sweep",
    "treasury.view_bankfile",
    "treasury.view_break",
)
_SEE_LOYALTY = (
    "loyalty.view_program",
    "loyalty.view_tier",
    "loyalty.view_rule",
    "loyalty.view_reward",
    "loyalty.view_balance",
    "loyalty.view_transaction",
    "loyalty.view_tiersnapshot",
    "loyalty.view_redemption",
    "loyalty.view_campaign",
    "loyalty.view_voucherbatch",
    "loyalty.view_fraudrule",
    "loyalty.view_fraudhit",
    "loyalty.view_sirafeedback",
    "loyalty.view_dispute",
    "loyalty.view_budgetalert",
)
# Stopping something in loyalty takes one person; letting it go on again, another role.
_STOP_LOYALTY = ("loyalty.freeze_member", "loyalty.suspend_program")
_APPROVE = ("approvals.decide_request", "approvals.register_signerkey", "notifications.subscribe")
_SEE_INCIDENTS = ("monitoring.view_incident", "monitoring.view_alert", "monitoring.view_check")
_HANDLE_INCIDENTS = (*_SEE_INCIDENTS, "monitoring.handle_incident", "monitoring.tick_check")
_RUN_PLANS = (
    "plans.create_plan",
    "plans.stage_plan",
    "plans.execute_plan",
    "plans.resolve_step",
    "approvals.decide_request",
    "approvals.answer_review",
    "approvals.register_signerkey",
    "notifications.subscribe",
)
# In the worst hour: execute without the quorum, end what hangs.
_EMERGENCY = ("plans.break_glass", "plans.force_fail_run")
_SEE_DELIVERIES = ("notifications.view_channel", "notifications.view_delivery")

# Whoever is woken at night reads what is to be done; looking at the sessions of the database is for those who run it.
_READ_RUNBOOKS = ("runbooks.view_runbook",)
_INSPECT = (*_READ_RUNBOOKS, "runbooks.view_database")

# A dump holds everything there is: it stays on the server, and who may have it made does not get to read it.
_SEE_BACKUPS = ("backups.view_backup",)
_MAKE_BACKUPS = (*_SEE_BACKUPS, "backups.make_backup")

# Giving rights takes an admin and a pay_admin who agree; taking them away, one of them.
_MANAGE_PEOPLE = (
    "changes.request_people_change",
    "changes.request_policy_change",
    "changes.take_away",
    "core.view_user",
)

ROLES: Final[dict[str, tuple[str, ...]]] = {
    "pay_admin": (
        *_READ_RUNBOOKS,
        *_SEE_PLANS,
        *_SEE_TREASURY,
        *_HANDLE_INCIDENTS,
        *_RUN_PLANS,
        *_EMERGENCY,
        *_MANAGE_PEOPLE,
        "changes.view_change",
        "changes.request_treasury_change",
        "plans.manage_calendar",
        "plans.export_evidence",
        "treasury.import_payouts",
        "treasury.import_bank_files",
        "treasury.resolve_break",
        "treasury.hold_payout",
        "treasury.change_route",
    ),
    "finance_ops": (
        *_READ_RUNBOOKS,
        *_SEE_PLANS,
        "changes.view_change",
        "changes.request_treasury_change",
        *_SEE_TREASURY,
        *_HANDLE_INCIDENTS,
        *_RUN_PLANS,
        "plans.export_evidence",
        "treasury.import_payouts",
        "treasury.import_bank_files",
        "treasury.resolve_break",
        "treasury.hold_payout",
        *_SEE_LOYALTY,
        *_STOP_LOYALTY,
        "loyalty.verify_ledger",
        "loyalty.unfreeze_member",
        "loyalty.change_program",
        "loyalty.launch_campaign",
        "loyalty.reverse_points",
        "loyalty.undo_campaign",
    ),
    "ops": (
        *_INSPECT,
        *_MAKE_BACKUPS,
        *_SEE_PLANS,
        *_SEE_LOYALTY,
        *_STOP_LOYALTY,
        "changes.view_change",
        *_SEE_TREASURY,
        *_HANDLE_INCIDENTS,
        *_RUN_PLANS,
        *_EMERGENCY,
        *_SEE_DELIVERIES,
        "notifications.retry_delivery",
    ),
    "auditor": (
        *_INSPECT,
        *_SEE_BACKUPS,
        *_SEE_PLANS,
        *_SEE_LOYALTY,
        "loyalty.verify_ledger",
        "loyalty.export_member",
        "changes.view_change",
        *_SEE_TREASURY,
        "plans.export_evidence",
        *_SEE_INCIDENTS,
        *_SEE_DELIVERIES,
        "notifications.view_subscription",
        "journal.verify_journal",
        "journal.export_journal",
        "approvals.view_signerkey",
        "core.view_user",
        "identity.view_secondfactor",
        "core.view_workerheartbeat",
        "core.view_outboxevent",
    ),
    "ops_marketing": (
        *_READ_RUNBOOKS,
        *_SEE_LOYALTY,
        *_STOP_LOYALTY,
        *_APPROVE,
        "loyalty.create_program",
        "loyalty.change_program",
        "loyalty.earn_points",
        "loyalty.redeem_points",
        "loyalty.adjust_points",
        "loyalty.reverse_points",
        "loyalty.import_purchases",
        "loyalty.draft_campaign",
        "loyalty.launch_campaign",
        "loyalty.undo_campaign",
        "loyalty.issue_vouchers",
        "loyalty.export_vouchers",
        "loyalty.evaluate_tiers",
    ),
    "dev": (*_INSPECT, *_SEE_BACKUPS),
    "trader": _READ_RUNBOOKS,
    "risk_manager": (
        *_READ_RUNBOOKS,
        *_SEE_LOYALTY,
        *_STOP_LOYALTY,
        *_APPROVE,
        "loyalty.unfreeze_member",
        "loyalty.reverse_points",
        "loyalty.decide_fraud",
        "loyalty.manage_fraud_rules",
        "loyalty.export_member",
    ),
    "admin": (
        *_INSPECT,
        *_MAKE_BACKUPS,
        # The runbooks start the workers of loyalty by hand with an admin's token.
        *_SEE_LOYALTY,
        "loyalty.launch_campaign",
        "loyalty.evaluate_tiers",
        "loyalty.export_member",
        "loyalty.erase_member",
        *_HANDLE_INCIDENTS,
        *_SEE_DELIVERIES,
        "notifications.view_subscription",
        "notifications.manage_channels",
        "notifications.retry_delivery",
        "notifications.subscribe",
        *_MANAGE_PEOPLE,
        "changes.view_change",
        "approvals.view_request",
        "approvals.decide_request",
        "approvals.register_signerkey",
        "identity.view_secondfactor",
        "identity.reset_secondfactor",
        "approvals.view_signerkey",
        "core.view_workerheartbeat",
        "core.view_outboxevent",
        "approvals.view_policy",
        "journal.view_entry",
    ),
}


def synchronise() -> dict[str, dict[str, list[str]]]:
    """Make the groups and their permissions equal the table; returns what changed, by role.

    Raises LookupError for a permission that the table names and no model has.
    """
    every = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.select_related("content_type")
    }
    unknown = sorted({name for wanted in ROLES.values() for name in wanted} - every.keys())
    if unknown:
        raise LookupError(f"the roles name permissions that do not exist: {', '.join(unknown)}")
    names = {permission.pk: name for name, permission in every.items()}
    changed: dict[str, dict[str, list[str]]] = {}
    for role, wanted in ROLES.items():
        group, made = Group.objects.get_or_create(name=role)
        held = {names[pk] for pk in group.permissions.values_list("pk", flat=True)}
        if made or held != set(wanted):
            group.permissions.set([every[name] for name in wanted])
            changed[role] = {"gained": sorted(set(wanted) - held), "lost": sorted(held - set(wanted))}
    return changed
