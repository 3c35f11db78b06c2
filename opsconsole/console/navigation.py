"""The menu: what the viewer may see, in groups."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from opsconsole.core.admin.base import actor_of
from opsconsole.core.texts import Text

# Entries are models by their labels; a page that shows none of them has a dotless name, its address in PAGES.
PAGES: Final[dict[str, tuple[str, str]]] = {
    "runbooks": ("admin:runbooks_shelf", "runbooks.view_runbook"),
    "liability": ("admin:loyalty_program_liability", "loyalty.view_program"),
}

MENU: Final[list[tuple[Text, list[tuple[str, Text, str]]]]] = [
    (
        _("Plans"),
        [
            ("plans.Plan", _("Plans"), "assignment"),
            ("plans.Run", _("Runs"), "directions_run"),
            ("plans.Step", _("Steps"), "footprint"),
            ("plans.Calendar", _("Freeze calendars"), "event_busy"),
        ],
    ),
    (
        _("Approvals"),
        [
            ("approvals.Request", _("Requests"), "how_to_vote"),
            ("changes.Change", _("Changes"), "rule_settings"),
            ("approvals.Review", _("Reviews"), "rate_review"),
            ("approvals.Policy", _("Policies"), "policy"),
            ("approvals.SignerKey", _("Signer keys"), "key"),
        ],
    ),
    (
        _("Treasury"),
        [
            ("treasury.Bank", _("Banks"), "account_balance"),
            ("treasury.Account", _("Accounts"), "account_balance_wallet"),
            ("treasury.Payout", _("Payouts"), "payments"),
            ("treasury.Instruction", _("Instructions"), "send_money"),
            ("treasury.Sweep", _("Sweeps"), "move_down"),
            ("treasury.BankFile", _("Bank files"), "description"),
            ("treasury.Break", _("Breaks"), "rule"),
            ("treasury.Route", _("Routes"), "alt_route"),
            ("treasury.Freeze", _("Freezes"), "ac_unit"),
            ("treasury.Transfer", _("Transfers"), "swap_horiz"),
        ],
    ),
    (
        _("Loyalty"),
        [
            ("loyalty.Program", _("Programs"), "loyalty"),
            ("loyalty.BudgetAlert", _("Budget alerts"), "notification_important"),
            ("liability", _("Points that expire"), "event_upcoming"),
            ("loyalty.Campaign", _("Campaigns"), "redeem"),
            ("loyalty.Balance", _("Members"), "badge"),
            ("loyalty.Transaction", _("Points"), "toll"),
            ("loyalty.Rule", _("Earning rules"), "function"),
            ("loyalty.Tier", _("Tiers"), "military_tech"),
            ("loyalty.TierSnapshot", _("Changes of tier"), "swap_vert"),
            ("loyalty.VoucherBatch", _("Voucher batches"), "confirmation_number"),
            ("loyalty.Voucher", _("Vouchers"), "qr_code_2"),
            ("loyalty.Reward", _("Rewards"), "card_giftcard"),
            ("loyalty.Redemption", _("Redemptions"), "shopping_bag"),
            ("loyalty.FraudHit", _("Fraud queue"), "policy_alert"),
            ("loyalty.FraudRule", _("Fraud rules"), "troubleshoot"),
            ("loyalty.SiraFeedback", _("Fraud verdicts"), "gavel"),
            ("loyalty.Dispute", _("Disputes"), "contact_support"),
        ],
    ),
    (
        _("Journal"),
        [
            ("journal.Entry", _("Entries"), "history"),
            ("journal.Checkpoint", _("Checkpoints"), "verified"),
        ],
    ),
    (
        _("Watch"),
        [
            ("monitoring.Incident", _("Incidents"), "emergency"),
            ("monitoring.Check", _("Daily checklist"), "checklist"),
            ("runbooks", _("Runbooks"), "menu_book"),
        ],
    ),
    (
        _("People"),
        [
            ("core.User", _("Users"), "group"),
            ("identity.SecondFactor", _("Second factors"), "phonelink_lock"),
        ],
    ),
    (
        _("Notifications"),
        [
            ("notifications.Subscription", _("My notifications"), "notifications"),
            ("notifications.Channel", _("Channels"), "campaign"),
            ("notifications.Delivery", _("Deliveries"), "outgoing_mail"),
        ],
    ),
    (
        _("System"),
        [
            ("core.WorkerHeartbeat", _("Workers"), "monitor_heart"),
            ("core.OutboxEvent", _("Outbox"), "outbox"),
            ("backups.Backup", _("Backups"), "backup"),
        ],
    ),
]


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """unfold's menu; groups of which the viewer may see nothing are left out."""
    groups: list[dict[str, Any]] = [
        {"items": [{"title": _("Home"), "icon": "home", "link": reverse("admin:index"), "active": _at_home}]}
    ]
    for title, entries in MENU:
        items = [
            {"title": name, "icon": icon, "link": _list_url(label)}
            for label, name, icon in entries
            if _visible(request, label)
        ]
        if items:
            groups.append({"title": title, "items": items})
    links = [item["link"] for group in groups for item in group["items"]]
    for group in groups[1:]:
        for item in group["items"]:
            item["active"] = partial(_stands_at, item["link"], links)
    return groups


def _stands_at(link: str, links: Sequence[str], request: HttpRequest) -> bool:
    """Whether the viewer is below this entry; of two, one of which lies below the other, below the nearer one."""
    return link == max((one for one in links if request.path.startswith(one)), key=len, default="")


def _at_home(request: HttpRequest) -> bool:
    return request.path == reverse("admin:index")


def _visible(request: HttpRequest, label: str) -> bool:
    if label in PAGES:
        return request.user.is_authenticated and actor_of(request).may(PAGES[label][1])
    return admin.site._registry[apps.get_model(label)].has_view_permission(request)


def _list_url(label: str) -> str:
    if label in PAGES:
        return reverse(PAGES[label][0])
    app, _dot, model = label.lower().partition(".")
    return reverse(f"admin:{app}_{model}_changelist")


def account_links(_request: HttpRequest) -> list[dict[str, Any]]:
    """What stands under the viewer's name."""
    return [
        {"title": _("My password and tokens"), "link": reverse("admin:knox_authtoken_changelist")},
        {"title": _("Second factor"), "link": reverse("admin:second_factor")},
        {"title": _("API documentation"), "link": reverse("docs")},
    ]
