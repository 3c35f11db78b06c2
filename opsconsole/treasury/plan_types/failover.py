"""`failover`: corridors that lead through one bank lead through another, until the plan is rolled back.

Payouts that wait follow the routes by themselves. What a plan has staged was approved as it stands, so it is not
touched: executing such a plan finds that it has drifted, stages it afresh by the new way, and asks for new approvals. A
run that is going keeps the way that was approved; pausing the bank stops it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from opsconsole.core.actors import Actor
from opsconsole.core.operations import Operation
from opsconsole.core.texts import Text
from opsconsole.plans.errors import NothingToDo
from opsconsole.plans.models import Plan, Step
from opsconsole.plans.outcomes import Outcome
from opsconsole.plans.states import Direction
from opsconsole.plans.types import AccountImpact, Impact, StepDraft
from opsconsole.plans.warnings import declare
from opsconsole.treasury import access, payload_fields
from opsconsole.treasury.closing import exposure
from opsconsole.treasury.errors import RouteRefused
from opsconsole.treasury.models import Account, Bank, Route
from opsconsole.treasury.plan_types.records import RecordPlanType
from opsconsole.treasury.services import routes
from opsconsole.treasury.states import AccountKind, AccountState, BankState

STEP: Final = "route"
CORRIDOR: Final = re.compile(r"[A-Z]{3}/(?:[A-Z]{2}|\*)", re.ASCII)
MOST_CORRIDORS: Final = 500
# Stored in English; `core.admin.phrases` has them, and those of `exposure`, for pages in other languages.
THEN: Final = {
    exposure.WAITING: "follow the new route",
    exposure.STAGED: "their plans drift: staged afresh by the new route when executed, with new approvals",
    exposure.STOPPED: "keep the way that was approved if their run is retried",
    exposure.GOING: "keep the way that was approved, unless the bank is paused",
    exposure.ON_ITS_WAY: "stay on their way",
}

NO_ACCOUNT: Final = declare("no_account", _("{bank} has no open account for {corridors}: these stay where they are."))
TOO_LITTLE_MONEY: Final = declare(
    "too_little_money",
    _(
        "The account {account} holds {balance} {currency}, less than the {sum} that come to it: sweep money there"
        " first."
    ),
)
PLANS_DRIFT: Final = declare(
    "plans_drift",
    ngettext_lazy(
        "{count} payment is in a plan that is staged: that plan drifts, and needs new approvals.",
        "{count} payments are in plans that are staged: each of these drifts, and needs new approvals.",
        "count",
    ),
)
RUNS_KEEP_THEIR_WAY: Final = declare(
    "runs_keep_their_way",
    ngettext_lazy(
        "{count} payment is in a run that is going: it keeps the old way. Pause the bank to stop it.",
        "{count} payments are in a run that is going: they keep the old way. Pause the bank to stop them.",
        "count",
    ),
)


def _bank(key: str) -> payload_fields.Reader:
    def read(payload: dict[str, Any]) -> str:
        value = payload.get(key)
        if not isinstance(value, str) or not Bank.objects.filter(code=value).exists():
            raise payload_fields.Wrong(payload_fields.NO_BANK)
        if key == "to_bank" and value == payload.get("from_bank"):
            raise payload_fields.Wrong(_("must be another bank than the one that is led away from"))
        return value

    return read


def _corridors(payload: dict[str, Any]) -> list[str] | None:
    value = payload.get("corridors")
    if value is None:
        return None
    good = isinstance(value, list) and 0 < len(value) <= MOST_CORRIDORS
    if not good or not all(isinstance(one, str) and CORRIDOR.fullmatch(one) for one in value):
        raise payload_fields.Wrong(_("must be a list of corridors such as EUR/FR, or EUR/* for any other country"))
    return sorted(set(value))


READERS: Final[dict[str, payload_fields.Reader]] = {
    "from_bank": _bank("from_bank"),
    "to_bank": _bank("to_bank"),
    "corridors": _corridors,
}


@dataclass(frozen=True, slots=True)
class Move:
    """A route, with the account that pays it now and the one that shall."""

    route: Route
    to: Account

    @property
    def draft(self) -> StepDraft:
        """The step, and the way back."""
        was = self.route.account
        return StepDraft(
            kind=STEP,
            payload={
                "corridor": self.route.corridor,
                "route": self.route.pk,
                "from_bank": was.bank.code,
                "from_account": was.iban,
                "from_account_id": was.pk,
                "to_bank": self.to.bank.code,
                "to_account": self.to.iban,
                "to_account_id": self.to.pk,
            },
            compensation={
                "corridor": self.route.corridor,
                "route": self.route.pk,
                "bank": was.bank.code,
                "account": was.iban,
                "account_id": was.pk,
            },
        )

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from any other: the route, from where, to where."""
        return str(self.route.pk), str(self.route.account_id), str(self.to.pk)


