"""The names of loyalty's facts in what the journal and approvals show."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from opsconsole.core.admin.display import register_words

register_words(
    {
        "budget_limit": _("budget"),
        "cap_points": _("at most, in points"),
        "codes": _("codes"),
        "downgraded": _("down"),
        "earn_rate": _("earn rate"),
        "in_grace": _("in grace"),
        "made": _("codes made"),
        "member": _("member"),
        "members": _("members"),
        "multiplier": _("multiplier"),
        "per_member": _("at most for one member"),
        "period_days": _("in so many days"),
        "points": _("points"),
        "program": _("program"),
        "rank": _("rank"),
        "rule": _("rule"),
        "stock": _("in stock"),
        "threshold": _("from, in points"),
        "tier": _("tier"),
        "upgraded": _("up"),
        "valid_from": _("valid from"),
        "window_months": _("earned within, in months"),
        "withdrawn_at": _("withdrawn"),
    }
)
