"""The demo's loyalty program: its tiers, real purchases that earned points in it, and a campaign to try out."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from django.utils import timezone

from loyalty.importing.files import PurchaseFile
from loyalty.models import Campaign, Program, Tier
from loyalty.services import campaigns, programs, purchases, tiers
from loyalty.services.purchases import Source, Totals
from loyalty.services.tiers import TierFacts
from loyalty.states import ProgramState
from opsconsole.approvals.gate import Asked
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import Actor
from opsconsole.core.models import User

EXTRACT: Final = Path(__file__).parent / "purchases.txt"
NAME: Final = "Molam Club"
BUDGET: Final = Decimal(10_000_000)  # the whole file earns a quarter of it
TIERS: Final = (("Bronze", 1, 0, "1"), ("Silver", 2, 100, "1.25"), ("Gold", 3, 500, "1.5"))


def seed_points(*, actor: Actor) -> Totals:
    """Have the program with its tiers, its purchases and a campaign in draft; nothing that is there is changed."""
    program = Program.objects.filter(name=NAME).first() or programs.create_program(
        name=NAME, budget_limit=BUDGET, description="Points for every purchase", points_valid_months=None, actor=actor
    )
    loaded = Totals()
    if program.status == ProgramState.ACTIVE:  # one that somebody has suspended earns nothing
        loaded = _purchases(program, actor)
    if not Tier.objects.filter(program=program).exists():
        for name, rank, threshold, multiplier in TIERS:
            facts = TierFacts(
                name=name, rank=rank, threshold=threshold, window_months=12, multiplier=Decimal(multiplier)
            )
            _tier(program, facts)
    if not Campaign.objects.filter(program=program).exists():
        campaigns.create_campaign(
            program_id=program.pk,
            name="Welcome back",
            description="A bonus for everybody who has spent a hundred or more",
            target_segment={">=": [{"var": "points_balance"}, 100]},
            bonus_points=25,
            start_date=timezone.now() + timedelta(days=1),
            actor=actor,
        )
    return loaded


def _tier(program: Program, facts: TierFacts) -> None:
    """As anybody would: marketing asks for a tier that multiplies, finance agrees, marketing makes it."""
    marketing, finance = (Actor.of(User.objects.get(username=name)) for name in ("ops_marketing", "finance_ops"))
    order: dict[str, Any] = {"program_id": program.pk, "facts": facts, "reason": "The first tiers"}
    made = tiers.define_tier(**order, actor=marketing)
    if isinstance(made, Asked):
        request = made.request.pk
        decide_request(request_id=request, approved=True, comments="", signature="", actor=finance)
        tiers.define_tier(**order, approval_id=request, actor=marketing)


def _purchases(program: Program, actor: Actor) -> Totals:
    file = PurchaseFile(EXTRACT, until=timezone.now())
    return purchases.import_purchases(
        program_id=program.pk,
        lines=file,
        source=Source("demo", file.path.name, file.head()),
        on_bad=_never,
        on_progress=lambda _: None,
        actor=actor,
    )


def _never(bad: object) -> None:
    raise AssertionError(f"the demo extract holds a bad line: {bad}")
