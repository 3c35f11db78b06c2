"""Where pages of treasury lead on to: the form of a plan, filled in for what the page shows, and what may be linked."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Button
from opsconsole.core.admin.base import actor_of
from opsconsole.core.texts import Text
from opsconsole.plans.admin.drafting import DraftPlan
from opsconsole.plans.models import Plan
from opsconsole.treasury.models import Instruction

ID_SHOWN: Final = 16
GROUP: Final = _("Draft a plan")


def may_see(request: HttpRequest, model: type[Model]) -> bool:
    """Whether the viewer may see rows of this model."""
    return admin.site._registry[model].has_view_permission(request)


def payment_link(instruction: Instruction) -> SafeString | str:
    """A payment by the beginning and the end of its EndToEndId, which in full would push all else off the page."""
    return display.row_link(instruction, shortened(instruction.end_to_end_id))


def shortened(end_to_end_id: str) -> SafeString:
    """Its beginning and its end; all of it where the pointer rests."""
    known = end_to_end_id
    shown = known if len(known) <= ID_SHOWN else f"{known[:8]}…{known[-4:]}"
    return format_html('<span class="ops-whole" title="{}">{}</span>', known, shown)


def draft_button(
    request: HttpRequest, plan_type: str, label: Text, note: Text, **filled: str | UUID | None
) -> list[Button]:
    """A button to the form of a new plan that is filled in like this, for whoever may write plans down."""
    action = DraftPlan(plan_type)
    if not may_see(request, Plan) or not action.allowed(actor_of(request), None):
        return []
    action.label, action.group = label, GROUP
    known = {"name": str(label), **{name: str(value) for name, value in filled.items() if value is not None}}
    form = reverse(f"{admin.site.name}:plans_plan_{action.name}")
    return [Button(action, f"{form}?{urlencode(known)}", note=note)]
