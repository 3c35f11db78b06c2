"""The door to notifications: channels, subscriptions, deliveries."""

from __future__ import annotations

from uuid import UUID

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.pagination import NewestFirst
from opsconsole.notifications import access, sending
from opsconsole.notifications.models import Channel, Delivery, Subscription
from opsconsole.notifications.serializers import (
    ChannelSerializer,
    ChannelSwitchSerializer,
    DeliverySerializer,
    NewSubscriptionSerializer,
    SubscriptionSerializer,
)
from opsconsole.notifications.services import channels, deliveries, subscriptions
from opsconsole.notifications.states import NotificationState

TAGS = ["notifications"]
WITH_DELETE = ["get", "head", "post", "patch", "delete"]


class ChannelList(ConsoleView, ListAPIView[Channel]):
    """`GET /api/notifications/channels`; another one is asked for by `POST /api/changes`, kind `channel_set_up`."""

    serializer_class = ChannelSerializer
    pagination_class = NewestFirst
    filter_backends = ()
    queryset = Channel.objects.none()  # tells the schema the model; what is listed comes from get_queryset

    def get_queryset(self) -> object:  # type: ignore[override] # mypy wants the manager's own class
        """The channels the caller may see."""
        return access.visible_channels(self.actor)

    @extend_schema(operation_id="notification_channels_list", summary="Channels, newest first", tags=TAGS)
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Where news goes, without the secrets. Another one: `POST /api/changes`, kind `channel_set_up`."""
        return super().get(request, *args, **kwargs)


class ChannelDetail(ConsoleView):
    """`GET, PATCH, DELETE /api/notifications/channels/{id}`."""

    http_method_names = WITH_DELETE  # noqa: RUF012 - as Django declares it

    @extend_schema(
        operation_id="notification_channels_retrieve", summary="One channel", tags=TAGS, responses=ChannelSerializer
    )
    def get(self, _request: Request, channel_id: UUID) -> Response:
        """One channel, without its secret."""
        return Response(ChannelSerializer(access.channel_for(self.actor, channel_id)).data)

    @extend_schema(
        operation_id="notification_channels_switch",
        summary="Switch a channel off or on",
        tags=TAGS,
        request=ChannelSwitchSerializer,
        responses=ChannelSerializer,
        examples=[OpenApiExample("Off", {"active": False, "reason": "moved away"}, request_only=True)],
    )
    def patch(self, _request: Request, channel_id: UUID) -> Response:
        """At once. Where it leads, its name and its secret are changed by `POST /api/changes`, kind `channel_edit`."""
        given = self.read(ChannelSwitchSerializer)
        return self.respond(
            channels.switch_channel.once(
                self.request_key(),
                _shown,
                channel_id=channel_id,
                on=given["active"],
                reason=given["reason"],
                actor=self.actor,
            )
        )

    @extend_schema(
        operation_id="notification_channels_remove",
        summary="Remove a channel with its subscriptions",
        tags=TAGS,
        request=None,
        responses=ChannelSerializer,
    )
    def delete(self, _request: Request, channel_id: UUID) -> Response:
        """Remove it; what waits for it is dropped."""
        return self.respond(
            channels.remove_channel.once(None, _shown, channel_id=channel_id, reason="", actor=self.actor)
        )


class ChannelTest(ConsoleView):
    """`POST /api/notifications/channels/{id}/test`."""

    @extend_schema(
        operation_id="notification_channels_test",
        summary="Send a test message, and see the answer",
        tags=TAGS,
        request=None,
        responses=DeliverySerializer,
    )
    def post(self, _request: Request, channel_id: UUID) -> Response:
        """Send a test message now: `status` is `delivered`, or `dropped` with what went wrong."""
        made = channels.make_test_message.once(
            self.request_key(),
            lambda delivery: Answer(200, {"delivery": str(delivery.pk)}),
            channel_id=channel_id,
            actor=self.actor,
        )
        sent = sending.send_now(UUID(made.body["delivery"]))
        return self.respond(Answer(200, dict(DeliverySerializer(sent).data), made.replayed))


class SubscriptionList(ConsoleView, ListAPIView[Subscription]):
    """`GET, POST /api/notifications/subscriptions`."""

    serializer_class = SubscriptionSerializer
    pagination_class = NewestFirst
    filter_backends = ()
    queryset = Subscription.objects.none()  # tells the schema the model; what is listed comes from get_queryset

    def get_queryset(self) -> object:  # type: ignore[override] # mypy wants the manager's own class
        """The caller's own, or everybody's for those who may see them."""
        return access.visible_subscriptions(self.actor)

    @extend_schema(operation_id="notification_subscriptions_list", summary="Subscriptions, newest first", tags=TAGS)
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Who is told of what."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="notification_subscriptions_add",
        summary="Subscribe oneself, or a role",
        tags=TAGS,
        request=NewSubscriptionSerializer,
        responses={201: SubscriptionSerializer},
        examples=[
            OpenApiExample("Myself", {"patterns": ["approval.requested", "plan.failed"]}, request_only=True),
            OpenApiExample(
                "A role, each member at their own address",
                {"role": "ops", "patterns": ["plan.*"], "minimum": "critical"},
                request_only=True,
            ),
        ],
    )
    def post(self, _request: Request) -> Response:
        """Without a role: the caller, at their own e-mail address."""
        given = self.read(NewSubscriptionSerializer)
        wanted = {"patterns": given["patterns"], "minimum": given["minimum"], "actor": self.actor}
        if given["role"]:
            answer = subscriptions.subscribe_role.once(
                self.request_key(), _subscribed, role=given["role"], channel_id=given["channel"], **wanted
            )
        else:
            answer = subscriptions.subscribe_me.once(self.request_key(), _subscribed, **wanted)
        return self.respond(answer)


class SubscriptionDetail(ConsoleView):
    """`DELETE /api/notifications/subscriptions/{id}`."""

    http_method_names = WITH_DELETE  # noqa: RUF012 - as Django declares it

    @extend_schema(
        operation_id="notification_subscriptions_remove",
        summary="End a subscription",
        tags=TAGS,
        request=None,
        responses=SubscriptionSerializer,
    )
    def delete(self, _request: Request, subscription_id: UUID) -> Response:
        """End one's own, or for who manages channels, a role's."""
        return self.respond(
            subscriptions.remove_subscription.once(
                None,
                lambda row: Answer(200, dict(SubscriptionSerializer(row).data)),
                subscription_id=subscription_id,
                actor=self.actor,
            )
        )


class DeliveryFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """What the list can be narrowed by."""

    status = filters.ChoiceFilter(choices=NotificationState.choices)
    channel = filters.UUIDFilter(field_name="channel_id", help_text="Id of the channel.")

    class Meta:
        model = Delivery
        fields = ("status", "channel")


class DeliveryList(ConsoleView, ListAPIView[Delivery]):
    """`GET /api/notifications/deliveries`."""

    serializer_class = DeliverySerializer
    pagination_class = NewestFirst
    filter_backends = (filters.DjangoFilterBackend,)
    filterset_class = DeliveryFilter
    queryset = Delivery.objects.none()  # tells the schema the model; what is listed comes from get_queryset

    def get_queryset(self) -> object:  # type: ignore[override] # mypy wants the manager's own class
        """The deliveries the caller may see."""
        return access.visible_deliveries(self.actor)

    @extend_schema(operation_id="notification_deliveries_list", summary="Deliveries, newest first", tags=TAGS)
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """What was told to whom, and what could not be."""
        return super().get(request, *args, **kwargs)


class DeliveryRetry(ConsoleView):
    """`POST /api/notifications/deliveries/{id}/retry`."""

    @extend_schema(
        operation_id="notification_deliveries_retry",
        summary="Send a delivery again that was given up",
        tags=TAGS,
        request=None,
        responses={202: DeliverySerializer},
    )
    def post(self, _request: Request, delivery_id: UUID) -> Response:
        """Make it due again, with all its attempts before it."""
        return self.respond(
            deliveries.retry_delivery.once(
                self.request_key(),
                lambda delivery: Answer(202, dict(DeliverySerializer(delivery).data)),
                delivery_id=delivery_id,
                actor=self.actor,
            )
        )


def _shown(channel: Channel) -> Answer:
    return Answer(200, dict(ChannelSerializer(channel).data))


def _subscribed(row: Subscription) -> Answer:
    return Answer(201, dict(SubscriptionSerializer(row).data))
