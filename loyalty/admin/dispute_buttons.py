"""What people do to a dispute: open it, end it with points, refuse it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty import access, ledger
from loyalty.adjusting import ADJUST_ALONE
from loyalty.admin.evidence import answer_notice
from loyalty.admin.in_program import InProgram, InProgramForm
from loyalty.disputes import evidence
from loyalty.models import Balance, Dispute
from loyalty.serializers.members import MAX_USER
from loyalty.services import disputes
from loyalty.services.disputes import MAX_CLAIM, MAX_TICKET
from loyalty.states import DisputeState
from opsconsole.approvals.admin.deeds import CarryOut, asked_or, live_on, must_agree
from opsconsole.approvals.models import Request
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, then
from opsconsole.core.admin.pages import Facts, Section
from opsconsole.core.errors import NotFound
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text


def who_agrees() -> list[Section]:
    """Who must agree to many points given or taken by hand; the title says that a few are not held up."""
    title = now_("Must agree, above %(most)s points in 24 hours") % {"most": display.number(ADJUST_ALONE)}
    return [replace(one, title=title) for one in must_agree("loyalty.adjust")]


class ClaimForm(ActionForm):
    """What a member says."""

    ticket = forms.CharField(
        label=_("Ticket"), help_text=_("Of whoever heard the member."), max_length=MAX_TICKET, strip=True
    )
    origin_txn_id = forms.CharField(
        label=_("Purchase"), help_text=_("Its id where it was made."), max_length=ledger.MAX_TEXT, strip=True
    )
    happened_at = forms.DateTimeField(
        label=_("When it was made"),
        help_text=_("In UTC, as the member says."),
        widget=forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    claim = forms.CharField(
        label=_("What the member says"),
        help_text=_("May be left empty."),
        max_length=MAX_CLAIM,
        required=False,
        widget=forms.Textarea({"rows": 3}),
    )


class NewDisputeForm(ClaimForm, InProgramForm):
    """The same, and who says it."""

    user_id = forms.CharField(
        label=_("Member"), help_text=_("The user id, as the application knows it."), max_length=MAX_USER, strip=True
    )
    field_order = ("program", "user_id")
    actor: Actor  # who looks for the member

    def clean(self) -> dict[str, Any] | None:
        """With the member; there must be one."""
        cleaned = super().clean()
        program, user_id = self.cleaned_data.get("program"), self.cleaned_data.get("user_id")
        if program is not None and user_id:
            try:
                self.cleaned_data["balance"] = access.member_named(self.actor, program, user_id).pk
            except NotFound as error:
                self.add_error("user_id", str(error.told))
        return cleaned


class SettleForm(ReasonForm):
    """How many points, and why."""

    amount = forms.IntegerField(label=_("Points"), min_value=1, max_value=ledger.MOST_POINTS)
    field_order = ("amount", "reason")


def _opened(press: Press[Any], balance_id: UUID) -> Answer:
    said = press.data
    return disputes.open_dispute.once(
        press.key,
        then(lambda _made: now_("The dispute is open. Below is what there is to be found about it."), display.row_url),
        balance_id=balance_id,
        ticket=said["ticket"],
        origin_txn_id=said["origin_txn_id"],
        happened_at=said["happened_at"],
        claim=said["claim"],
        actor=press.actor,
    )


class NewDispute(InProgram):
    """Open one for a member who is named."""

    name = "new"
    label = _("Open a dispute")
    icon = "add"
    permission = disputes.PERMISSION
    form = NewDisputeForm

    def question(self, _row: None) -> Text:
        """What comes of it."""
        return now_("Take down that a purchase earned no points? What the ledger knows of it is then looked up.")

    def make_form(self, actor: Actor, row: None, data: Any = None, files: Any = None) -> ActionForm:
        """For the one who looks for the member."""
        form = cast(NewDisputeForm, super().make_form(actor, row, data, files))
        form.actor = actor
        return form

    def perform(self, press: Press[None]) -> Answer:
        """Open it."""
        return _opened(press, press.data["balance"])


class DisputeOfMember(Action[Balance]):
    """Open one from the member's page."""

    name = "dispute"
    label = _("Open a dispute")
    icon = "contact_support"
    permission = disputes.PERMISSION
    form = ClaimForm

    def allowed(self, actor: Actor, row: Balance) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.program)

    def question(self, row: Balance) -> Text:
        """Whose."""
        return now_("Take down that a purchase of %(member)s earned no points? What the ledger knows is looked up.") % {
            "member": row.user_id
        }

    def perform(self, press: Press[Balance]) -> Answer:
        """Open it."""
        return _opened(press, press.row.pk)


