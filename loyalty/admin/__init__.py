"""Loyalty in the admin."""

from loyalty.admin.campaigns import CampaignAdmin
from loyalty.admin.members import BalanceAdmin
from loyalty.admin.programs import ProgramAdmin
from loyalty.admin.transactions import TransactionAdmin

__all__ = ["BalanceAdmin", "CampaignAdmin", "ProgramAdmin", "TransactionAdmin"]
