"""What a plan type is: one class that says its payload, its steps, its impact, and how to do and undo a step.

A type is registered by its domain when the app is ready. The engine owns states, leases, retries and the journal; a
type knows only its own records and its target. Methods that touch the target run outside any transaction; the others
join the caller's operation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Invalid
from opsconsole.core.texts import Text, english
from opsconsole.plans.leases import BATCH
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.outcomes import Answered, CannotTell, Outcome, Probed
from opsconsole.plans.states import Direction


@dataclass(frozen=True, slots=True)
class StepDraft:
    """A step as staging writes it; a compensation of None says that it cannot be undone."""

    kind: str
    payload: dict[str, Any]
    compensation: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class AccountImpact:
    """What a plan does to one account."""

    account: str
    bank: str
    currency: str
    count: int
    sum: Decimal
    balance_before: Decimal
    balance_after: Decimal

    def as_json(self) -> dict[str, Any]:
        """The plain form, amounts as strings."""
        return {
            "account": self.account,
            "bank": self.bank,
            "currency": self.currency,
            "count": self.count,
            "sum": f"{self.sum:f}",
            "balance_before": f"{self.balance_before:f}",
            "balance_after": f"{self.balance_after:f}",
        }


@dataclass(frozen=True, slots=True)
class Impact:
    """What a plan will do, before it does it: what the approver reads and the digest covers.

    Each of `warnings` is made by a template of `opsconsole.plans.warnings`; `irreversible` is stored in English.
    """

    count: int = 0
    payees: int = 0
    sums: dict[str, Decimal] = field(default_factory=dict)
    accounts: list[AccountImpact] = field(default_factory=list)
    fees: dict[str, Decimal] = field(default_factory=dict)
    remainder: dict[str, Decimal] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    irreversible: Text = ""

    def as_json(self, *, steps: int) -> dict[str, Any]:
        """The plain form, amounts as strings."""
        banks: dict[str, dict[str, Any]] = {}
        for line in self.accounts:
            bank = banks.setdefault(line.bank, {"bank": line.bank, "count": 0, "sums": {}})
            bank["count"] += line.count
            bank["sums"][line.currency] = bank["sums"].get(line.currency, Decimal(0)) + line.sum
        for bank in banks.values():
            bank["sums"] = _amounts(bank["sums"])
        return {
            "count": self.count,
            "payees": self.payees,
            "steps": steps,
            "sums": _amounts(self.sums),
            "remainder": _amounts(self.remainder),
            "fees": _amounts(self.fees),
            "accounts": [line.as_json() for line in self.accounts],
            "banks": list(banks.values()),
            "warnings": self.warnings,
            "irreversible": english(self.irreversible),
            **self.details,
        }


@dataclass(frozen=True, slots=True)
class Scope:
    """Which banks (by code) and currencies a plan touches; what freeze calendars are held against."""

    banks: frozenset[str] = frozenset()
    currencies: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file of the domain that belongs to what the plan did: its name, the SHA-256 on record, and its bytes.

    `chunks` raises OSError or FileGone where the file can no longer be had.
    """

    name: str
    digest: str
    about: dict[str, Any]
    chunks: Callable[[], Iterable[bytes]]


class FileGone(Exception):
    """The storage no longer has a file that is on record."""


def _amounts(by_currency: dict[str, Decimal]) -> dict[str, str]:
    return {currency: f"{amount:f}" for currency, amount in sorted(by_currency.items())}


