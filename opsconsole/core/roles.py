"""The roles, as one table: who may do what everywhere in the product.

The table is the truth; `synchronise` makes Django's groups follow it after every migrate. Some rights have a second
lock: which role may approve or execute a plan of a certain type is said by the approval policy of that type.
"""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import Group, Permission
from django.db import transaction

_SEE_PLANS = ("plans.view_plan", "approvals.view_request", "approvals.view_policy", "journal.view_entry")
_SEE_TREASURY = (
    "treasury.view_bank",
    "treasury.view_account",
    "treasury.view_payout",
    "treasury.view_route",
    "treasury.view_transfer",
    "treasury.view_instruction",
)
_RUN_PLANS = (
    "plans.create_plan",
    "plans.stage_plan",
    "plans.execute_plan",
    "plans.resolve_step",
    "approvals.decide_request",
    "approvals.register_signerkey",
)

ROLES: Final[dict[str, tuple[str, ...]]] = {
    "pay_admin": (
        *_SEE_PLANS,
        *_SEE_TREASURY,
        *_RUN_PLANS,
        "treasury.import_payouts",
        "treasury.hold_payout",
        "treasury.change_route",
    ),
    "finance_ops": (
        *_SEE_PLANS,
        *_SEE_TREASURY,
        *_RUN_PLANS,
        "treasury.import_payouts",
        "treasury.hold_payout",
    ),
    "ops": (*_SEE_PLANS, *_SEE_TREASURY, *_RUN_PLANS),
    "auditor": (
        *_SEE_PLANS,
        *_SEE_TREASURY,
        "journal.verify_journal",
        "journal.export_journal",
        "core.view_user",
        "core.view_workerheartbeat",
        "core.view_outboxevent",
    ),
    "ops_marketing": (),
    "dev": (),
    "trader": (),
    "risk_manager": (),
    "admin": (
        "core.view_user",
        "core.issue_token",
        "core.view_workerheartbeat",
        "core.view_outboxevent",
        "approvals.view_policy",
        "journal.view_entry",
    ),
}


def synchronise() -> list[str]:
    """Make the groups and their permissions equal the table; returns the permissions the table names in vain."""
    unknown: list[str] = []
    with transaction.atomic():
        every = {
            f"{permission.content_type.app_label}.{permission.codename}": permission
            for permission in Permission.objects.select_related("content_type")
        }
        for role, wanted in ROLES.items():
            group, _ = Group.objects.get_or_create(name=role)
            unknown += [name for name in wanted if name not in every]
            group.permissions.set([every[name] for name in wanted if name in every])
    return unknown
