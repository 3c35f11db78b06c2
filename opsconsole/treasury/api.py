"""The API of treasury: each door reads a request, calls one service or selector, and renders what came of it."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.core.filters import TrueOrFalse
from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response
from opsconsole.treasury import access, selectors
from opsconsole.treasury.currencies import DECIMALS
from opsconsole.treasury.errors import PayoutInvalid
from opsconsole.treasury.models import Freeze, Payout
from opsconsole.treasury.payouts.facts import MAX_MERCHANT, MAX_TEXT, FactsRefused, PayoutFacts, read_facts
from opsconsole.treasury.serializers import (
    AccountSerializer,
    BankSerializer,
    FreezeSerializer,
    MandatoryReasonSerializer,
    PayoutDraftSerializer,
    PayoutSerializer,
    ReasonSerializer,
    RouteChangeSerializer,
    RouteSerializer,
)
from opsconsole.treasury.services import payouts, routes
from opsconsole.treasury.states import FreezeKind, PayoutState

TAGS = ["treasury"]

_DRAFT = {
    "external_id": "invoice-2025-0815",
    "beneficiary_name": "Müller & Söhne GmbH",
    "iban": "DE89370400440532013000",
    "bic": "COBADEFFXXX",
    "amount": "1390.11",
    "currency": "EUR",
    "due_date": "2025-08-01",
    "remittance": "Invoice 0815",
}
_PAYOUT = {
    "id": "0198c0de-0000-7000-8000-000000000000",
    **_DRAFT,
    "status": "payable",
    "plan_id": None,
    "country": "DE",
    "hold_reason": "",
    "merchant": "",
    "created_at": "2025-07-21T07:00:00Z",
}
DRAFT = OpenApiExample("A payout", value=_DRAFT, request_only=True)
CREATED = OpenApiExample("The new payout", value=_PAYOUT, response_only=True, status_codes=["201"])
HELD = OpenApiExample(
    "Held",
    value={**_PAYOUT, "status": "held", "hold_reason": "IBAN to be confirmed by phone"},
    response_only=True,
    status_codes=["200"],
)
REASON = OpenApiExample("Why", value={"reason": "IBAN to be confirmed by phone"}, request_only=True)
REROUTE = OpenApiExample(
    "Through another bank",
    value={"account_id": "0198c0de-0000-7000-8000-00000000000a", "reason": "cheaper for SEPA since August"},
    request_only=True,
)


class PayoutFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of payouts can be narrowed."""

    status = filters.MultipleChoiceFilter(choices=PayoutState.choices)
    currency = filters.ChoiceFilter(choices=[(code, code) for code in sorted(DECIMALS)])
    due_before = filters.DateFilter(field_name="due_date", lookup_expr="lt")
    plan = filters.UUIDFilter(field_name="plan_id")
    merchant = filters.CharFilter(max_length=MAX_MERCHANT)
    search = filters.CharFilter(method="filter_search", max_length=MAX_TEXT)

    class Meta:
        model = Payout
        fields: tuple[str, ...] = ()

    def filter_search(self, payouts: QuerySet[Payout], _name: str, words: str) -> QuerySet[Payout]:
        """Payouts whose external id or name begins with the words, or whose IBAN they are."""
        return selectors.search_payouts(payouts, words)


class FreezeFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of freezes can be narrowed."""

    subject = filters.ChoiceFilter(field_name="kind", choices=FreezeKind.choices)
    subject_id = filters.CharFilter(field_name="subject", max_length=MAX_MERCHANT)
    plan = filters.UUIDFilter(field_name="plan_id")
    live = TrueOrFalse(field_name="lifted_at", lookup_expr="isnull")

    class Meta:
        model = Freeze
        fields: tuple[str, ...] = ()


def _payout_answer(payout: Payout, status: int = 200) -> Answer:
    return Answer(status, dict(PayoutSerializer(payout).data))


def _facts(body: dict[str, Any]) -> PayoutFacts:
    try:
        return read_facts({column: str(value) for column, value in body.items()})
    except FactsRefused as refused:
        errors = {column: [reason] for column, reason in refused.problems.items()}
        raise PayoutInvalid(f"The payout cannot be paid as it is: {refused}.", errors=errors) from refused


class Payouts(ConsoleView):
    """All payouts."""

    @extend_schema(
        operation_id="payouts_list",
        summary="List payouts",
        tags=TAGS,
        parameters=[
            OpenApiParameter("status", str, many=True, enum=PayoutState.values),
            OpenApiParameter("currency", str, description="ISO 4217."),
            OpenApiParameter("due_before", date, description="Due before this day."),
            OpenApiParameter("plan", UUID, description="The plan that has, or had, hold of them."),
            OpenApiParameter("merchant", str, description="On whose behalf."),
            OpenApiParameter("search", str, description="How the external id or the name begins, or the whole IBAN."),
        ],
        responses={200: PayoutSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access.visible_payouts(self.actor), PayoutSerializer, narrowed_by=PayoutFilter)

    @extend_schema(
        operation_id="payouts_create",
        summary="Bring in a payout",
        tags=TAGS,
        request=PayoutDraftSerializer,
        responses={201: PayoutSerializer, 200: PayoutSerializer, 400: problem_response(), 409: problem_response()},
        examples=[DRAFT, CREATED],
    )
    def post(self, _request: Request) -> Response:
        """201 for a new payout, 200 for the same one again, 409 where the external_id is another payout's."""
        facts = _facts(self.read(PayoutDraftSerializer))
        answer = payouts.create_payout.once(
            self.request_key(),
            lambda made: _payout_answer(made[0], 201 if made[1] else 200),
            facts=facts,
            actor=self.actor,
        )
        return self.respond(answer)


