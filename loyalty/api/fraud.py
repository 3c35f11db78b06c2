"""The doors of fraud: the review queue, and the rules that fill it."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from loyalty import access_fraud
from loyalty.api.base import LoyaltyView
from loyalty.fraud.detection import Found
from loyalty.fraud.figures import precision_by_rule
from loyalty.models import FraudHit, FraudRule
from loyalty.serializers.fraud import (
    BackTestSerializer,
    FraudFoundSerializer,
    FraudHitSerializer,
    FraudLookSerializer,
    FraudPrecisionsSerializer,
    FraudRuleChangeSerializer,
    FraudRuleSerializer,
    FraudSwitchSerializer,
    FraudVerdictSerializer,
    NewFraudRuleSerializer,
)
from loyalty.serializers.members import MAX_USER
from loyalty.services import fraud, fraud_rules
from loyalty.states import HitState
from opsconsole.core.filters import TrueOrFalse
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response

TAGS = ["loyalty"]
REFUSALS = {code: problem_response() for code in (400, 403, 404, 409)}

RULE = OpenApiExample(
    "Many members behind one address",
    value={
        "code": "office_network",
        "kind": "address",
        "limits": {"hours": 24, "maxMembers": 5},
        "allowedNetworks": ["203.0.113.0/24"],
        "locks": False,
        "reviewHours": 24,
        "reason": "our own shops are one network",
    },
    request_only=True,
)


class HitFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the review queue can be narrowed."""

    status = filters.ChoiceFilter(choices=HitState.choices)
    overdue = TrueOrFalse(method="filter_overdue")
    ruleId = filters.UUIDFilter(field_name="rule_id")  # noqa: N815 - as the API spells it
    programId = filters.UUIDFilter(field_name="balance__program_id")  # noqa: N815
    userId = filters.CharFilter(field_name="balance__user_id", max_length=MAX_USER)  # noqa: N815

    class Meta:
        model = FraudHit
        fields: tuple[str, ...] = ()

    def filter_overdue(self, hits: QuerySet[FraudHit], _name: str, value: bool) -> QuerySet[FraudHit]:  # noqa: FBT001
        """Those that wait longer than they may; `false` narrows nothing."""
        return hits.filter(status=HitState.OPEN, due_at__lt=timezone.now()) if value else hits


def _hits(hits: list[FraudHit]) -> Answer:
    return Answer(
        200, dict(FraudHitSerializer(FraudHit.objects.select_related("rule", "balance").get(pk=hits[0].pk)).data)
    )


def _rule(rule: FraudRule, status: int = 200) -> Answer:
    return Answer(status, dict(FraudRuleSerializer(rule).data))


