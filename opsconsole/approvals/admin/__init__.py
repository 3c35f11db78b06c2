"""Approvals in the admin: what waits for whom, and who must agree."""

from opsconsole.approvals.admin.policies import PolicyAdmin
from opsconsole.approvals.admin.requests import RequestAdmin
from opsconsole.approvals.admin.reviews import ReviewAdmin

__all__ = ["PolicyAdmin", "RequestAdmin", "ReviewAdmin"]
