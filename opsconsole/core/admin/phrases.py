"""Kinds of subjects of the journal, and sentences among the values of JSON members, for people.

A table whose model has a name in the catalogue needs none here.
"""

from __future__ import annotations

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

KINDS: Final[dict[str, str | Promise]] = {
    "approvals_decisions": _("decision"),
    "approvals_review_answers": _("answer of a review"),
    "auth_group": _("role"),
    "auth_group_permissions": _("right of a role"),
    "core_user": _("user"),
    "core_user_groups": _("role of a user"),
    "core_user_user_permissions": _("right of a user"),
    "guardian_groupobjectpermission": _("right of a role on one object"),
    "guardian_userobjectpermission": _("right of a user on one object"),
    "identity_login_attempts": _("login"),
    "identity_recovery_codes": _("recovery code"),
    "notifications_lanes": _("circuit of a receiver"),
    "notifications_notices": _("notice"),
    "notifications_reminders": _("reminder"),
    "notifications_totals": _("count of deliveries"),
    "ops_break_glass": _("broken glass"),
    "payout_import": _("payout import"),
    "treasury_alterations": _("alteration by a step"),
}

VALUES: Final[dict[str, str | Promise]] = {
    "any_currency_sum": _("any currency sum"),
    "disagrees": _("disagrees"),
    "does not answer": _("does not answer"),
    "executed_by": _("executed by"),
    "follow the new route": _("follow the new route"),
    "in a plan that is staged": _("in a plan that is staged"),
    "in a plan that stopped": _("in a plan that stopped"),
    "in a run that is going": _("in a run that is going"),
    "keep the way that was approved if their run is retried": _(
        "keep the way that was approved if their run is retried"
    ),
    "keep the way that was approved, unless the bank is paused": _(
        "keep the way that was approved, unless the bank is paused"
    ),
    "on its way": _("on its way"),
    "stay on their way": _("stay on their way"),
    "their plans drift: staged afresh by the new route when executed, with new approvals": _(
        "their plans drift: staged afresh by the new route when executed, with new approvals"
    ),
    "waiting for a plan": _("waiting for a plan"),
}