class Failover(RecordPlanType):
    """Leads routes from one bank to another; undoing it leads each exactly where it led."""

    name = "failover"
    break_glass = True
    label = _("Failover")
    summary = _("Lead the corridors of one bank through another; payouts that wait follow.")
    irreversible = _(
        "What is paid through the new bank meanwhile stays paid: rolling back leads the routes back, and nothing else."
    )
    example: ClassVar[dict[str, Any]] = {"from_bank": "sandbox", "to_bank": "sandbox2", "corridors": ["EUR/*"]}

    def parse(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`{from_bank, to_bank, corridors?}`: banks by their codes; without corridors, every one of the bank."""
        return payload_fields.read_payload(self.name, payload, READERS)

    def require_sight(self, payload: dict[str, Any], actor: Actor) -> None:
        """Both banks."""
        unseen = [key for key in ("from_bank", "to_bank") if not access.sees_bank(actor, payload[key])]
        payload_fields.refuse(self.name, {key: [payload_fields.NO_BANK] for key in unseen})

    def reserve(self, plan: Plan) -> None:
        """Nothing is reserved; raises RouteRefused or NothingToDo where no route could be led over."""
        to_bank = Bank.objects.get(code=plan.payload["to_bank"])
        if to_bank.status != BankState.ACTIVE:
            said = format_lazy(_("{bank} is paused: nothing is led there."), bank=to_bank.name)
            raise RouteRefused(said, bank=to_bank.code)
        leading = _routes(plan)
        missing = sorted(set(plan.payload["corridors"] or ()) - {route.corridor for route in leading})
        if missing:
            said = format_lazy(
                _("{corridors} do not lead through {bank}."),
                corridors=", ".join(missing),
                bank=plan.payload["from_bank"],
            )
            raise RouteRefused(said, corridors=missing)
        moves, left = _moves(plan)
        if not moves:
            raise NothingToDo(_nothing_moves(plan.payload["from_bank"], to_bank, left), corridors=left)

    def steps(self, plan: Plan) -> Iterable[StepDraft]:
        """One a route."""
        return [move.draft for move in _moves(plan)[0]]

    def impact(self, plan: Plan) -> Impact:
        """Which routes lead where, and what becomes of payments at each point of their way."""
        moves, left = _moves(plan)
        found = exposure.exposed(exposure.of_routes([move.route.pk for move in moves]))
        details = found.as_details()
        for line in details["payments"]:
            line["then"] = THEN[line["status"]]
        to_pay = _to_pay(moves, found)
        return Impact(
            count=found.count(exposure.WAITING, exposure.STAGED),
            sums=found.sums(exposure.WAITING, exposure.STAGED),
            accounts=to_pay,
            details={
                "routes": [
                    {
                        "corridor": move.route.corridor,
                        "from_account": move.route.account.iban,
                        "to_account": move.to.iban,
                        "to_bank": move.to.bank.code,
                    }
                    for move in moves
                ],
                **details,
            },
            warnings=_warnings(plan, left, to_pay, found),
            irreversible=self.irreversible,
        )

    def drift(self, plan: Plan) -> list[Text]:
        """Routes that no longer lead as they did, or accounts that can no longer pay."""
        now, left = _moves(plan)
        corridors = {move.key: move.route.corridor for move in now}
        staged = Step.objects.filter(plan=plan, revision=plan.revision, direction=Direction.EXECUTE)
        approved = {
            (step.payload["route"], step.payload["from_account_id"], step.payload["to_account_id"]): step.payload
            for step in staged
        }
        found: list[Text] = [
            format_lazy(
                _("{corridor} would no longer be led from {from_account} to {to_account}."),
                corridor=payload["corridor"],
                from_account=payload["from_account"],
                to_account=payload["to_account"],
            )
            for key, payload in approved.items()
            if key not in corridors
        ]
        found += [
            format_lazy(_("{corridor} would be led elsewhere too, or otherwise."), corridor=corridor)
            for key, corridor in corridors.items()
            if key not in approved
        ]
        to_bank = Bank.objects.get(code=plan.payload["to_bank"])
        if to_bank.status != BankState.ACTIVE:
            found.append(format_lazy(_("{bank} is paused."), bank=to_bank.name))
        return found

    def do(self) -> Operation[Any, Outcome]:
        """Lead a route over."""
        return routes.lead_route

    def undo(self) -> Operation[Any, Outcome]:
        """Lead it back."""
        return routes.lead_route_back


def _nothing_moves(from_bank: str, to_bank: Bank, left: list[str]) -> Text:
    if not left:
        return format_lazy(_("No route of {bank} can be led over: no route leads there."), bank=from_bank)
    return format_lazy(
        _("No route of {bank} can be led over: {other} has no open account for {corridors}."),
        bank=from_bank,
        other=to_bank.name,
        corridors=", ".join(left),
    )


def _routes(plan: Plan) -> list[Route]:
    """The routes that are meant."""
    wanted = plan.payload["corridors"]
    leading = (
        Route.objects.filter(bank__code=plan.payload["from_bank"])
        .select_related("account__bank")
        .defer("account__bank__secret")
        .order_by("currency", "country")
    )
    return [route for route in leading if wanted is None or route.corridor in wanted]


def _moves(plan: Plan) -> tuple[list[Move], list[str]]:
    """The routes with the account that each shall lead through, and the corridors for which there is none."""
    open_accounts: dict[str, Account] = {}
    there = Account.objects.filter(
        bank__code=plan.payload["to_bank"], kind=AccountKind.SETTLEMENT, status=AccountState.ACTIVE
    )
    for account in there.select_related("bank").defer("bank__secret").order_by("created_at", "pk"):
        open_accounts.setdefault(account.currency, account)  # of several, the one that was opened first
    meant = _routes(plan)
    moves = [Move(route, open_accounts[route.currency]) for route in meant if route.currency in open_accounts]
    return moves, [route.corridor for route in meant if route.currency not in open_accounts]


def _to_pay(moves: list[Move], found: exposure.Exposure) -> list[AccountImpact]:
    """By the account that shall pay: what comes to it."""
    over = {move.route.account_id: move.to for move in moves}
    coming: dict[Any, tuple[int, Decimal]] = {move.to.pk: (0, Decimal(0)) for move in moves}
    for line in found.lines:
        account = over.get(line.account_id) if line.account_id else None
        if account is not None and line.how_far in (exposure.WAITING, exposure.STAGED):
            count, total = coming[account.pk]
            coming[account.pk] = (count + line.count, total + line.sum)
    return [
        AccountImpact(
            account.iban or account.name,
            account.bank.code,
            account.currency,
            *coming[account.pk],
            account.ledger_balance,
            account.ledger_balance,
        )
        for account in {move.to.pk: move.to for move in moves}.values()
    ]


def _warnings(
    plan: Plan, left: list[str], to_pay: list[AccountImpact], found: exposure.Exposure
) -> list[dict[str, Any]]:
    warnings: list[dict[str, Any]] = []
    if left:
        warnings.append(NO_ACCOUNT.of(bank=plan.payload["to_bank"], corridors=", ".join(left)))
    warnings += [
        TOO_LITTLE_MONEY.of(account=line.account, balance=line.balance_before, currency=line.currency, sum=line.sum)
        for line in to_pay
        if line.balance_before < line.sum
    ]
    if staged := found.count(exposure.STAGED):
        warnings.append(PLANS_DRIFT.of(count=staged))
    if going := found.count(exposure.GOING):
        warnings.append(RUNS_KEEP_THEIR_WAY.of(count=going))
    return warnings
