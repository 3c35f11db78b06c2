"""Approvals in the admin: what waits for whom, who must agree, and the keys people sign with."""

from opsconsole.approvals.admin.keys import SignerKeyAdmin
from opsconsole.approvals.admin.policies import PolicyAdmin
from opsconsole.approvals.admin.requests import RequestAdmin
from opsconsole.approvals.admin.reviews import ReviewAdmin

__all__ = ["PolicyAdmin", "RequestAdmin", "ReviewAdmin", "SignerKeyAdmin"]
