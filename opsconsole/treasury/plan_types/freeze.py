"""`freeze`: nothing is paid to or from an account, to a beneficiary, or for a merchant, until it is rolled back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar, Final
from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from stdnum import iban as iban_numbers
from stdnum.exceptions import ValidationError

from opsconsole.core.actors import Actor
from opsconsole.core.operations import Operation
from opsconsole.core.texts import Text
from opsconsole.plans.models import Plan
from opsconsole.plans.outcomes import Outcome
from opsconsole.plans.types import Impact, StepDraft
from opsconsole.plans.warnings import declare
from opsconsole.treasury import access, payload_fields
from opsconsole.treasury.closing import exposure
from opsconsole.treasury.models import IBAN, Account, Freeze, Payout
from opsconsole.treasury.payload_fields import Wrong
from opsconsole.treasury.plan_types.records import RecordPlanType
from opsconsole.treasury.services import freezes
from opsconsole.treasury.states import AccountKind, AccountState, BankState, FreezeKind

STEP: Final = "freeze"
MAX_MERCHANT: Final = 100
NO_ACCOUNT: Final = _("must be the id or the IBAN of a settlement account of ours")

FROZEN_BY_PLANS: Final = declare(
    "already_frozen", _("{subject} is frozen already, by {plans}: it stays frozen until each of these is lifted.")
)
FROZEN_OTHERWISE: Final = declare(
    "already_frozen", _("{subject} is frozen already, by no plan: it stays frozen when this is rolled back.")
)
UNKNOWN_SUBJECT: Final = {
    FreezeKind.BENEFICIARY: declare(
        "unknown_subject", _("No payout names the beneficiary {subject}: is it the right one?")
    ),
    FreezeKind.MERCHANT: declare("unknown_subject", _("No payout names the merchant {subject}: is it the right one?")),
}
LAST_ACCOUNT: Final = declare(
    "last_account",
    _("No other account in {currency} is open: nothing in {currency} is paid without {account}."),
)
RUNS_STOP: Final = declare(
    "runs_stop",
    ngettext_lazy(
        "{count} payment is in a run that is going: it stops before it, with all that follow.",
        "{count} payments are in a run that is going: it stops before the next of them, with all that follow.",
        "count",
    ),
)


def _subject(payload: dict[str, Any]) -> str:
    value = payload.get("subject")
    if value not in FreezeKind.values:
        raise Wrong(format_lazy(_("must be one of {names}"), names=", ".join(FreezeKind.values)))
    return str(value)


def _id(payload: dict[str, Any]) -> str:
    value, kind = payload.get("id"), payload.get("subject")
    said = value.strip() if isinstance(value, str) else ""
    if not said:
        raise Wrong(_("must say what is frozen: an account's id or IBAN, a beneficiary's IBAN, or a merchant's id"))
    match kind:
        case FreezeKind.ACCOUNT:
            return _account_id(said)
        case FreezeKind.BENEFICIARY:
            return _iban(said)
        case _:
            if len(said) > MAX_MERCHANT or not said.isprintable():
                raise Wrong(format_lazy(_("must be printable, and {most} characters at most"), most=MAX_MERCHANT))
            return said


def _account_id(said: str) -> str:
    accounts = Account.objects.filter(kind=AccountKind.SETTLEMENT)
    try:
        account = accounts.filter(pk=UUID(said)).first()
    except ValueError:
        account = accounts.filter(iban=said.replace(" ", "").upper()).first()
    if account is None:
        raise Wrong(NO_ACCOUNT)
    return str(account.pk)


def _iban(said: str) -> str:
    number = iban_numbers.compact(said)
    try:
        iban_numbers.validate(number, check_country=False)
    except ValidationError:
        number = ""
    if not said.isascii() or re.fullmatch(IBAN, number) is None:
        raise Wrong(_("must be an IBAN, with the right check digits"))
    return str(number)


READERS: Final[dict[str, payload_fields.Reader]] = {
    "subject": _subject,
    "id": _id,
    "reason": payload_fields.reason,
}


class FreezeSubject(RecordPlanType):
    """Freezes; undoing it lifts this freeze and no other, and asks for approvals of its own."""

    name = "freeze"
    break_glass = True
    label = _("Freeze")
    summary = _("Nothing is paid to or from an account, a beneficiary or a merchant until this is rolled back.")
    irreversible = _(
        "What a bank has been sent is on its way: freezing neither stops nor recalls it."
        " What comes back to a frozen account is booked."
    )
    example: ClassVar[dict[str, Any]] = {
        "subject": "beneficiary",
        "id": "DE89370400440532013000",
        "reason": "The payee's mailbox was taken over; case 2025-118.",
    }

    def parse(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`{subject: account|beneficiary|merchant, id, reason}`; an account's IBAN becomes its id."""
        return payload_fields.read_payload(self.name, payload, READERS)

    def require_sight(self, payload: dict[str, Any], actor: Actor) -> None:
        """The account, where it is one that is frozen."""
        if payload["subject"] == FreezeKind.ACCOUNT and not access.sees_account(actor, pk=payload["id"]):
            payload_fields.refuse(self.name, {"id": [NO_ACCOUNT]})

    def steps(self, plan: Plan) -> Iterable[StepDraft]:
        """One: the subject. Freezing what another plan has frozen makes a second freeze."""
        kind, subject, shown = _subject_of(plan)
        content = {"subject": kind.value, "id": subject, "of": shown}
        yield StepDraft(
            kind=STEP,
            payload={**content, "reason": plan.payload["reason"]},
            compensation={**content, "lift": True},
        )

    def impact(self, plan: Plan) -> Impact:
        """What stays behind, what is on its way, and which plans stop."""
        found = exposure.exposed(_reach(plan))
        stopped = (exposure.WAITING, exposure.STAGED, exposure.STOPPED, exposure.GOING)
        return Impact(
            count=found.count(*stopped),
            sums=found.sums(*stopped),
            accounts=found.accounts(),
            details={"frozen": _subject_of(plan)[2], **found.as_details()},
            warnings=[*_standing(plan), *_unknown(plan), *_last_of(plan), *_going(found)],
            irreversible=self.irreversible,
        )

    def drift(self, plan: Plan) -> list[Text]:
        """An account whose IBAN has changed since it was staged."""
        kind, subject, shown = _subject_of(plan)
        staged = plan.estimated_impact or {}
        if kind == FreezeKind.ACCOUNT and staged.get("frozen") != shown:
            told = _("The account {account} has the IBAN {iban} by now, not {before}.")
            return [format_lazy(told, account=subject, iban=shown, before=staged.get("frozen"))]
        return []

    def do(self) -> Operation[Any, Outcome]:
        """Freeze."""
        return freezes.freeze

    def undo(self) -> Operation[Any, Outcome]:
        """Lift this freeze."""
        return freezes.lift


