"""The tables of loyalty; names and columns are those that the runbooks' SQL uses."""

from loyalty.models.budgets import BudgetAlert
from loyalty.models.campaigns import AudienceMember, Campaign, Chunk, Skip
from loyalty.models.disputes import Dispute
from loyalty.models.expiry import Liability
from loyalty.models.fraud import FraudHit, FraudRule, SiraFeedback
from loyalty.models.members import Balance, Redemption, TierSnapshot, Transaction, UsedKey
from loyalty.models.programs import Program, Reward, Rule, Tier
from loyalty.models.trail import ApprovalRequest, AuditLog
from loyalty.models.vouchers import Voucher, VoucherBatch, VoucherMiss
from loyalty.models.workers import WorkerExecution

__all__ = [
    "ApprovalRequest",
    "AudienceMember",
    "AuditLog",
    "Balance",
    "BudgetAlert",
    "Campaign",
    "Chunk",
    "Dispute",
    "FraudHit",
    "FraudRule",
    "Liability",
    "Program",
    "Redemption",
    "Reward",
    "Rule",
    "SiraFeedback",
    "Skip",
    "Tier",
    "TierSnapshot",
    "Transaction",
    "UsedKey",
    "Voucher",
    "VoucherBatch",
    "VoucherMiss",
    "WorkerExecution",
]
