"""The doors of vouchers."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.http import StreamingHttpResponse
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from loyalty import access
from loyalty.api.base import LoyaltyView
from loyalty.errors import VoucherRefused
from loyalty.models import Voucher, VoucherBatch
from loyalty.serializers.asking import WhySerializer
from loyalty.serializers.vouchers import (
    BatchSerializer,
    NewBatchSerializer,
    RedeemedSerializer,
    RedeemVoucherSerializer,
    VoucherSerializer,
    WithdrawCodeSerializer,
)
from loyalty.services import vouchers
from loyalty.services.vouchers import Redeemed
from loyalty.states import VoucherState
from loyalty.vouchers import files
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response
from opsconsole.journal.exports_api import CsvRenderer

TAGS = ["loyalty"]
CSV: Final = "text/csv"
REFUSALS = {code: problem_response() for code in (400, 403, 404, 409, 422)}

ISSUE = OpenApiExample(
    "Vouchers for a fair",
    value={
        "programId": "0198c0de-0000-7000-8000-000000000001",
        "name": "Fair 2027",
        "points": 250,
        "count": 10_000,
        "perMember": 1,
        "expiresAt": "2027-12-31T23:59:59Z",
    },
    request_only=True,
)
REDEEM = OpenApiExample("A code", value={"code": "7XK2-9QWD-4M0T-ZB1H", "userId": "user-42"}, request_only=True)


class BatchFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of batches can be narrowed."""

    programId = filters.UUIDFilter(field_name="program_id")  # noqa: N815 - as the API spells it

    class Meta:
        model = VoucherBatch
        fields: tuple[str, ...] = ()


class VoucherFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the vouchers of a batch can be narrowed."""

    status = filters.ChoiceFilter(choices=VoucherState.choices)

    class Meta:
        model = Voucher
        fields: tuple[str, ...] = ()


def _batch(batch: VoucherBatch, status: int = 200) -> Answer:
    return Answer(status, dict(BatchSerializer(batch).data))


class Batches(LoyaltyView):
    """All batches of vouchers."""

    @extend_schema(
        operation_id="voucher_batches_list",
        summary="List batches of vouchers",
        tags=TAGS,
        parameters=[OpenApiParameter("programId", UUID, description="Those of one program.")],
        responses={200: BatchSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access.visible_batches(self.actor), BatchSerializer, narrowed_by=BatchFilter)

    @extend_schema(
        operation_id="voucher_batches_issue",
        summary="Issue vouchers",
        tags=TAGS,
        request=NewBatchSerializer,
        responses={201: BatchSerializer, 200: BatchSerializer, **REFUSALS},
        examples=[ISSUE],
    )
    def post(self, _request: Request) -> Response:
        """A worker makes the codes; `made` of the batch says how far it is. The same order again is the same batch."""
        answer = vouchers.issue_batch.once(
            self.request_key(),
            lambda made: _batch(made[0], 201 if made[1] else 200),
            **self.read(NewBatchSerializer),
            actor=self.actor,
        )
        return self.respond(answer)


class OneBatch(LoyaltyView):
    """One batch."""

    @extend_schema(
        operation_id="voucher_batches_retrieve",
        summary="Read a batch of vouchers",
        tags=TAGS,
        responses={200: BatchSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, batch_id: UUID) -> Response:
        """How many codes it has, and how many of them are redeemed."""
        return Response(BatchSerializer(access.batch_seen_by(self.actor, batch_id)).data)


class BatchVouchers(LoyaltyView):
    """The vouchers of a batch."""

    @extend_schema(
        operation_id="voucher_batches_vouchers",
        summary="List the vouchers of a batch",
        tags=TAGS,
        parameters=[OpenApiParameter("status", str, enum=VoucherState.values)],
        responses={200: VoucherSerializer(many=True), 400: problem_response(), 404: problem_response()},
    )
    def get(self, _request: Request, batch_id: UUID) -> Response:
        """With who redeemed them; the codes themselves come with an export only."""
        batch = access.batch_seen_by(self.actor, batch_id)
        return self.page(Voucher.objects.filter(batch=batch), VoucherSerializer, narrowed_by=VoucherFilter)


class WithdrawBatch(LoyaltyView):
    """Withdrawing a batch."""

    @extend_schema(
        operation_id="voucher_batches_withdraw",
        summary="Withdraw a batch of vouchers",
        tags=TAGS,
        request=WhySerializer,
        responses={200: BatchSerializer, **REFUSALS},
    )
    def post(self, _request: Request, batch_id: UUID) -> Response:
        """None of its codes counts from then on; what was redeemed stays."""
        body = self.read(WhySerializer)
        answer = vouchers.withdraw_batch.once(self.request_key(), _batch, batch_id=batch_id, **body, actor=self.actor)
        return self.respond(answer)


class ExportBatch(LoyaltyView):
    """Taking codes away."""

    renderer_classes = (JSONRenderer, CsvRenderer)

    @extend_schema(
        operation_id="voucher_batches_export",
        summary="Take the codes of a batch away as a file",
        tags=TAGS,
        request=WhySerializer,
        responses={(200, CSV): OpenApiTypes.BINARY, **REFUSALS},
    )
    def post(self, _request: Request, batch_id: UUID) -> StreamingHttpResponse:
        """The journal tells who took them, before the first one leaves. The file comes line by line."""
        body = self.read(WhySerializer)
        batch = vouchers.record_export(batch_id=batch_id, **body, actor=self.actor)
        return StreamingHttpResponse(
            files.lines(batch.pk),
            content_type=f"{CSV}; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="vouchers-{batch.pk}.csv"',
                "Cache-Control": "no-store",
            },
        )


class RedeemVoucher(LoyaltyView):
    """Redeeming."""

    @extend_schema(
        operation_id="vouchers_redeem",
        summary="Redeem a voucher",
        tags=TAGS,
        request=RedeemVoucherSerializer,
        responses={201: RedeemedSerializer, **REFUSALS, 503: problem_response("Too many wrong codes of late.")},
        examples=[REDEEM],
    )
    def post(self, _request: Request) -> Response:
        """Once. A code that cannot be redeemed gets one answer, whatever is wrong with it."""
        body = self.read(RedeemVoucherSerializer)
        try:
            answer = vouchers.redeem_voucher.once(self.request_key(), _redeemed, **body, actor=self.actor)
        except VoucherRefused:
            # What was tried is undone by now, so this is an operation of its own.
            vouchers.note_wrong_code(user_id=body["user_id"], actor=self.actor)
            raise
        return self.respond(answer)


class WithdrawVoucher(LoyaltyView):
    """Withdrawing one code."""

    @extend_schema(
        operation_id="vouchers_withdraw",
        summary="Withdraw one voucher",
        tags=TAGS,
        request=WithdrawCodeSerializer,
        responses={200: VoucherSerializer, **REFUSALS},
    )
    def post(self, _request: Request) -> Response:
        """By its code, such as one that got out; it counts no more."""
        answer = vouchers.withdraw_code.once(
            self.request_key(),
            lambda voucher: Answer(200, dict(VoucherSerializer(voucher).data)),
            **self.read(WithdrawCodeSerializer),
            actor=self.actor,
        )
        return self.respond(answer)


def _redeemed(redeemed: Redeemed) -> Answer:
    return Answer(201, dict(RedeemedSerializer(redeemed).data))
