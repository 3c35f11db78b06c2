"""Plans in the admin: drafted, staged, approved, executed, watched and rolled back from their own pages."""

from opsconsole.plans.admin.calendars import CalendarAdmin
from opsconsole.plans.admin.plans import PlanAdmin
from opsconsole.plans.admin.runs import RunAdmin
from opsconsole.plans.admin.steps import StepAdmin

__all__ = ["CalendarAdmin", "PlanAdmin", "RunAdmin", "StepAdmin"]