class PlanType(ABC):
    """The base of every plan type. `name` is the `plan_type` of the API; `example` a payload that works."""

    name: ClassVar[str]
    label: ClassVar[Text]
    summary: ClassVar[Text]
    example: ClassVar[dict[str, Any]]
    # Whether one person may execute it alone in an emergency. Never for a type that moves money.
    break_glass: ClassVar[bool] = False
    # How many steps one commit marks while all goes well. Calls go out 16 at a time nonetheless, and `held_back` is
    # asked before each further 16.
    straight_on: ClassVar[int] = BATCH
    # What undoing it cannot bring back: what its impact says of that, and pages show in the viewer's language.
    irreversible: ClassVar[Text] = ""

    # --- content: inside the operation that drafts or stages ---

    @abstractmethod
    def parse(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The payload checked and in its one canonical form; raises Invalid with `errors` by field."""

    def require_sight(self, payload: dict[str, Any], actor: Actor) -> None:
        """Raise PlanInvalid, as for what is not there, where the payload names a record the actor may not see."""

    def reserve(self, plan: Plan) -> None:
        """Take hold of what the plan will use, so that no other plan can."""

    @abstractmethod
    def steps(self, plan: Plan) -> Iterable[StepDraft]:
        """The steps, in the order in which they will be done."""

    def staged(self, plan: Plan) -> None:
        """Note the steps that were written for what was reserved."""

    @abstractmethod
    def impact(self, plan: Plan) -> Impact:
        """What the staged steps will do, read afresh from the records."""

    @abstractmethod
    def drift(self, plan: Plan) -> list[Text]:
        """What has changed since staging that the approvers did not see; each a sentence, given lazily."""

    def release(self, plan: Plan) -> None:
        """Give back what was reserved and not used."""

    def scope(self, plan: Plan) -> Scope:
        """The banks and currencies it touches, by its impact and by what its payload names."""
        impact, payload = plan.estimated_impact or {}, plan.payload
        banks = {line["bank"] for line in (*impact.get("banks", ()), *impact.get("accounts", ()))}
        currencies = {line["currency"] for line in impact.get("accounts", ())} | set(impact.get("sums", {}))
        banks |= {payload[key] for key in ("bank", "from_bank", "to_bank") if isinstance(payload.get(key), str)}
        currencies |= {payload["currency"]} if isinstance(payload.get("currency"), str) else set()
        return Scope(frozenset(banks), frozenset(currencies))

    # --- doing: outside any transaction ---

    def simulate(self, plan: Plan) -> list[str]:
        """Run the steps dry; what disagrees with the impact, each a sentence, in English as the run keeps it."""
        return [english(reason) for reason in self.drift(plan)]

    @abstractmethod
    def execute(self, steps: Sequence[Step]) -> list[Outcome]:
        """Do the steps, each under its key; one outcome for each, in order."""

    @abstractmethod
    def compensate(self, steps: Sequence[Step]) -> list[Outcome]:
        """Undo what the steps say, each under its key; one outcome for each, in order."""

    def held_back(self, steps: Sequence[Step]) -> bool:  # noqa: ARG002 - for those that go straight on
        """Whether something was closed since these steps were marked, so that they had better not go out now."""
        return False

    def probe(self, steps: Sequence[Step]) -> list[Probed]:
        """Ask the target what became of steps whose outcome nobody saw."""
        return [CannotTell("this kind of step leaves no trace that could be asked for") for _ in steps]

    # --- bookkeeping: inside the engine's operation ---

    def record(
        self,
        direction: Direction,
        answers: Sequence[tuple[Step, Answered]],
        starting: Sequence[Step],
    ) -> None:
        """Write what the answers mean for the domain's own records, and that other steps are about to go out.

        Called last in its transaction, so a ledger is touched once and nothing follows. A DomainError raised over
        `starting` halts the run at this boundary: the answers are then written alone, and nothing goes out.
        """

    def reopen(self, plan: Plan, direction: Direction) -> None:
        """Make failed steps ready to be tried again; raises RuleBroken where one can no longer be."""

    def report(self, run: Run) -> dict[str, Any]:  # noqa: ARG002 - for those that have something to say
        """What a run that ended did, in the domain's words."""
        return {}

    def evidence(self, plan: Plan) -> Iterable[EvidenceFile]:  # noqa: ARG002 - for those that leave files behind
        """The files that the plan left behind, for its evidence."""
        return ()


_types: dict[str, PlanType] = {}


class UnknownPlanType(Invalid):
    """No plan type of that name is registered."""

    code = "unknown_plan_type"


def register(plan_type: PlanType) -> None:
    """Make a plan type known to the engine, the API, the admin and the documentation."""
    _types[plan_type.name] = plan_type


def type_named(name: str) -> PlanType:
    """The plan type of this name; raises UnknownPlanType."""
    found = _types.get(name)
    if found is None:
        known = ", ".join(sorted(_types))
        raise UnknownPlanType(
            format_lazy(_("There is no plan type {name}; the types are {known}."), name=name, known=known),
            errors={"plan_type": [format_lazy(_("must be one of {known}"), known=known)]},
        )
    return found


def registered() -> list[PlanType]:
    """All plan types, by name."""
    return [_types[name] for name in sorted(_types)]
