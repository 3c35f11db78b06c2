"""What several pages show the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from opsconsole.core.admin import display
from opsconsole.core.admin.pages import Column, Link, Table
from opsconsole.core.texts import Text
from opsconsole.notifications.models import Delivery, Subscription


def patterns_of(subscription: Subscription) -> str:
    """The events it is for."""
    return ", ".join(subscription.patterns)


def receiver_of(delivery: Delivery) -> Any:
    """The channel or the person."""
    if delivery.channel is None:
        return delivery.user.username if delivery.user else display.NOTHING
    if delivery.channel.removed_at is not None:
        return delivery.channel.name
    return display.row_link(delivery.channel)


def delivery_row(delivery: Delivery) -> list[Any]:
    """A delivery in a table."""
    return [
        display.row_link(delivery, delivery.notice.topic),
        display.state_of(delivery),
        delivery.attempts,
        display.moment(delivery.created_at),
        delivery.error or display.NOTHING,
    ]


def delivery_table(title: Text, rows: Sequence[Sequence[Any]], more: Link | None = None) -> Table:
    """Deliveries, a line each."""
    return Table(
        title,
        [_("event"), _("state"), Column(_("attempts"), right=True), _("at"), _("error")],
        rows,
        empty=_("There is none."),
        more=more,
    )
