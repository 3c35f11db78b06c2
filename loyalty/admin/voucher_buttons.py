"""What people do about vouchers: issue a batch, look a code up, withdraw, take the codes away as a file."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import FileResponse
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from loyalty import access
from loyalty.admin.in_program import InProgram, InProgramForm, moment
from loyalty.ledger import MOST_POINTS
from loyalty.models import Voucher, VoucherBatch
from loyalty.services import vouchers
from loyalty.services.vouchers import ISSUE, MAX_NAME, MOST_CODES
from loyalty.states import VoucherState
from loyalty.vouchers import files
from loyalty.vouchers.codes import LENGTH, normal
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, done, then
from opsconsole.core.errors import Denied
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text

SEE = "loyalty.view_voucherbatch"
EXPORT = "loyalty.export_vouchers"
MAX_TYPED = 60


class BatchForm(InProgramForm):
    """What is issued, how many, and for how long."""

    name = forms.CharField(
        label=_("Name"), help_text=_("Once in a program, for example “Fair 2027”."), max_length=MAX_NAME
    )
    points = forms.IntegerField(label=_("Points each"), min_value=1, max_value=MOST_POINTS)
    count = forms.IntegerField(
        label=_("How many codes"),
        help_text=_("A worker makes them; a million takes less than a minute."),
        min_value=1,
        max_value=MOST_CODES,
    )
    per_member = forms.IntegerField(label=_("At most for one member"), min_value=1, max_value=MOST_CODES, initial=1)
    valid_from = moment(_("Valid from"), help_text=_("In UTC. Empty: at once."))
    expires_at = moment(_("Valid until"), help_text=_("In UTC. Empty: they never expire."))


class IssueBatch(InProgram):
    """Issue a batch."""

    name = "new"
    label = _("Issue vouchers")
    icon = "add"
    permission = ISSUE
    form = BatchForm

    def question(self, _row: None) -> Text:
        """What it costs, and when."""
        return now_("Issue a batch of vouchers? They take from the budget when they are redeemed, not before.")

    def perform(self, press: Press[None]) -> Answer:
        """Order them."""
        facts = {name: value for name, value in press.data.items() if name not in ("key", "program")}
        return vouchers.issue_batch.once(
            press.key,
            then(_ordered, lambda made: display.row_url(made[0])),
            program_id=press.data["program"].pk,
            **facts,
            actor=press.actor,
        )


def _ordered(made: tuple[VoucherBatch, bool]) -> Text:
    batch, new = made
    if not new:
        return now_("This very batch is there already; nothing was added.")
    told = ngettext(
        "%(count)s code is ordered; a worker makes it now.",
        "%(count)s codes are ordered; a worker makes them now.",
        batch.count,
    )
    return told % {"count": display.number(batch.count)}


class LookUpForm(ActionForm):
    """A code as it stands on a card or in a mail."""

    code = forms.CharField(
        label=_("Code"),
        help_text=_("Blanks, hyphens and case do not matter."),
        max_length=MAX_TYPED,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "class": "ops-mono"}),
    )
    vouchers: QuerySet[Voucher] = Voucher.objects.none()
    found: Voucher

    def clean_code(self) -> str:
        """The code as it is stored; raises ValidationError for none, and for one that the viewer may not see."""
        code = normal(self.cleaned_data["code"])
        if code is None:
            raise forms.ValidationError(now_("This is no code: a code has %(length)s letters and digits.") % {
                "length": LENGTH
            })  # fmt: skip
        found = self.vouchers.filter(code=code).first()
        if found is None:
            raise forms.ValidationError(now_("There is no such voucher."))
        self.found = found
        return code


class LookUp(Action[None]):
    """Find the voucher with a code. By a form that is sent, since an address with a code in it would be logged."""

    name = "look-up"
    label = _("Look up a code")
    icon = "search"
    permission = SEE
    form = LookUpForm

    def allowed(self, actor: Actor, _row: None) -> bool:
        """Whoever sees vouchers."""
        try:
            access.visible_batches(actor)
        except Denied:
            return False
        return True

    def make_form(self, actor: Actor, row: None, data: Any = None, files: Any = None) -> ActionForm:
        """Among the vouchers that the viewer may see."""
        form = super().make_form(actor, row, data, files)
        if isinstance(form, LookUpForm):
            form.vouchers = access.visible_vouchers(actor)
        return form

    def question(self, _row: None) -> Text:
        """What comes of it."""
        return now_("Which voucher has this code? Nothing is redeemed by looking.")

    def perform(self, press: Press[None]) -> Answer:
        """Go there."""
        found = access.visible_vouchers(press.actor).get(code=press.data["code"])
        said = now_("This is the voucher %(ending)s of %(batch)s.") % {
            "ending": found.ending,
            "batch": found.batch.name,
        }
        return done(said, to=display.row_url(found))


class _OnBatch(Action[VoucherBatch]):
    """Something done to one batch; the right to it may be granted on its program alone."""

    def allowed(self, actor: Actor, row: VoucherBatch) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.program)


class ExportCodes(_OnBatch):
    """Take the codes away."""

    name = "export"
    label = _("Export the codes")
    icon = "download"
    permission = EXPORT
    form = ReasonForm
    downloads = True

    def obstacle(self, _actor: Actor, row: VoucherBatch) -> Text:
        """They must all be there."""
        if row.is_made or row.withdrawn_at is not None:
            return ""
        return now_("%(made)s of %(count)s codes are made; wait for the rest.") % {
            "made": display.number(row.made),
            "count": display.number(row.count),
        }

    def question(self, row: VoucherBatch) -> Text:
        """What leaves the house."""
        return now_(
            "Take %(count)s codes of %(name)s away as a CSV file? Whoever has a code has its points. That you took them"
            " goes into the journal."
        ) % {"count": display.number(row.made), "name": row.name}

    def perform(self, press: Press[VoucherBatch]) -> FileResponse:
        """Say so in the journal, and only then send the first line."""
        batch = vouchers.record_export(batch_id=press.row.pk, reason=press.data["reason"], actor=press.actor)
        return FileResponse(
            files.lines(batch.pk),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="vouchers-{batch.pk}.csv"',
                "Cache-Control": "no-store",
            },
        )


class WithdrawBatch(_OnBatch):
    """Have none of it count any more."""

    name = "withdraw"
    label = _("Withdraw the batch")
    icon = "block"
    tone = "danger"
    permission = ISSUE
    form = ReasonForm

    def offered(self, _actor: Actor, row: VoucherBatch) -> bool:
        """Once."""
        return row.withdrawn_at is None

    def question(self, row: VoucherBatch) -> Text:
        """How many it hits."""
        left = row.count - row.redeemed
        told = ngettext(
            "Withdraw %(name)s for good? %(count)s code counts no more; what was redeemed stays.",
            "Withdraw %(name)s for good? %(count)s codes count no more; what was redeemed stays.",
            left,
        )
        return told % {"name": row.name, "count": display.number(left)}

    def typed(self, row: VoucherBatch) -> str:
        """Its name."""
        return row.name

    def perform(self, press: Press[VoucherBatch]) -> Answer:
        """Withdraw it."""
        return vouchers.withdraw_batch.once(
            press.key,
            then(lambda _batch: now_("The batch is withdrawn."), display.row_url),
            batch_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class WithdrawVoucher(Action[Voucher]):
    """Have one code count no more."""

    name = "withdraw"
    label = _("Withdraw the code")
    icon = "block"
    tone = "danger"
    permission = ISSUE
    form = ReasonForm

    def allowed(self, actor: Actor, row: Voucher) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.batch.program)

    def offered(self, _actor: Actor, row: Voucher) -> bool:
        """While it is not spent."""
        return row.status == VoucherState.ISSUED

    def question(self, row: Voucher) -> Text:
        """Which one."""
        return now_("Withdraw the code %(ending)s of %(batch)s for good? Nobody can redeem it any more.") % {
            "ending": row.ending,
            "batch": row.batch.name,
        }

    def perform(self, press: Press[Voucher]) -> Answer:
        """Withdraw it."""
        return vouchers.withdraw_voucher.once(
            press.key,
            then(lambda _voucher: now_("The code counts no more."), display.row_url),
            voucher_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )
