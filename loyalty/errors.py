"""What can go wrong in loyalty.

Invalid 400 ──── PointsInvalid, SegmentInvalid, CampaignInvalid
Denied 403 ───── ActorMismatch
NotFound 404 ─── ProgramNotFound, MemberNotFound, TransactionNotFound, CampaignNotFound
Conflict 409 ─── MemberFrozen, ProgramSuspended, ProgramNameTaken, NothingToDo,
                 CampaignHalted, CampaignNotDue, CampaignOver
RuleBroken 422 ─ BudgetExhausted, CapReached, PointsShort, KeyTaken, ReversalRefused, PointsRefused,
                 CostGrew, NobodyToAward, LaunchForged, AwardsMissing, NotTestable

of vouchers and rewards:
NotFound 404 ─── BatchNotFound, VoucherNotFound, RewardNotFound, RedemptionNotFound, RuleNotFound
Conflict 409 ─── BatchNameTaken, BatchNotReady, RewardNameTaken, RuleNameTaken, VoucherUsed
RuleBroken 422 ─ VoucherRefused, VoucherLimit, RewardUnavailable, RewardLimit
Unavailable 503  TooManyCodes

of fraud, disputes and budgets:
Invalid 400 ──── FraudRuleInvalid
NotFound 404 ─── FraudRuleNotFound, HitNotFound, DisputeNotFound, AlertNotFound
Conflict 409 ─── FraudRuleTaken, NotBacktested, DisputeOpen, ErasureRefused

of imports, tiers and the books:
Invalid 400 ──── TierInvalid, TimeRefused
NotFound 404 ─── TierNotFound
RuleBroken 422 ─ ImportRefused
Unavailable 503  LedgerBusy
"""

from __future__ import annotations

from opsconsole.core.errors import Conflict, Denied, Invalid, NotFound, RuleBroken, Unavailable


class PointsInvalid(Invalid):
    """What is asked for is no amount of points, or no time that points can be given for."""

    code = "points_invalid"


class SegmentInvalid(Invalid):
    """The segment is not one; `errors` says where and why."""

    code = "segment_invalid"


class ActorMismatch(Denied):
    """The actor that the body names is not the one that the token is of."""

    code = "actor_mismatch"


class CampaignInvalid(Invalid):
    """The campaign is not one that could be run; `errors` says why."""

    code = "campaign_invalid"


class ProgramNotFound(NotFound):
    """No such program, or none this actor may see."""

    code = "program_not_found"


class MemberNotFound(NotFound):
    """No such member, or none this actor may see."""

    code = "member_not_found"


class TransactionNotFound(NotFound):
    """No such transaction, or none this actor may see."""

    code = "transaction_not_found"


class CampaignNotFound(NotFound):
    """No such campaign, or none this actor may see."""

    code = "campaign_not_found"


class MemberFrozen(Conflict):
    """The member is frozen: nothing is earned or redeemed."""

    code = "balance_is_frozen"


class ProgramSuspended(Conflict):
    """The program is suspended: nothing is earned or redeemed in it."""

    code = "program_is_suspended"


class ProgramNameTaken(Conflict):
    """Another program has this name."""

    code = "program_name_taken"


class NothingToDo(Conflict):
    """Everything is as it is asked for already."""

    code = "as_it_is_already"


class CampaignHalted(Conflict):
    """The campaign awards nothing now: it was paused, or has ended."""

    code = "campaign_is_not_running"


class CampaignNotDue(Conflict):
    """The campaign's start lies ahead."""

    code = "campaign_not_due"


class CampaignOver(Conflict):
    """The campaign's end date has passed: nothing more is awarded."""

    code = "campaign_is_over"


class BudgetExhausted(RuleBroken):
    """The program's budget does not allow these points."""

    code = "program_budget_exhausted"


class CapReached(RuleBroken):
    """A rule caps what a member earns, and leaves fewer points than these."""

    code = "rule_caps_earns"


class PointsShort(RuleBroken):
    """The member has fewer points than this takes, or too many of them are locked."""

    code = "points_cover_locked"


class KeyTaken(RuleBroken):
    """The program used this idempotency key for something else."""

    code = "idempotency_key_reused"


class ReversalRefused(RuleBroken):
    """This cannot be taken back, or not so much of it."""

    code = "reversal_refused"


class PointsRefused(RuleBroken):
    """The ledger refuses this; the constraint is named."""

    code = "points_refused"


