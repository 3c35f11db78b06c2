"""The demo's vouchers, rewards and cap, some of them used, so that their pages have something to show."""

from __future__ import annotations

from typing import Final

from loyalty.models import Balance, Program, Reward, Rule, Voucher, VoucherBatch
from loyalty.services import rewards, rules, vouchers
from loyalty.states import VoucherState
from opsconsole.core.actors import Actor
from opsconsole.core.models import User

BATCH: Final = "Welcome 2027"
CODES, WORTH, REDEEMED = 500, 25, 12
REWARDS: Final = (("Coffee", 20, 100, 5), ("Weekend for two", 5_000, None, 1))  # name, points, stock, for each member
TAKEN: Final = 3
CAP: Final = ("At most 100,000 points a day", 100_000, 1)


def seed_shop(program: Program) -> None:
    """Have a batch of vouchers, two rewards and a cap in the program; nothing that is there is changed."""
    marketing = Actor.of(User.objects.get(username="ops_marketing"))
    members = Balance.objects.filter(program=program, is_frozen=False, points_balance__gte=40).order_by("user_id")
    names = list(members.values_list("user_id", flat=True)[:REDEEMED])
    if not VoucherBatch.objects.filter(program=program, name=BATCH).exists():
        _vouchers(program, names, marketing)
    if not Reward.objects.filter(program=program).exists():
        _rewards(program, names[:TAKEN], marketing)
    name, points, days = CAP
    if not Rule.objects.filter(program=program).exists():
        rules.create_rule(
            program_id=program.pk,
            name=name,
            kind="cap",
            cap_points=points,
            period_days=days,
            reason="Nobody shops for more",
            actor=marketing,
        )


def _vouchers(program: Program, members: list[str], marketing: Actor) -> None:
    batch, _new = vouchers.issue_batch(
        program_id=program.pk, name=BATCH, points=WORTH, count=CODES, per_member=1, actor=marketing
    )
    vouchers.make_codes(batch_id=batch.pk, actor=marketing)
    issued = Voucher.objects.filter(batch=batch, status=VoucherState.ISSUED).order_by("pk")
    for voucher, member in zip(issued[: len(members)], members, strict=False):
        vouchers.redeem_voucher(code=voucher.code, user_id=member, program_id=program.pk, actor=marketing)


def _rewards(program: Program, members: list[str], marketing: Actor) -> None:
    made = [
        rewards.create_reward(
            program_id=program.pk, name=name, points=points, stock=stock, per_member=each, actor=marketing
        )
        for name, points, stock, each in REWARDS
    ]
    for member in members:
        taken = rewards.redeem_reward(reward_id=made[0].pk, user_id=member, actor=marketing)
        if member == members[0]:
            rewards.fulfil_redemption(redemption_id=taken.pk, actor=marketing)
