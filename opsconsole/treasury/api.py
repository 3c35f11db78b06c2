"""The API of treasury: each door reads a request, calls one service or selector, and renders what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.pagination import NewestFirst
from opsconsole.plans.examples import problem_response
from opsconsole.treasury import access, selectors
from opsconsole.treasury.errors import PayoutInvalid
from opsconsole.treasury.models import Payout
from opsconsole.treasury.payout_facts import FactsRefused, PayoutFacts, read_facts
from opsconsole.treasury.serializers import (
    AccountSerializer,
    BankSerializer,
    MandatoryReasonSerializer,
    PayoutDraftSerializer,
    PayoutFilterSerializer,
    PayoutSerializer,
    ReasonSerializer,
    RouteChangeSerializer,
    RouteSerializer,
)
from opsconsole.treasury.services import payouts, routes

KEY_HEADER = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key with the same request gets the same answer, and has its effect once.",
)
PAGE = [OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)]

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


class InOrderOfIds(NewestFirst):
    """Newest first by the id alone, which is in order of time: an import makes thousands in the same instant."""

    ordering: tuple[str, ...] = ("-id",)  # type: ignore[assignment] # of another length


def _page(view: ConsoleView, rows: QuerySet[Any], serializer: Callable[..., Any]) -> Response:
    paginator = InOrderOfIds()
    page = paginator.paginate_queryset(rows, view.request, view=view)
    return paginator.get_paginated_response(serializer(page, many=True).data)


def _body(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


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
        summary="List payouts",
        parameters=[PayoutFilterSerializer, *PAGE],
        responses={200: PayoutSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        visible = access.visible_payouts(self.actor)
        wanted = selectors.PayoutFilter(**_body(PayoutFilterSerializer(data=request.query_params)))
        return _page(self, selectors.filter_payouts(visible, wanted), PayoutSerializer)

    @extend_schema(
        summary="Bring in a payout",
        request=PayoutDraftSerializer,
        parameters=[KEY_HEADER],
        responses={201: PayoutSerializer, 200: PayoutSerializer, 400: problem_response(), 409: problem_response()},
        examples=[DRAFT, CREATED],
    )
    def post(self, request: Request) -> Response:
        """201 for a new payout, 200 for the same one again, 409 where the external_id is another payout's."""
        facts = _facts(_body(PayoutDraftSerializer(data=request.data)))
        answer = payouts.create_payout.once(
            self.request_key(),
            lambda made: _payout_answer(made[0], 201 if made[1] else 200),
            facts=facts,
            actor=self.actor,
        )
        return self.respond(answer)


class OnePayout(ConsoleView):
    """One payout."""

    @extend_schema(summary="Read a payout", responses={200: PayoutSerializer, 404: problem_response()})
    def get(self, _request: Request, payout_id: UUID) -> Response:
        """The payout with its status."""
        return Response(PayoutSerializer(access.payout_seen_by(self.actor, payout_id)).data)


class HoldPayout(ConsoleView):
    """Holding."""

    @extend_schema(
        summary="Hold a payout",
        request=MandatoryReasonSerializer,
        parameters=[KEY_HEADER],
        responses={200: PayoutSerializer, 404: problem_response(), 409: problem_response()},
        examples=[REASON, HELD],
    )
    def post(self, request: Request, payout_id: UUID) -> Response:
        """No plan takes it until it is released."""
        body = _body(MandatoryReasonSerializer(data=request.data))
        answer = payouts.hold_payout.once(
            self.request_key(), _payout_answer, payout_id=payout_id, reason=body["reason"], actor=self.actor
        )
        return self.respond(answer)


class ReleasePayout(ConsoleView):
    """Releasing."""

    @extend_schema(
        summary="Release a held payout",
        request=ReasonSerializer,
        parameters=[KEY_HEADER],
        responses={200: PayoutSerializer, 404: problem_response(), 409: problem_response()},
    )
    def post(self, request: Request, payout_id: UUID) -> Response:
        """It is payable again."""
        body = _body(ReasonSerializer(data=request.data or {}))
        answer = payouts.release_payout.once(
            self.request_key(), _payout_answer, payout_id=payout_id, reason=body["reason"], actor=self.actor
        )
        return self.respond(answer)


class RetryPayout(ConsoleView):
    """Paying again what failed or came back."""

    @extend_schema(
        summary="Make a failed or returned payout payable again",
        request=MandatoryReasonSerializer,
        parameters=[KEY_HEADER],
        responses={200: PayoutSerializer, 404: problem_response(), 409: problem_response()},
    )
    def post(self, request: Request, payout_id: UUID) -> Response:
        """Another plan may take it."""
        body = _body(MandatoryReasonSerializer(data=request.data))
        answer = payouts.retry_payout.once(
            self.request_key(), _payout_answer, payout_id=payout_id, reason=body["reason"], actor=self.actor
        )
        return self.respond(answer)


class Banks(ConsoleView):
    """All banks."""

    @extend_schema(
        summary="List banks", parameters=PAGE, responses={200: BankSerializer(many=True), 403: problem_response()}
    )
    def get(self, _request: Request) -> Response:
        """Those the caller may see, by role or by a grant on the one bank."""
        return _page(self, access.visible_banks(self.actor), BankSerializer)


class Accounts(ConsoleView):
    """All accounts."""

    @extend_schema(
        summary="List accounts",
        parameters=PAGE,
        responses={200: AccountSerializer(many=True), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Those the caller may see, by role or by a grant on the one account."""
        return _page(self, access.visible_accounts(self.actor), AccountSerializer)


class OneAccount(ConsoleView):
    """One account."""

    @extend_schema(summary="Read an account", responses={200: AccountSerializer, 404: problem_response()})
    def get(self, _request: Request, account_id: UUID) -> Response:
        """The account with its balance."""
        return Response(AccountSerializer(access.account_seen_by(self.actor, account_id)).data)


class Routes(ConsoleView):
    """All routes."""

    @extend_schema(
        summary="List routes", parameters=PAGE, responses={200: RouteSerializer(many=True), 403: problem_response()}
    )
    def get(self, _request: Request) -> Response:
        """Which account pays which corridor."""
        return _page(self, access.visible_routes(self.actor), RouteSerializer)


class OneRoute(ConsoleView):
    """One route."""

    @extend_schema(
        summary="Lead a route through another account",
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
    def patch(self, request: Request, route_id: UUID) -> Response:
        """The bank follows from the account; what is planned already keeps its way."""
        body = _body(RouteChangeSerializer(data=request.data))
        return Response(RouteSerializer(routes.change_route(route_id=route_id, actor=self.actor, **body)).data)