class _OnDispute(Action[Dispute]):
    """Something that ends a dispute; the right to it may be granted on its program alone."""

    permission = disputes.PERMISSION

    def allowed(self, actor: Actor, row: Dispute) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.program)

    def offered(self, _actor: Actor, row: Dispute) -> bool:
        """While it is open."""
        return row.status == DisputeState.OPEN

    def sections(self, _actor: Actor, row: Dispute) -> Sequence[Section]:
        """What is claimed, and what the ledger says."""
        found = evidence.find(row.balance, row.origin_txn_id, row.happened_at)
        facts = [
            (_("member"), row.balance.user_id),
            (_("purchase"), display.code(row.origin_txn_id)),
            (_("made, the member says"), display.moment(row.happened_at)),
            (_("the member says"), display.prose(row.claim)),
        ]
        return [answer_notice(found), Facts(_("Claim"), facts)]


class AdjustDispute(_OnDispute):
    """End it with points."""

    name = "adjust"
    label = _("Give the points")
    icon = "exposure_plus_1"
    tone = "go"
    form = SettleForm

    def question(self, row: Dispute) -> Text:
        """Whose; and from when on others must agree."""
        return now_(
            "Give points to %(member)s and end the dispute? Above %(most)s points in 24 hours, others must agree first."
        ) % {"member": row.balance.user_id, "most": display.number(ADJUST_ALONE)}

    def initial(self, row: Dispute) -> dict[str, Any]:
        """A reason that names the ticket."""
        return {"reason": f"Ticket {row.ticket}: "}

    def sections(self, actor: Actor, row: Dispute) -> Sequence[Section]:
        """The claim, and who must agree to a large one."""
        return [*super().sections(actor, row), *who_agrees()]

    def perform(self, press: Press[Dispute]) -> Answer:
        """Adjust, or ask."""
        return settled(press, press.row.pk, press.data["amount"], None)


def settled(press: Press[Any], dispute_id: UUID, amount: int, approval_id: UUID | None) -> Answer:
    """The answer of the service: the dispute has ended, or others are asked."""
    to = display.row_url_of(Dispute, dispute_id)
    return disputes.adjust_dispute.once(
        press.key,
        asked_or(lambda _made: now_("The points are given; the dispute has ended."), lambda _made: to),
        dispute_id=dispute_id,
        amount=amount,
        reason=press.data["reason"],
        approval_id=approval_id,
        actor=press.actor,
    )


class RefuseDispute(_OnDispute):
    """End it without."""

    name = "refuse"
    label = _("Refuse")
    icon = "block"
    tone = "danger"
    form = ReasonForm

    def question(self, row: Dispute) -> Text:
        """Whose."""
        return now_("Refuse the claim of %(member)s? The reason stands in the journal, on the member.") % {
            "member": row.balance.user_id
        }

    def perform(self, press: Press[Dispute]) -> Answer:
        """Refuse it."""
        return disputes.refuse_dispute.once(
            press.key,
            then(lambda _row: now_("The dispute is refused."), display.row_url),
            dispute_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


def requests_about(row: Dispute) -> QuerySet[Request]:
    """Who was asked to agree to points for this dispute: the request stands on the member, and names the dispute."""
    return live_on(row.balance).filter(action="loyalty.adjust", content__dispute=str(row.pk))


class CarryOutOnDispute(CarryOut[Dispute]):
    """Points that were agreed to."""

    def __init__(self) -> None:
        super().__init__(disputes.PERMISSION, {"loyalty.adjust": _settled_again})

    def allowed(self, actor: Actor, row: Dispute) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.program)

    def asked_for(self, row: Dispute) -> QuerySet[Request]:
        """Those for this dispute."""
        return requests_about(row)


def _settled_again(press: Press[Dispute], asked: Mapping[str, Any], approval_id: UUID) -> Answer:
    return settled(press, press.row.pk, int(asked["amount"]), approval_id)
