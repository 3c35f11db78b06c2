"""The admin of the floor: who says they are alive, and what was told to whom; and the bases of every other admin."""

from opsconsole.core.admin.floor import HeartbeatAdmin, OutboxEventAdmin

__all__ = ["HeartbeatAdmin", "OutboxEventAdmin"]