class OnePayout(ConsoleView):
    """One payout."""

    @extend_schema(
        operation_id="payouts_retrieve",
        summary="Read a payout",
        tags=TAGS,
        responses={200: PayoutSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, payout_id: UUID) -> Response:
        """The payout with its status."""
        return Response(PayoutSerializer(access.payout_seen_by(self.actor, payout_id)).data)


class HoldPayout(ConsoleView):
    """Holding."""

    @extend_schema(
        operation_id="payouts_hold",
        summary="Hold a payout",
        tags=TAGS,
        request=MandatoryReasonSerializer,
        responses={200: PayoutSerializer, 404: problem_response(), 409: problem_response()},
        examples=[REASON, HELD],
    )
    def post(self, _request: Request, payout_id: UUID) -> Response:
        """No plan takes it until it is released."""
        body = self.read(MandatoryReasonSerializer)
        answer = payouts.hold_payout.once(
            self.request_key(), _payout_answer, payout_id=payout_id, reason=body["reason"], actor=self.actor
        )
        return self.respond(answer)


class ReleasePayout(ConsoleView):
    """Releasing."""

    @extend_schema(
        operation_id="payouts_release",
        summary="Release a held payout",
        tags=TAGS,
        request=ReasonSerializer,
        responses={200: PayoutSerializer, 404: problem_response(), 409: problem_response()},
    )
    def post(self, _request: Request, payout_id: UUID) -> Response:
        """It is payable again."""
        body = self.read(ReasonSerializer)
        answer = payouts.release_payout.once(
            self.request_key(), _payout_answer, payout_id=payout_id, reason=body["reason"], actor=self.actor
        )
        return self.respond(answer)


class RetryPayout(ConsoleView):
    """Paying again what failed or came back."""

    @extend_schema(
        operation_id="payouts_retry",
        summary="Make a failed or returned payout payable again",
        tags=TAGS,
        request=MandatoryReasonSerializer,
        responses={200: PayoutSerializer, 404: problem_response(), 409: problem_response()},
    )
    def post(self, _request: Request, payout_id: UUID) -> Response:
        """Another plan may take it."""
        body = self.read(MandatoryReasonSerializer)
        answer = payouts.retry_payout.once(
            self.request_key(), _payout_answer, payout_id=payout_id, reason=body["reason"], actor=self.actor
        )
        return self.respond(answer)


class Banks(ConsoleView):
    """All banks."""

    @extend_schema(
        operation_id="banks_list",
        summary="List banks",
        tags=TAGS,
        responses={200: BankSerializer(many=True), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Those the caller may see, by role or by a grant on the one bank."""
        return self.page(access.visible_banks(self.actor), BankSerializer)


class Accounts(ConsoleView):
    """All accounts."""

    @extend_schema(
        operation_id="accounts_list",
        summary="List accounts",
        tags=TAGS,
        responses={200: AccountSerializer(many=True), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Those the caller may see, by role or by a grant on the one account."""
        return self.page(access.visible_accounts(self.actor), AccountSerializer)


class OneAccount(ConsoleView):
    """One account."""

    @extend_schema(
        operation_id="accounts_retrieve",
        summary="Read an account",
        tags=TAGS,
        responses={200: AccountSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, account_id: UUID) -> Response:
        """The account with its balance."""
        return Response(AccountSerializer(access.account_seen_by(self.actor, account_id)).data)


class Routes(ConsoleView):
    """All routes."""

    @extend_schema(
        operation_id="routes_list",
        summary="List routes",
        tags=TAGS,
        responses={200: RouteSerializer(many=True), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Which account pays which corridor."""
        return self.page(access.visible_routes(self.actor), RouteSerializer)


class OneRoute(ConsoleView):
    """One route."""

    @extend_schema(
        operation_id="routes_change",
        summary="Lead a route through another account",
        tags=TAGS,
        request=RouteChangeSerializer,
        responses={
            200: RouteSerializer,
            400: problem_response(),
            403: problem_response(),
            404: problem_response(),
            422: problem_response(),
        },
        examples=[REROUTE],
    )
    def patch(self, _request: Request, route_id: UUID) -> Response:
        """The bank follows from the account; what is planned already keeps its way."""
        body = self.read(RouteChangeSerializer)
        return Response(RouteSerializer(routes.change_route(route_id=route_id, actor=self.actor, **body)).data)


class Freezes(ConsoleView):
    """All freezes."""

    @extend_schema(
        operation_id="freezes_list",
        summary="List freezes",
        tags=TAGS,
        parameters=[
            OpenApiParameter("subject", str, enum=FreezeKind.values),
            OpenApiParameter("subject_id", str, description="An account's id, an IBAN, a merchant's id."),
            OpenApiParameter("plan", UUID, description="The plan that set them."),
            OpenApiParameter("live", bool, description="Those that stand, or those that were lifted."),
        ],
        responses={200: FreezeSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first; those that were lifted stay in the list. A plan sets one, and its rollback lifts it."""
        return self.page(access.visible_freezes(self.actor), FreezeSerializer, narrowed_by=FreezeFilter)
