"""The roles, as one table: who may do what everywhere in the product.

The table is the truth; `manage.py migrate` makes Django's groups follow it. Some rights have a second
lock: which role may approve or execute a plan of a certain type is said by the approval policy of that type.
"""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import Group, Permission

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
        "approvals.view_signerkey",
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
