"""Incidents and the daily checklist in the admin."""

from opsconsole.monitoring.admin.checks import CheckAdmin
from opsconsole.monitoring.admin.incidents import IncidentAdmin

__all__ = ["CheckAdmin", "IncidentAdmin"]
