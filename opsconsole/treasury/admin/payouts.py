"""Payouts: who is to be paid, what became of it, and the buttons that hold, release and pay again."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.changes.admin.requesting import RequestChange, open_changes
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Button, OptionalReasonForm, Press, ReasonForm, then
from opsconsole.core.admin.display import UUID_FORM
from opsconsole.core.admin.pages import Column, Facts, Notice, Section, Table
from opsconsole.core.admin.ticks import Choice, TickableAdmin
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.treasury import access, selectors
from opsconsole.treasury.admin import payout_story
from opsconsole.treasury.admin.freezes import freezes_on
from opsconsole.treasury.admin.holding import MOST, NAMED, TICKED, HoldSeveral, ReleaseSeveral
from opsconsole.treasury.admin.imports import ImportPayouts
from opsconsole.treasury.admin.leading import may_see, payment_link
from opsconsole.treasury.models import Instruction, Payout
from opsconsole.treasury.services import payouts
from opsconsole.treasury.states import FIXED_PAYOUTS, PayoutState


def size_of(payout: Payout) -> dict[str, str]:
    """The payout as a sentence names it."""
    return {
        "id": payout.external_id,
        "money": f"{display.amount(payout.amount)} {payout.currency}",
        "name": payout.beneficiary_name,
    }


class HoldPayout(Action[Payout]):
    """Keep it out of every plan."""

    name = "hold"
    label = _("Hold")
    icon = "front_hand"
    tone = "danger"
    permission = "treasury.hold_payout"
    form = ReasonForm

    def offered(self, _actor: Actor, row: Payout) -> bool:
        """Payable, or in the hands of a plan, which is then said."""
        return row.status in (PayoutState.PAYABLE, PayoutState.RESERVED)

    def obstacle(self, _actor: Actor, row: Payout) -> Text:
        """A plan has hold of it."""
        return now_("A plan has reserved it; take that plan back first.") if row.plan_id else ""

    def question(self, row: Payout) -> Text:
        """What is held."""
        return now_("Hold the payout %(id)s: %(money)s to %(name)s? No plan takes it until it is released.") % size_of(
            row
        )

    def perform(self, press: Press[Payout]) -> Answer:
        """Hold it."""
        return payouts.hold_payout.once(
            press.key,
            then(lambda _payout: now_("The payout is held."), display.row_url),
            payout_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class ReleasePayout(Action[Payout]):
    """Let plans take it again."""

    name = "release"
    label = _("Release")
    icon = "lock_open"
    tone = "primary"
    permission = "treasury.hold_payout"
    form = OptionalReasonForm

    def offered(self, _actor: Actor, row: Payout) -> bool:
        """Held."""
        return row.status == PayoutState.HELD

    def question(self, row: Payout) -> Text:
        """What is released."""
        return now_("Release the payout %(id)s: %(money)s to %(name)s? Plans may take it again.") % size_of(row)

    def perform(self, press: Press[Payout]) -> Answer:
        """Release it."""
        return payouts.release_payout.once(
            press.key,
            then(lambda _payout: now_("The payout is payable again."), display.row_url),
            payout_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class RetryPayout(Action[Payout]):
    """Pay again what failed or came back."""

    name = "retry"
    label = _("Pay again")
    icon = "replay"
    tone = "danger"
    permission = "treasury.hold_payout"
    form = ReasonForm

    def offered(self, _actor: Actor, row: Payout) -> bool:
        """Failed or returned."""
        return row.status in (PayoutState.FAILED, PayoutState.RETURNED)

    def question(self, row: Payout) -> Text:
        """What becomes payable."""
        return now_("Make the payout %(id)s payable again: %(money)s to %(name)s? Another plan may then pay it.") % (
            size_of(row)
        )

    def perform(self, press: Press[Payout]) -> Answer:
        """Make it payable."""
        return payouts.retry_payout.once(
            press.key,
            then(lambda _payout: now_("The payout is payable again."), display.row_url),
            payout_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


def instructions_table(instructions: QuerySet[Instruction], title: Text, empty: Text = "") -> Table:
    """Submissions, a line each."""
    return Table(
        title,
        [
            _("EndToEndId"),
            _("state"),
            Column(_("amount"), right=True),
            _("plan"),
            _("bank"),
            _("bank's reference"),
            _("sent"),
            _("settled"),
            _("reason"),
        ],
        [
            [
                payment_link(one),
                display.state_of(one),
                display.money(one.amount, one.currency),
                display.row_link(one.plan),
                one.bank.name,
                display.code(one.bank_reference),
                display.moment(one.sent_at),
                display.moment(one.settled_at),
                one.reason or display.NOTHING,
            ]
            for one in instructions.select_related("plan", "bank")
        ],
        empty=empty,
    )


@admin.register(Payout)
class PayoutAdmin(TickableAdmin[Payout]):
    """Payouts, the newest first."""

    list_display = ("external_id", "beneficiary_name", "iban", "money_amount", "due", "state", "of_plan")
    nothing = _("No payout has come in yet: import a file, or have them posted to the API.")
    list_filter = ("status",)
    list_select_related = ("plan",)
    ordering = ("-id",)
    search_fields = ("external_id",)
    search_help_text = _("The beginning of an id or of a payee's name, or a whole IBAN")
    row_actions = (
        HoldPayout(),
        ReleasePayout(),
        RetryPayout(),
        RequestChange("beneficiary", icon="edit", when=lambda payout: payout.status not in FIXED_PAYOUTS),
    )
    choices_for_ticked = (
        Choice("hold_ticked", HoldSeveral, _("Hold those ticked")),
        Choice("release_ticked", ReleaseSeveral, _("Release those ticked")),
    )
    ticked_as = TICKED
    most_ticked = MOST

    def list_actions(self) -> Sequence[Action[None]]:
        """Bring some in."""
        return [ImportPayouts(), HoldSeveral(), ReleaseSeveral()]

    def show_ticked(self, request: HttpRequest, form: ActionForm, ticked: Sequence[str]) -> None:
        """Name those ticked."""
        if keys := [pk for pk in ticked if UUID_FORM.fullmatch(pk)][:MOST]:
            rows = self.get_queryset(request).filter(pk__in=keys).order_by("external_id")
            form.initial[NAMED] = "\n".join(rows.values_list("external_id", flat=True))

    def visible(self, actor: Actor) -> QuerySet[Payout]:
        """The payouts the actor may see."""
        return access.visible_payouts(actor).select_related("plan")

    def find(self, rows: QuerySet[Payout], words: str) -> QuerySet[Payout]:
        """What an index finds."""
        return selectors.search_payouts(rows, words)

    @admin.display(description=_("amount"))
    def money_amount(self, payout: Payout) -> SafeString:
        """The money."""
        return display.money(payout.amount, payout.currency)

    @admin.display(description=_("due"))
    def due(self, payout: Payout) -> str:
        """The day."""
        return payout.due_date.isoformat()

    @admin.display(description=_("state"))
    def state(self, payout: Payout) -> SafeString:
        """Its state."""
        return display.state_of(payout)

    @admin.display(description=_("plan"))
    def of_plan(self, payout: Payout) -> SafeString | str:
        """The plan that has it."""
        return display.row_link(payout.plan)

    def heading(self, row: Payout) -> str:
        """Its id."""
        return row.external_id

    def badge(self, row: Payout) -> SafeString:
        """Its state."""
        return display.state_of(row)

    def buttons(self, request: HttpRequest, row: Payout) -> list[Button]:
        """Its own, and the freezes that can be drafted from here."""
        return [*super().buttons(request, row), *payout_story.drafts_from(request, row)]

    def sections(self, request: HttpRequest, row: Payout) -> Sequence[Section]:
        """Who, how much, what became of it."""
        held = [Notice(row.hold_reason, "warn", _("Held"))] if row.hold_reason else []
        return [
            *freezes_on(payout=row),
            *held,
            *open_changes(row),
            *payout_story.alike(row),
            *payout_story.story(request, row),
            timeline(request, entries_of(row)[:SHOWN_ON_PAGES], more=all_entries_of(Payout._meta.db_table, row.pk)),
        ]

    def side(self, _request: HttpRequest, row: Payout) -> Sequence[Section]:
        """Who is to be paid what."""
        return [
            Facts(
                _("Payout"),
                [
                    (_("amount"), display.money(row.amount, row.currency)),
                    (_("to"), row.beneficiary_name),
                    (_("IBAN"), display.link(display.list_url(Payout, q=row.iban), row.iban)),
                    (_("BIC"), display.code(row.bic)),
                    (_("due"), row.due_date.isoformat()),
                    (_("remittance"), row.remittance or display.NOTHING),
                    (_("merchant"), row.merchant or display.NOTHING),
                    (_("plan"), display.row_link(row.plan)),
                    (_("came in"), display.moment(row.created_at)),
                ],
            )
        ]

    def foot(self, request: HttpRequest, row: Payout) -> Sequence[Section]:
        """Each submission with its references."""
        if not may_see(request, Instruction):
            return []
        submissions = row.instructions.order_by("-id")
        return [instructions_table(submissions, _("Submissions"), _("It was never part of a plan."))]
