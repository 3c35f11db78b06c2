"""Loyalty in the admin."""

from loyalty.admin import words  # noqa: F401 - importing it registers the names of facts
from loyalty.admin.budget_alerts import BudgetAlertAdmin
from loyalty.admin.campaigns import CampaignAdmin
from loyalty.admin.disputes import DisputeAdmin
from loyalty.admin.fraud_hits import FraudHitAdmin
from loyalty.admin.fraud_rules import FraudRuleAdmin
from loyalty.admin.members import BalanceAdmin
from loyalty.admin.programs import ProgramAdmin
from loyalty.admin.rewards import RedemptionAdmin, RewardAdmin
from loyalty.admin.rules import RuleAdmin
from loyalty.admin.tiers import TierAdmin, TierSnapshotAdmin
from loyalty.admin.transactions import TransactionAdmin
from loyalty.admin.verdicts import VerdictAdmin
from loyalty.admin.vouchers import VoucherAdmin, VoucherBatchAdmin

__all__ = [
    "BalanceAdmin",
    "BudgetAlertAdmin",
    "CampaignAdmin",
    "DisputeAdmin",
    "FraudHitAdmin",
    "FraudRuleAdmin",
    "ProgramAdmin",
    "RedemptionAdmin",
    "RewardAdmin",
    "RuleAdmin",
    "TierAdmin",
    "TierSnapshotAdmin",
    "TransactionAdmin",
    "VerdictAdmin",
    "VoucherAdmin",
    "VoucherBatchAdmin",
]