def _subject_of(plan: Plan) -> tuple[FreezeKind, str, str]:
    """The kind, the key, and what people know it by."""
    kind, subject = FreezeKind(plan.payload["subject"]), str(plan.payload["id"])
    if kind != FreezeKind.ACCOUNT:
        return kind, subject, subject
    account = Account.objects.get(pk=subject)
    return kind, subject, account.iban or account.name


def _reach(plan: Plan) -> exposure.Reach:
    kind, subject, _shown = _subject_of(plan)
    match kind:
        case FreezeKind.ACCOUNT:
            return exposure.of_account(Account.objects.get(pk=subject))
        case FreezeKind.BENEFICIARY:
            return exposure.of_beneficiary(subject)
        case FreezeKind.MERCHANT:
            return exposure.of_merchant(subject)


def _standing(plan: Plan) -> list[dict[str, Any]]:
    kind, subject, shown = _subject_of(plan)
    live = Freeze.objects.filter(kind=kind, subject=subject, lifted_at=None).select_related("plan")
    if others := sorted(freeze.plan.external_id for freeze in live):
        return [FROZEN_BY_PLANS.of(subject=shown, plans=", ".join(others))]
    if kind == FreezeKind.ACCOUNT and Account.objects.filter(pk=subject, status=AccountState.FROZEN).exists():
        return [FROZEN_OTHERWISE.of(subject=shown)]
    return []


def _unknown(plan: Plan) -> list[dict[str, Any]]:
    kind, subject, shown = _subject_of(plan)
    known = {
        FreezeKind.BENEFICIARY: Payout.objects.filter(iban=subject),
        FreezeKind.MERCHANT: Payout.objects.filter(merchant=subject),
    }.get(kind)
    if known is None or known.exists():
        return []
    return [UNKNOWN_SUBJECT[kind].of(subject=shown)]


def _last_of(plan: Plan) -> list[dict[str, Any]]:
    kind, subject, shown = _subject_of(plan)
    if kind != FreezeKind.ACCOUNT:
        return []
    account = Account.objects.get(pk=subject)
    others = Account.objects.filter(
        kind=AccountKind.SETTLEMENT,
        status=AccountState.ACTIVE,
        currency=account.currency,
        bank__status=BankState.ACTIVE,
    ).exclude(pk=account.pk)
    if others.exists():
        return []
    return [LAST_ACCOUNT.of(currency=account.currency, account=shown)]


def _going(found: exposure.Exposure) -> list[dict[str, Any]]:
    going = found.count(exposure.GOING)
    return [RUNS_STOP.of(count=going)] if going else []