class Hits(LoyaltyView):
    """The review queue."""

    @extend_schema(
        operation_id="fraud_hits_list",
        summary="List fraud hits",
        tags=TAGS,
        parameters=[
            OpenApiParameter("status", str, enum=HitState.values),
            OpenApiParameter("overdue", bool, description="Those that wait longer than they may."),
            OpenApiParameter("ruleId", UUID),
            OpenApiParameter("programId", UUID),
            OpenApiParameter("userId", str, description="The member, in every program."),
        ],
        responses={200: FraudHitSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access_fraud.visible_hits(self.actor), FraudHitSerializer, narrowed_by=HitFilter)


class OneHit(LoyaltyView):
    """One hit."""

    @extend_schema(
        operation_id="fraud_hits_retrieve",
        summary="Read a fraud hit",
        tags=TAGS,
        responses={200: FraudHitSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, hit_id: UUID) -> Response:
        """Who, by which rule, and what made them stand out."""
        return Response(FraudHitSerializer(access_fraud.hit_seen_by(self.actor, hit_id)).data)


class ConfirmHit(LoyaltyView):
    """It is fraud."""

    @extend_schema(
        operation_id="fraud_hits_confirm",
        summary="Confirm that a hit is fraud",
        tags=TAGS,
        request=FraudVerdictSerializer,
        responses={200: FraudHitSerializer, **REFUSALS},
    )
    def post(self, _request: Request, hit_id: UUID) -> Response:
        """The member is frozen, and all their points are locked."""
        body = self.read(FraudVerdictSerializer)
        answer = fraud.confirm_hits.once(self.request_key(), _hits, hit_ids=[hit_id], **body, actor=self.actor)
        return self.respond(answer)


class DismissHit(LoyaltyView):
    """It is no fraud."""

    @extend_schema(
        operation_id="fraud_hits_dismiss",
        summary="Dismiss a hit",
        tags=TAGS,
        request=FraudVerdictSerializer,
        responses={200: FraudHitSerializer, **REFUSALS},
    )
    def post(self, _request: Request, hit_id: UUID) -> Response:
        """What the machine has locked is unlocked, and its flags come off."""
        body = self.read(FraudVerdictSerializer)
        answer = fraud.dismiss_hits.once(self.request_key(), _hits, hit_ids=[hit_id], **body, actor=self.actor)
        return self.respond(answer)


class FraudRules(LoyaltyView):
    """All fraud rules."""

    @extend_schema(
        operation_id="fraud_rules_list",
        summary="List fraud rules",
        tags=TAGS,
        responses={200: FraudRuleSerializer(many=True), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Those that look, and those that do not."""
        return self.page(access_fraud.visible_fraud_rules(self.actor), FraudRuleSerializer)

    @extend_schema(
        operation_id="fraud_rules_create",
        summary="Make a fraud rule",
        tags=TAGS,
        request=NewFraudRuleSerializer,
        responses={201: FraudRuleSerializer, **REFUSALS},
        examples=[RULE],
    )
    def post(self, _request: Request) -> Response:
        """It is switched off until it has been tried out."""
        answer = fraud_rules.create_fraud_rule.once(
            self.request_key(), lambda rule: _rule(rule, 201), **self.read(NewFraudRuleSerializer), actor=self.actor
        )
        return self.respond(answer)


class OneFraudRule(LoyaltyView):
    """One rule."""

    @extend_schema(
        operation_id="fraud_rules_retrieve",
        summary="Read a fraud rule",
        tags=TAGS,
        responses={200: FraudRuleSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, rule_id: UUID) -> Response:
        """Its limits, and what it would have found."""
        return Response(FraudRuleSerializer(access_fraud.fraud_rule_seen_by(self.actor, rule_id)).data)

    @extend_schema(
        operation_id="fraud_rules_change",
        summary="Change a fraud rule",
        tags=TAGS,
        request=FraudRuleChangeSerializer,
        responses={200: FraudRuleSerializer, **REFUSALS},
    )
    def patch(self, _request: Request, rule_id: UUID) -> Response:
        """That is another version, switched off until it has been tried out."""
        changes = self.read(FraudRuleChangeSerializer)
        reason = changes.pop("reason")
        answer = fraud_rules.change_fraud_rule.once(
            self.request_key(), _rule, rule_id=rule_id, changes=changes, reason=reason, actor=self.actor
        )
        return self.respond(answer)


class BackTest(LoyaltyView):
    """Trying out."""

    @extend_schema(
        operation_id="fraud_rules_back_test",
        summary="Try a fraud rule on the past",
        tags=TAGS,
        request=BackTestSerializer,
        responses={200: FraudRuleSerializer, **REFUSALS},
    )
    def post(self, _request: Request, rule_id: UUID) -> Response:
        """Nothing is opened, flagged or locked; what would have been is kept with the rule."""
        answer = fraud_rules.back_test_rule.once(
            self.request_key(), _rule, rule_id=rule_id, **self.read(BackTestSerializer), actor=self.actor
        )
        return self.respond(answer)


class SwitchRule(LoyaltyView):
    """On and off."""

    @extend_schema(
        operation_id="fraud_rules_switch",
        summary="Switch a fraud rule on or off",
        tags=TAGS,
        request=FraudSwitchSerializer,
        responses={200: FraudRuleSerializer, **REFUSALS},
    )
    def post(self, _request: Request, rule_id: UUID) -> Response:
        """On only once this version has been tried out."""
        answer = fraud_rules.switch_fraud_rule.once(
            self.request_key(), _rule, rule_id=rule_id, **self.read(FraudSwitchSerializer), actor=self.actor
        )
        return self.respond(answer)


class Look(LoyaltyView):
    """Looking."""

    @extend_schema(
        operation_id="fraud_rules_look",
        summary="Look by a fraud rule",
        tags=TAGS,
        request=FraudLookSerializer,
        responses={200: FraudFoundSerializer, **REFUSALS},
    )
    def post(self, _request: Request, rule_id: UUID) -> Response:
        """Now, or as of a time that has passed; a worker does it every five minutes."""

        def told(found: Found) -> Answer:
            return Answer(200, dict(FraudFoundSerializer(found).data))

        answer = fraud.look_for.once(
            self.request_key(), told, rule_id=rule_id, **self.read(FraudLookSerializer), actor=self.actor
        )
        return self.respond(answer)


class PrecisionOfRules(LoyaltyView):
    """How right the rules are."""

    @extend_schema(
        operation_id="fraud_rules_precision",
        summary="How right the fraud rules are",
        tags=TAGS,
        responses={200: FraudPrecisionsSerializer, 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Of what each has hit, how much people have confirmed."""
        self.actor.require("loyalty.view_fraudrule")
        return Response(FraudPrecisionsSerializer({"results": precision_by_rule()}).data)
