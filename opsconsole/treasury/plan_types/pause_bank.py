"""`pause_bank`: nothing new goes to a bank, from the moment the step commits until the plan is rolled back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from opsconsole.core.actors import Actor
from opsconsole.core.operations import Operation
from opsconsole.core.texts import Text
from opsconsole.plans.errors import NothingToDo
from opsconsole.plans.models import Plan
from opsconsole.plans.outcomes import Outcome
from opsconsole.plans.types import Impact, StepDraft
from opsconsole.plans.warnings import declare
from opsconsole.treasury import access, payload_fields
from opsconsole.treasury.closing import exposure
from opsconsole.treasury.models import Account, Bank, Route
from opsconsole.treasury.plan_types.records import RecordPlanType
from opsconsole.treasury.services import banks
from opsconsole.treasury.states import AccountKind, AccountState, BankState

STEP: Final = "pause"

LAST_BANK: Final = declare(
    "last_bank",
    _("No other active bank has an account in {currency}: nothing in {currency} is paid until {bank} is resumed."),
)
ROUTES_LEAD_HERE: Final = declare(
    "routes_lead_here", _("{corridors} lead through {bank}: a failover leads them elsewhere.")
)
RUNS_STOP: Final = declare(
    "runs_stop",
    ngettext_lazy(
        "{count} payment is in a run that is going: it stops before its next payment here.",
        "{count} payments are in a run that is going: it stops before its next payment here.",
        "count",
    ),
)


def _bank(payload: dict[str, Any]) -> str:
    value = payload.get("bank")
    if not isinstance(value, str) or not Bank.objects.filter(code=value).exists():
        raise payload_fields.Wrong(payload_fields.NO_BANK)
    return value


READERS: Final[dict[str, payload_fields.Reader]] = {"bank": _bank, "reason": payload_fields.reason}


class PauseBank(RecordPlanType):
    """Pauses a bank; undoing it resumes the bank, and asks for approvals of its own."""

    name = "pause_bank"
    break_glass = True
    label = _("Pause a bank")
    summary = _("Nothing new goes to a bank until this is rolled back; what is on its way stays on its way.")
    irreversible = _("What the bank has been sent is on its way: pausing neither stops nor recalls it.")
    example: ClassVar[dict[str, Any]] = {"bank": "sandbox", "reason": "It answers errors since 08:40."}

    def parse(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`{bank, reason}`: the bank by its code."""
        return payload_fields.read_payload(self.name, payload, READERS)

    def require_sight(self, payload: dict[str, Any], actor: Actor) -> None:
        """The bank."""
        if not access.sees_bank(actor, payload["bank"]):
            payload_fields.refuse(self.name, {"bank": [payload_fields.NO_BANK]})

    def reserve(self, plan: Plan) -> None:
        """Nothing is reserved; raises NothingToDo for a bank that is paused."""
        bank = _bank_of(plan)
        if bank.status != BankState.ACTIVE:
            raise NothingToDo(format_lazy(_("{bank} is paused already."), bank=bank.name), bank=bank.code)

    def steps(self, plan: Plan) -> Iterable[StepDraft]:
        """One: the bank."""
        bank = _bank_of(plan)
        yield StepDraft(
            kind=STEP,
            payload={"bank": bank.code, "name": bank.name, "reason": plan.payload["reason"]},
            compensation={"bank": bank.code, "name": bank.name, "status": bank.status},
        )

    def impact(self, plan: Plan) -> Impact:
        """What stays behind, what is on its way, and which plans stop."""
        bank = _bank_of(plan)
        found = exposure.exposed(exposure.of_bank(bank))
        stopped = (exposure.WAITING, exposure.STAGED, exposure.STOPPED, exposure.GOING)
        return Impact(
            count=found.count(*stopped),
            sums=found.sums(*stopped),
            accounts=found.accounts(),
            details=found.as_details(),
            warnings=[*_last_of(bank), *_going(found)],
            irreversible=self.irreversible,
        )

    def drift(self, plan: Plan) -> list[Text]:
        """Somebody has paused it since."""
        bank = Bank.objects.filter(code=plan.payload["bank"]).first()
        if bank is None:
            return [format_lazy(_("There is no bank {bank} any more."), bank=plan.payload["bank"])]
        if bank.status == BankState.ACTIVE:
            return []
        return [format_lazy(_("{bank} is paused already."), bank=bank.name)]

    def do(self) -> Operation[Any, Outcome]:
        """Pause."""
        return banks.pause_bank

    def undo(self) -> Operation[Any, Outcome]:
        """Resume."""
        return banks.resume_bank


def _bank_of(plan: Plan) -> Bank:
    return Bank.objects.get(code=plan.payload["bank"])


def _last_of(bank: Bank) -> list[dict[str, Any]]:
    """The currencies that no other active bank could pay, and the corridors that lead through this one."""
    settlement = Account.objects.filter(kind=AccountKind.SETTLEMENT, status=AccountState.ACTIVE)
    own = set(settlement.filter(bank=bank).values_list("currency", flat=True))
    elsewhere = set(
        settlement.filter(bank__status=BankState.ACTIVE).exclude(bank=bank).values_list("currency", flat=True)
    )
    warnings = [LAST_BANK.of(currency=currency, bank=bank.name) for currency in sorted(own - elsewhere)]
    corridors = [route.corridor for route in Route.objects.filter(bank=bank).order_by("currency", "country")]
    if corridors:
        warnings.append(ROUTES_LEAD_HERE.of(corridors=", ".join(corridors), bank=bank.name))
    return warnings


def _going(found: exposure.Exposure) -> list[dict[str, Any]]:
    going = found.count(exposure.GOING)
    return [RUNS_STOP.of(count=going)] if going else []
