"""Sending what is due: rendered and written here, handed over in threads that know no database.

One process sends to many endpoints at once. What hangs holds a thread of its own and, by the limit of its lane, few
of them; what is due meanwhile to others goes out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone, translation

from opsconsole.core.actors import SYSTEM
from opsconsole.core.faults import crashpoint
from opsconsole.core.queue import leaving
from opsconsole.notifications import digests, selectors, texts
from opsconsole.notifications.gateways import http, mail, signing
from opsconsole.notifications.gateways.mail import Letter
from opsconsole.notifications.gateways.outcome import Outcome
from opsconsole.notifications.kinds import kind_of
from opsconsole.notifications.models import Channel, Delivery
from opsconsole.notifications.services import deliveries
from opsconsole.notifications.states import ChannelKind

log = structlog.get_logger(__name__)

SENDER = SYSTEM("notifications")
IN_FLIGHT: Final = 16
LOOK_EVERY: Final = 0.5  # seconds between two looks for what is due while something is on its way
LONGEST_TURN: Final = timedelta(minutes=5).total_seconds()

Parcel = Callable[[], Outcome]


def send_due() -> int:
    """Send until nothing more is due, or this worker is told to end; returns how many attempts that took."""
    until = time.monotonic() + LONGEST_TURN
    on_their_way: dict[Future[Outcome], Delivery] = {}
    attempts = 0
    threads = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="notify")
    try:
        while True:
            room = IN_FLIGHT - len(on_their_way)
            if room and not leaving() and time.monotonic() < until:
                for delivery in deliveries.claim_due(most=room, actor=SENDER):
                    attempts += 1
                    parcel = _packed(delivery)
                    if parcel is not None:
                        on_their_way[threads.submit(_handed_over, parcel)] = delivery
            if not on_their_way:
                return attempts
            done, _rest = wait(on_their_way, timeout=LOOK_EVERY, return_when=FIRST_COMPLETED)
            for future in done:
                deliveries.finish(delivery=on_their_way.pop(future), outcome=future.result(), actor=SENDER)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def send_now(delivery_id: UUID) -> Delivery:
    """Send one delivery while somebody waits for the answer, unless it was sent already; how it stands then."""
    delivery = deliveries.claim_one(delivery_id=delivery_id, actor=SENDER)
    if delivery is not None:
        parcel = _packed(delivery)
        if parcel is not None:
            deliveries.finish(delivery=delivery, outcome=_handed_over(parcel), actor=SENDER)
    return Delivery.objects.select_related("notice", "channel", "user").get(pk=delivery_id)


def _handed_over(parcel: Parcel) -> Outcome:
    crashpoint("notifications.before_send")
    try:
        outcome = parcel()
    except Exception as error:  # noqa: BLE001 - whatever broke here is kept on the row, and tried again
        log.exception("notifications.broke")
        return Outcome(error=f"{type(error).__name__}: {error}")
    crashpoint("notifications.after_send")
    return outcome


def _packed(delivery: Delivery) -> Parcel | None:
    """What is to be done to hand it over; None when nobody wants it any more, which is then written."""
    reason = _unwanted(delivery)
    if reason:
        deliveries.drop(delivery=delivery, reason=reason, actor=SENDER)
        return None
    with translation.override(settings.LANGUAGE_CODE):
        try:
            return _parcel(delivery)
        except (ImproperlyConfigured, ValueError) as error:  # a secret that no key opens, or that was written by hand
            outcome = Outcome(error=str(error), permanent=True)
            return lambda: outcome


def _unwanted(delivery: Delivery) -> str:
    """Why nobody wants it any more; empty when somebody does."""
    channel, user = delivery.channel, delivery.user
    if channel is not None:
        return "" if channel.active else "the channel is switched off"
    if user is None or not user.is_active:
        return "the person has left"
    if not user.email:
        return "the person has no e-mail address"
    kind = kind_of(delivery.notice.topic)
    return "" if selectors.may_be_told(user, kind, delivery.notice.data) else "the person need not know any more"


def _parcel(delivery: Delivery) -> Parcel:
    channel = delivery.channel
    if channel is not None and channel.kind == ChannelKind.WEBHOOK:
        return _webhook(delivery, channel, texts.as_webhook(delivery.notice, texts.message_of(delivery.notice)))
    message = digests.message_of(delivery)
    if channel is not None and channel.kind == ChannelKind.SLACK:
        url, body = channel.target.reveal(), texts.slack_body(message)
        return lambda: http.post(url, body, {})
    to = channel.target.reveal().split(", ") if channel is not None else [delivery.user.email if delivery.user else ""]
    letter = Letter(
        message_id=f"<{delivery.pk}@{urlsplit(settings.PUBLIC_URL).hostname}>",
        to=to,
        subject=f"[{message.severity_label}] {message.title}",
        plain=texts.as_plain(message),
        html=texts.as_html(message),
    )
    return lambda: mail.send(letter)


def _webhook(delivery: Delivery, channel: Channel, body: bytes) -> Parcel:
    """Signed as of this attempt; by the old secret as well while it is being replaced."""
    now = timezone.now()
    secrets = [channel.secret.reveal()]
    if channel.old_secret and channel.old_secret_until and now < channel.old_secret_until:
        secrets.append(channel.old_secret.reveal())
    message_id = f"msg_{delivery.pk.hex}"
    headers = signing.headers(message_id=message_id, timestamp=int(now.timestamp()), body=body, secrets=secrets)
    url = channel.target.reveal()
    return lambda: http.post(url, body, headers)
