"""Notices as messages: in plain words, with who, what, why and how much, and the page that they lead to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from opsconsole.notifications.kinds import Text, kind_of
from opsconsole.notifications.models import Notice
from opsconsole.notifications.states import Severity

MAX_VALUE = 600
MAX_LISTED = 200  # of each in a digest
SLACK_SECTION = 2900  # Slack refuses a text of more than 3000 characters
SIGNS: Final = {Severity.INFO: "ℹ️", Severity.WARNING: "⚠️", Severity.CRITICAL: "🚨"}  # noqa: RUF001 - meant so

# The facts that are told, in this order, and what they are called.
TOLD: Final[dict[str, Text]] = {
    "title": gettext_lazy("What"),
    "name": gettext_lazy("What"),
    "external_id": gettext_lazy("Reference"),
    "plan_type": gettext_lazy("Plan type"),
    "kind": gettext_lazy("Kind"),
    "target": gettext_lazy("Target"),
    "sums": gettext_lazy("Amount"),
    "amount": gettext_lazy("Amount"),
    "count": gettext_lazy("Number"),
    "steps": gettext_lazy("Steps"),
    "reason": gettext_lazy("Why"),
    "incident": gettext_lazy("Incident"),
    "failure": gettext_lazy("Error"),
    "due_at": gettext_lazy("Due"),
    "roles": gettext_lazy("Roles"),
    "error": gettext_lazy("Error"),
    "username": gettext_lazy("Person"),
    "requested_by": gettext_lazy("Asked by"),
    "open": gettext_lazy("Still needed"),
    "expires_at": gettext_lazy("Expires"),
    "actor": gettext_lazy("By"),
}


@dataclass(frozen=True, slots=True)
class Message:
    """A notice in words."""

    severity: Severity
    title: str
    facts: tuple[tuple[str, str], ...]
    url: str
    topic: str
    at: datetime

    @property
    def severity_label(self) -> str:
        """The severity in the language of the moment."""
        return str(self.severity.label)


def message_of(notice: Notice) -> Message:
    """The notice in words of the language that is active."""
    kind = kind_of(notice.topic)
    sentence = str(kind.title_for(notice.data))
    known = _Facts(
        {**notice.data, "topic": notice.topic},
        subject_kind=notice.subject_kind,
        subject_id=notice.subject_id,
    )
    facts = tuple(
        (str(label), told)
        for name, label in TOLD.items()
        if f"%({name})s" not in sentence and (told := _value(name, notice.data.get(name)))
    )
    return Message(
        severity=Severity(notice.severity),
        title=" ".join((sentence % known).split())[:MAX_VALUE],
        facts=facts,
        url=url_of(notice),
        topic=notice.topic,
        at=notice.happened_at,
    )


def digest_of(first: Sequence[Notice], count: int, severity: Severity) -> Message:
    """So many notices of one topic as one message, which names the first of them and leads to the list."""
    messages = [message_of(notice) for notice in first]
    facts = [(f"{message.at:%H:%M:%S}", message.title[:MAX_LISTED]) for message in messages]
    if count > len(messages):
        facts.append(("…", _("and %(count)s more") % {"count": _whole(count - len(messages))}))
    title = _("%(title)s, and %(count)s more like it") % {
        "title": messages[0].title[:MAX_LISTED],
        "count": _whole(count - 1),
    }
    kind = kind_of(first[0].topic)
    page = kind.page.removesuffix("list") + "list" if kind.page.endswith(("_change", "_changelist")) else ""
    return Message(severity, title, tuple(facts), _address(page, None), first[0].topic, messages[0].at)


def url_of(notice: Notice) -> str:
    """The page of the console that the notice leads to."""
    kind = kind_of(notice.topic)
    row = {**notice.data, "subject_id": notice.subject_id}.get(kind.key) if kind.key else None
    return _address("" if kind.key and not row else kind.page, row)


def as_plain(message: Message) -> str:
    """The message as plain text."""
    lines = [message.title, "", *(f"{label}: {value}" for label, value in message.facts)]
    lines += [_("When: %(at)s UTC") % {"at": message.at.strftime("%Y-%m-%d %H:%M:%S")}]
    lines += [_("Severity: %(severity)s") % {"severity": message.severity_label}, "", message.url, ""]
    return "\n".join(lines)


def as_html(message: Message) -> str:
    """The message as an HTML page for e-mail."""
    return render_to_string("notifications/mail.html", {"message": message})


def as_slack(message: Message) -> dict[str, Any]:
    """The message for a Slack-compatible incoming webhook: text for what shows little, blocks for what shows more."""
    title = f"{SIGNS[message.severity]} {_escaped(message.title)}"
    facts = "\n".join(f"*{_escaped(label)}:* {_escaped(value)}" for label, value in message.facts)
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"*{title}*\n{facts}".strip()[:SLACK_SECTION]}},
        {
            "type": "context",
            "elements": [
                {
                    "type": "mrkdwn",
                    "text": f"{_escaped(message.severity_label)} · {message.at.strftime('%Y-%m-%d %H:%M:%S')} UTC"
                    f" · <{message.url}|{_escaped(_('Open in OpsConsole'))}>",
                }
            ],
        },
    ]
    return {"text": f"{title} {message.url}", "blocks": blocks}


def slack_body(message: Message) -> bytes:
    """The same as bytes."""
    return json.dumps(as_slack(message), ensure_ascii=False).encode()


def as_webhook(notice: Notice, message: Message) -> bytes:
    """The body of a signed webhook after Standard Webhooks: `type`, `timestamp`, `data`; the same at each attempt."""
    body = {
        "type": notice.topic,
        "timestamp": notice.happened_at.isoformat().replace("+00:00", "Z"),
        "data": {
            "event": str(notice.event_id) if notice.event_id else None,
            "severity": notice.severity,
            "title": message.title,
            "url": message.url,
            "subject": {"kind": notice.subject_kind, "id": notice.subject_id},
            "facts": notice.data,
        },
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _address(page: str, row: str | None) -> str:
    """The address of a page of the admin; of its front page for none."""
    home = f"{settings.PUBLIC_URL}{reverse('admin:index')}"
    try:
        return f"{settings.PUBLIC_URL}{reverse(f'admin:{page}', args=[row] if row else [])}" if page else home
    except NoReverseMatch:  # the app that has it is not installed
        return home


class _Facts(dict[str, Any]):
    """The facts of an event; one that is missing reads as a dash."""

    def __missing__(self, _name: str) -> str:
        return "–"  # noqa: RUF001 - a dash for nothing

    def __getitem__(self, name: str) -> Any:
        return _value(name, super().__getitem__(name)) or self.__missing__(name)


def _value(name: str, value: Any) -> str:
    """A fact as people read it; empty for nothing."""
    if value is None or value in ("", {}, []):
        return ""
    match value:
        case bool():
            return _("yes") if value else _("no")
        case Mapping() if name == "sums":
            return ", ".join(f"{_amount(amount)} {currency}" for currency, amount in sorted(value.items()))
        case Mapping():
            return ", ".join(f"{key.replace('_', ' ')} {item}" for key, item in value.items() if item)
        case list():
            return ", ".join(str(item) for item in value)[:MAX_VALUE]
        case _:
            return str(value)[:MAX_VALUE]


def _whole(count: int) -> str:
    return str(number_format(count, use_l10n=True, force_grouping=True))


def _amount(value: Any) -> str:
    try:
        return number_format(Decimal(str(value)), decimal_pos=2, use_l10n=True, force_grouping=True)
    except InvalidOperation:
        return str(value)


def _escaped(text: str) -> str:
    """For Slack's mrkdwn, in which these three have a meaning."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
