"""Vouchers: the batches, how many of each are spent, and single codes, of which only the ending is shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.admin import bars
from loyalty.admin.in_program import OfProgram
from loyalty.admin.transactions import movement_link
from loyalty.admin.voucher_buttons import ExportCodes, IssueBatch, LookUp, WithdrawBatch, WithdrawVoucher
from loyalty.models import Balance, Transaction, Voucher, VoucherBatch
from loyalty.states import VoucherState
from loyalty.vouchers.figures import Standing, redeemed_by_day, standing_of, with_voided
from opsconsole.core.actors import Actor
from opsconsole.core.admin import charts, display
from opsconsole.core.admin.actions import Action
from opsconsole.core.admin.bars import Part, shares_of
from opsconsole.core.admin.base import ConsoleAdmin, View
from opsconsole.core.admin.filters import StatusWithin
from opsconsole.core.admin.pages import Facts, Figures, Link, Notice, Section, Table
from opsconsole.core.admin.progress import progress_answer, progress_card
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of

REDEEMED_SHOWN: Final = 10
OF_BATCH: Final = "batch__id__exact"
MAKING: Final = "console/loyalty/making_inside.html"


@admin.register(VoucherBatch)
class VoucherBatchAdmin(ConsoleAdmin[VoucherBatch]):
    """Batches, the newest first."""

    list_display = ("name", "of_program", "state", "worth", "issued", "spent", "withdrawn", "bar")
    nothing = _("There are no vouchers yet: issue a batch, and export its codes.")
    list_filter = (OfProgram,)
    list_select_related = ("program",)
    ordering = ("-id",)
    search_fields = ("name",)
    row_actions = (ExportCodes(), WithdrawBatch())

    def visible(self, actor: Actor) -> QuerySet[VoucherBatch]:
        """The batches the actor may see."""
        return access.visible_batches(actor)

    def get_queryset(self, request: HttpRequest) -> QuerySet[VoucherBatch]:
        """With what is not counted in the row."""
        return with_voided(super().get_queryset(request))

    def list_actions(self) -> Sequence[Action[None]]:
        """Issue one, or find a code."""
        return [IssueBatch(), LookUp()]

    def more_urls(self) -> dict[str, View]:
        """How far the worker is, alone."""
        return {"progress": self.progress_view}

    def progress_view(self, _request: HttpRequest, row: VoucherBatch) -> HttpResponse:
        """How far the worker is; the header says whether to look again."""
        return progress_answer(MAKING, making_of(row), live=_is_being_made(row))

    @admin.display(description=_("program"))
    def of_program(self, batch: VoucherBatch) -> str:
        """In which program."""
        return batch.program.name

    @admin.display(description=_("state"))
    def state(self, batch: VoucherBatch) -> SafeString:
        """Whether its codes count."""
        return state_of(batch)

    @admin.display(description=_("points each"))
    def worth(self, batch: VoucherBatch) -> str:
        """What a code is worth."""
        return display.number(batch.points)

    @admin.display(description=_("issued"))
    def issued(self, batch: VoucherBatch) -> str:
        """How many codes there are; while they are made, how many of how many."""
        if batch.is_made or batch.withdrawn_at is not None:
            return display.number(batch.made)
        return now_("%(made)s of %(count)s") % {
            "made": display.number(batch.made),
            "count": display.number(batch.count),
        }

    @admin.display(description=_("redeemed"))
    def spent(self, batch: VoucherBatch) -> str:
        """How many are spent."""
        return display.number(batch.redeemed)

    @admin.display(description=_("withdrawn"))
    def withdrawn(self, batch: VoucherBatch) -> str:
        """How many count no more by somebody's doing."""
        standing = standing_of(batch, timezone.now())
        gone = standing.void + (standing.over if batch.withdrawn_at is not None else 0)
        return display.number(gone) if gone else display.NOTHING

    @admin.display(description=_("use"))
    def bar(self, batch: VoucherBatch) -> SafeString:
        """The same as a picture."""
        return bars.strip(_parts(batch, standing_of(batch, timezone.now())), batch.made)

    def badge(self, row: VoucherBatch) -> SafeString:
        """Whether its codes count."""
        return state_of(row)

    def sections(self, _request: HttpRequest, row: VoucherBatch) -> Sequence[Section]:
        """What stands in the way, how far the worker is, what is spent, when, and by whom."""
        standing = standing_of(row, timezone.now())
        making = [_making(row)] if _is_being_made(row) else []
        if not row.made:
            return making or [Notice(_("It was withdrawn before any code was made."), "info")]
        return [
            *_notices(row),
            *making,
            figures(row, standing),
            bars.section(
                _("Use of the codes"),
                _parts(row, standing),
                row.made,
                more=Link(display.list_url(Voucher, **{OF_BATCH: row.pk}), _("All vouchers of this batch")),
            ),
            chart_of(row),
            redeemed_table(row),
        ]

    def side(self, _request: HttpRequest, row: VoucherBatch) -> Sequence[Section]:
        """What it is."""
        return [Facts(_("Batch"), _batch_facts(row))]

    def foot(self, request: HttpRequest, row: VoucherBatch) -> Sequence[Section]:
        """What was done to it."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(VoucherBatch._meta.db_table, row.pk))]


def _is_being_made(row: VoucherBatch) -> bool:
    return not row.is_made and row.withdrawn_at is None


def state_of(batch: VoucherBatch) -> SafeString:
    """Whether the codes of a batch count, in its colour."""
    now = timezone.now()
    if batch.withdrawn_at is not None:
        return display.label(_("withdrawn"), "bad")
    if not batch.is_made:
        return display.label(_("being made"), "info")
    if batch.valid_from > now:
        return display.label(_("not valid yet"), "warn")
    if batch.expires_at is not None and batch.expires_at <= now:
        return display.label(_("expired"), "plain")
    return display.label(_("valid"), "good")


def making_of(row: VoucherBatch) -> dict[str, Any]:
    """How far the worker is, as the bar shows it."""
    parts = [Part("succeeded", _("codes made"), row.made)]
    return {
        "state": state_of(row),
        "made": row.made,
        "count": row.count,
        "percent": bars.percent(row.made, row.count),
        "shares": shares_of(parts, row.count),
    }


def _making(row: VoucherBatch) -> Section:
    live_url = reverse("admin:loyalty_voucherbatch_progress", args=[row.pk])
    return progress_card(_("Codes are being made"), MAKING, making_of(row), live_url=live_url)


def _parts(batch: VoucherBatch, standing: Standing) -> list[Part]:
    over = _("withdrawn with the batch") if batch.withdrawn_at is not None else _("expired")
    parts = [
        Part("succeeded", _("redeemed"), standing.redeemed),
        Part("left", _("can be redeemed"), standing.good),
        Part("failed", _("withdrawn one by one"), standing.void),
        Part("skipped", over, standing.over),
    ]
    return [part for place, part in enumerate(parts) if place == 0 or part.count]


def figures(row: VoucherBatch, standing: Standing) -> Figures:
    """The codes in numbers, and what is still to come."""
    return Figures(
        _("Codes"),
        [
            (_("issued"), display.number(row.made), ""),
            (_("redeemed"), display.number(row.redeemed), ""),
            (_("can be redeemed"), display.number(standing.good), ""),
            (_("points given"), display.number(row.redeemed * row.points), ""),
            (_("points that may still be given"), display.number(standing.good * row.points), ""),
        ],
    )


def chart_of(row: VoucherBatch) -> Section:
    """Redemptions day by day."""
    days = redeemed_by_day(row.pk, today=datetime.now(tz=UTC).date())
    return charts.chart(
        now_("Redeemed, last %(days)s days") % {"days": len(days)},
        [day for day, _count in days],
        [charts.Series(_("redeemed"), charts.GREEN, [float(count) for _day, count in days])],
    )


def redeemed_table(row: VoucherBatch) -> Table:
    """The codes that were redeemed last."""
    found = Voucher.objects.filter(batch=row, status=VoucherState.REDEEMED).select_related("balance")
    return Table(
        _("Redeemed last"),
        [_("code"), _("member"), _("when")],
        [
            [display.row_link(one), display.row_link(one.balance), display.moment(one.redeemed_at)]
            for one in found.order_by("-redeemed_at")[:REDEEMED_SHOWN]
        ],
        empty=_("Nobody has redeemed one yet."),
    )


def _notices(row: VoucherBatch) -> list[Section]:
    if row.withdrawn_at is not None:
        return []
    worth = (row.made - row.redeemed) * row.points
    left = int(row.program.budget_left)
    if worth <= left or (row.expires_at is not None and row.expires_at <= timezone.now()):
        return []
    told = now_("The codes that are left are worth %(worth)s points, and the budget of %(program)s has %(left)s left.")
    text = told % {"worth": display.number(worth), "program": row.program.name, "left": display.number(left)}
    return [Notice(text, "warn", _("More than the budget"))]


def _batch_facts(row: VoucherBatch) -> list[tuple[Text, Any]]:
    facts: list[tuple[Text, Any]] = [
        (_("program"), display.row_link(row.program)),
        (_("points each"), display.number(row.points)),
        (_("ordered"), display.number(row.count)),
        (_("at most for one member"), display.number(row.per_member)),
        (_("valid from"), display.moment(row.valid_from)),
        (_("valid until"), display.moment(row.expires_at) if row.expires_at else _("for ever")),
    ]
    if row.withdrawn_at is not None:
        facts.append((_("withdrawn"), display.moment(row.withdrawn_at)))
    return [
        *facts,
        (_("issued by"), row.made_by.username if row.made_by else display.NOTHING),
        (_("issued on"), display.moment(row.created_at)),
        (_("id"), display.copyable(str(row.pk))),
    ]


@admin.register(Voucher)
class VoucherAdmin(ConsoleAdmin[Voucher]):
    """Single vouchers, the newest first."""

    list_display = ("shown", "of_batch", "of_program", "worth", "state", "by", "at")
    nothing = _("There are no vouchers yet: issue a batch.")
    list_filter = (
        StatusWithin.of(VoucherState, indexed=(VoucherState.REDEEMED, VoucherState.VOID), parents=(OF_BATCH,)),
    )
    ordering = ("-id",)
    search_help_text = _("A member's id, in full; a code is found by “Look up a code”")
    row_actions = (WithdrawVoucher(),)

    def visible(self, actor: Actor) -> QuerySet[Voucher]:
        """The vouchers the actor may see."""
        return access.visible_vouchers(actor)

    def list_actions(self) -> Sequence[Action[None]]:
        """Find a code."""
        return [LookUp()]

    def get_search_fields(self, _request: HttpRequest) -> tuple[str, ...]:
        """So that there is a field to search in."""
        return ("balance__user_id",)

    def find(self, rows: QuerySet[Voucher], words: str) -> QuerySet[Voucher]:
        """What a member has redeemed, by an index."""
        return rows.filter(balance__in=Balance.objects.filter(user_id=words).values("pk"))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Those of one batch, which its page leads to."""
        return lookup == OF_BATCH or super().lookup_allowed(lookup, value, request)

    @admin.display(description=_("code"))
    def shown(self, voucher: Voucher) -> SafeString | str:
        """As much of it as may be shown."""
        return display.code(voucher.ending)

    @admin.display(description=_("batch"))
    def of_batch(self, voucher: Voucher) -> str:
        """Of which batch."""
        return voucher.batch.name

    @admin.display(description=_("program"))
    def of_program(self, voucher: Voucher) -> str:
        """In which program."""
        return voucher.batch.program.name

    @admin.display(description=_("points"))
    def worth(self, voucher: Voucher) -> str:
        """What it is worth."""
        return display.number(voucher.batch.points)

    @admin.display(description=_("state"))
    def state(self, voucher: Voucher) -> SafeString:
        """Whether it can be redeemed."""
        return voucher_state(voucher)

    @admin.display(description=_("redeemed by"))
    def by(self, voucher: Voucher) -> str:
        """Who has its points."""
        return voucher.balance.user_id if voucher.balance else display.NOTHING

    @admin.display(description=_("redeemed on"))
    def at(self, voucher: Voucher) -> SafeString | str:
        """When."""
        return display.moment(voucher.redeemed_at)

    def heading(self, row: Voucher) -> Text:
        """Which one."""
        return now_("Voucher %(ending)s of %(batch)s") % {"ending": row.ending, "batch": row.batch.name}

    def badge(self, row: Voucher) -> SafeString:
        """Whether it can be redeemed."""
        return voucher_state(row)

    def sections(self, _request: HttpRequest, row: Voucher) -> Sequence[Section]:
        """All that is known of it, but the code."""
        return [Facts(_("Voucher"), _voucher_facts(row))]

    def foot(self, request: HttpRequest, row: Voucher) -> Sequence[Section]:
        """What was done to it."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(Voucher._meta.db_table, row.pk))]


def voucher_state(voucher: Voucher) -> SafeString:
    """Whether a voucher can be redeemed: one that is issued counts as its batch does."""
    if voucher.status == VoucherState.ISSUED:
        return state_of(voucher.batch)
    return display.label(voucher.state.label, "bad" if voucher.status == VoucherState.VOID else "info")


def _voucher_facts(row: Voucher) -> list[tuple[Text, Any]]:
    moved = Transaction.objects.filter(pk=row.transaction_id).first() if row.transaction_id else None
    return [
        (_("code"), display.code(row.ending)),
        (_("batch"), display.row_link(row.batch)),
        (_("program"), display.row_link(row.batch.program)),
        (_("points"), display.number(row.batch.points)),
        (_("redeemed by"), display.row_link(row.balance)),
        (_("redeemed on"), display.moment(row.redeemed_at)),
        (_("transaction"), movement_link(moved) if moved else display.NOTHING),
        (_("valid from"), display.moment(row.batch.valid_from)),
        (_("valid until"), display.moment(row.batch.expires_at) if row.batch.expires_at else _("for ever")),
        (_("made"), display.moment(row.created_at)),
        (_("id"), display.copyable(str(row.pk))),
    ]
