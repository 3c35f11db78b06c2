"""Changes in the admin: what waits, what became of it, and the buttons by which other pages ask for one."""

from opsconsole.approvals.admin.policies import offer
from opsconsole.changes.admin.changes import ChangeAdmin
from opsconsole.changes.admin.requesting import RequestChange

offer(RequestChange("policy", icon="edit", subject=lambda policy: policy.action, when=lambda policy: policy.active))

__all__ = ["ChangeAdmin"]