class CostGrew(RuleBroken):
    """The audience costs more now than was approved, by more than is allowed."""

    code = "campaign_cost_grew"


class NobodyToAward(RuleBroken):
    """Nobody is in the campaign's audience, or nobody of it would get anything."""

    code = "campaign_awards_nobody"


class LaunchForged(RuleBroken):
    """The campaign is said to run, and was never launched."""

    code = "campaign_was_not_launched"


class AwardsMissing(RuleBroken):
    """A chunk's row was changed by hand: the ledger does not have the awards that it tells of."""

    code = "campaign_awards_missing"


class NotTestable(RuleBroken):
    """This member cannot be awarded in a test run, or not so much."""

    code = "campaign_test_refused"


class BatchNotFound(NotFound):
    """No such batch of vouchers, or none this actor may see."""

    code = "voucher_batch_not_found"


class VoucherNotFound(NotFound):
    """No such voucher, or none this actor may see."""

    code = "voucher_not_found"


class RewardNotFound(NotFound):
    """No such reward, or none this actor may see."""

    code = "reward_not_found"


class RedemptionNotFound(NotFound):
    """No such redemption, or none this actor may see."""

    code = "redemption_not_found"


class RuleNotFound(NotFound):
    """No such rule of earning, or none this actor may see."""

    code = "rule_not_found"


class BatchNameTaken(Conflict):
    """Another batch of vouchers of the program has this name."""

    code = "voucher_batch_name_taken"


class BatchNotReady(Conflict):
    """Not all codes of the batch are made yet."""

    code = "voucher_batch_not_ready"


class RewardNameTaken(Conflict):
    """Another reward of the program has this name."""

    code = "reward_name_taken"


class RuleNameTaken(Conflict):
    """Another rule of the program has this name."""

    code = "rule_name_taken"


class VoucherUsed(Conflict):
    """This member has redeemed this voucher already; `transaction` is what they got."""

    code = "voucher_used"


class VoucherRefused(RuleBroken):
    """The code is not one that can be redeemed; why is not told, lest somebody guesses codes."""

    code = "voucher_refused"


class VoucherLimit(RuleBroken):
    """The member has redeemed as many vouchers of the batch as one member may."""

    code = "voucher_limit_reached"


class RewardUnavailable(RuleBroken):
    """The reward is not given any more, or none are left, or it costs something else now."""

    code = "reward_unavailable"


class RewardLimit(RuleBroken):
    """The member has had as many of the reward as one member may."""

    code = "reward_limit_reached"


class TooManyCodes(Unavailable):
    """Too many wrong codes; `retry_after` says in seconds when the next one is looked at."""

    code = "too_many_codes"


class FraudRuleInvalid(Invalid):
    """The rule is not one that can be looked by; `errors` says why."""

    code = "fraud_rule_invalid"


class FraudRuleNotFound(NotFound):
    """No such fraud rule, or none this actor may see."""

    code = "fraud_rule_not_found"


class HitNotFound(NotFound):
    """No such fraud hit, or none this actor may see."""

    code = "fraud_hit_not_found"


class DisputeNotFound(NotFound):
    """No such dispute, or none this actor may see."""

    code = "dispute_not_found"


class AlertNotFound(NotFound):
    """No such budget alert, or none this actor may see."""

    code = "budget_alert_not_found"


class FraudRuleTaken(Conflict):
    """Another fraud rule has this code."""

    code = "fraud_rule_taken"


class NotBacktested(Conflict):
    """Nobody has seen what this version of the rule would have hit."""

    code = "fraud_rule_not_backtested"


class DisputeOpen(Conflict):
    """There is an open dispute about this purchase already."""

    code = "dispute_is_open"


class ErasureRefused(Conflict):
    """The member cannot be erased while somebody looks into them."""

    code = "erasure_refused"


class ImportRefused(RuleBroken):
    """The file cannot be loaded as it is: rows of a file that is loaded whole, or it is there under another name."""

    code = "import_refused"


class TierInvalid(Invalid):
    """This is no tier, or not one that can stand beside the program's others."""

    code = "tier_invalid"


class TierNotFound(NotFound):
    """No such tier, or none this actor may see."""

    code = "tier_not_found"


class TimeRefused(Invalid):
    """This cannot be worked out for a time that is still to come."""

    code = "time_refused"


class LedgerBusy(Unavailable):
    """Somebody is writing the ledger for so long that a stretch of it cannot be closed yet."""

    code = "ledger_busy"
