"""What ended for somebody, in words: how many of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import ngettext_lazy

COUNTS: Final[dict[str, Promise | str]] = {
    "roles": ngettext_lazy("%(count)s role", "%(count)s roles", "count"),
    "rights": ngettext_lazy("%(count)s single right", "%(count)s single rights", "count"),
    "grants": ngettext_lazy("%(count)s grant", "%(count)s grants", "count"),
    "tokens": ngettext_lazy("%(count)s token", "%(count)s tokens", "count"),
    "sessions": ngettext_lazy("%(count)s login", "%(count)s logins", "count"),
    "signer_keys": ngettext_lazy("%(count)s signer key", "%(count)s signer keys", "count"),
    "second_factors": ngettext_lazy("%(count)s second factor", "%(count)s second factors", "count"),
    "approvals": ngettext_lazy("%(count)s approval", "%(count)s approvals", "count"),
    "requests": ngettext_lazy("%(count)s request", "%(count)s requests", "count"),
}


def counted(ended: Mapping[str, int]) -> str:
    """What there was any of, with its number; empty where there was nothing."""
    return ", ".join(str(COUNTS[name] % {"count": count}) for name, count in ended.items() if count)
