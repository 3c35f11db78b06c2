"""The runbooks of loyalty: the texts beside this file, and what is live in them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from django.utils.translation import gettext_lazy as _

from loyalty.runbooks.actions import ACTIONS
from loyalty.runbooks.checks import CHECKS
from loyalty.runbooks.diagnostics import DIAGNOSTICS
from opsconsole.runbooks.domains import Contact, Domain

CONTACTS: Final = (
    Contact("on_call_engineer", _("On-call engineer"), then=_("tech lead")),
    Contact("tech_lead", _("Tech lead"), then=_("VP Engineering")),
    Contact("finance_ops_manager", _("Finance ops manager"), then=_("CFO")),
    Contact("security_team", _("Security team"), then=_("CISO"), reach="security@molam.com"),
)

DOMAIN: Final = Domain(
    name="loyalty",
    title=_("Loyalty"),
    folder=Path(__file__).parent,
    diagnostics=DIAGNOSTICS,
    actions=ACTIONS,
    checks=CHECKS,
    contacts=CONTACTS,
)
