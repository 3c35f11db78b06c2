"""What Alertmanager's webhook sends (its version 4), read strictly where we build on it and freely where we do not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from opsconsole.monitoring.errors import NotificationInvalid
from opsconsole.monitoring.states import Severity

MOST_ALERTS: Final = 1_000
LONGEST_TEXT: Final = 4_096
_NANOSECONDS: Final = re.compile(r"(\.\d{6})\d+")  # Go writes them, Python does not read them
NO_END: Final = datetime(1, 1, 1, tzinfo=UTC)  # how Alertmanager writes that an alert has no end yet


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """One alert of a notification; `ends_at` is None while it fires."""

    fingerprint: str
    name: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None
    source_url: str


@dataclass(frozen=True, slots=True)
class Notification:
    """A group of alerts: what one incident is about."""

    key: str
    title: str
    severity: Severity
    links: dict[str, str]
    alerts: list[FiringAlert] = field(default_factory=list)
    left_out: int = 0


def read_notification(body: Any) -> Notification:
    """The notification in this body; raises NotificationInvalid with `errors` by field."""
    if not isinstance(body, Mapping):
        raise NotificationInvalid("The body is not an object.", errors={"body": ["must be a JSON object"]})
    errors: dict[str, list[str]] = {}
    key, items = body.get("groupKey"), body.get("alerts")
    if not isinstance(key, str) or not key or len(key) > LONGEST_TEXT:
        errors["groupKey"] = [f"must be a text of 1 to {LONGEST_TEXT} characters"]
    if not isinstance(items, list) or not 0 < len(items) <= MOST_ALERTS:
        errors["alerts"] = [f"must be a list of 1 to {MOST_ALERTS} alerts"]
        items = []
    alerts: list[FiringAlert] = []
    for number, item in enumerate(items):
        try:
            alerts.append(_alert(item))
        except ValueError as error:
            errors[f"alerts.{number}"] = [str(error)]
    if errors:
        raise NotificationInvalid("This is not a notification of Alertmanager.", errors=errors)
    common, labels = _texts(body.get("commonAnnotations")), _texts(body.get("commonLabels"))
    return Notification(
        key=f"alert:{key}",
        title=common.get("summary") or labels.get("alertname") or alerts[0].name,
        severity=worst(alert.labels.get("severity", "") for alert in alerts),
        links=_links(common, body, alerts),
        alerts=alerts,
        left_out=body["truncatedAlerts"] if isinstance(body.get("truncatedAlerts"), int) else 0,
    )


def worst(severities: Any) -> Severity:
    """The worst of these; a word that is none of ours counts as a warning."""
    found = {Severity(word) if word in Severity.values else Severity.WARNING for word in severities}
    return next((severity for severity in Severity if severity in found), Severity.WARNING)


def _alert(item: Any) -> FiringAlert:
    if not isinstance(item, Mapping):
        raise ValueError("must be an object")  # noqa: TRY004 - read_notification turns it into its own error
    labels, annotations = _texts(item.get("labels")), _texts(item.get("annotations"))
    fingerprint, name = item.get("fingerprint"), labels.get("alertname", "")
    if not isinstance(fingerprint, str) or not fingerprint or len(fingerprint) > LONGEST_TEXT:
        raise ValueError("has no fingerprint")
    if not name:
        raise ValueError("has no label alertname")
    starts_at = _moment(item.get("startsAt"), "startsAt")
    ends_at = _moment(item["endsAt"], "endsAt") if item.get("endsAt") else None
    firing = item.get("status") != "resolved" or ends_at is None or ends_at == NO_END
    return FiringAlert(
        fingerprint=fingerprint,
        name=name,
        labels=labels,
        annotations=annotations,
        starts_at=starts_at,
        ends_at=None if firing else ends_at,
        source_url=_address(item.get("generatorURL")),
    )


def _links(common: Mapping[str, str], body: Mapping[str, Any], alerts: list[FiringAlert]) -> dict[str, str]:
    found = {
        "runbook": _address(common.get("runbook_url") or alerts[0].annotations.get("runbook_url")),
        "alertmanager": _address(body.get("externalURL")),
        "prometheus": alerts[0].source_url,
    }
    return {name: url for name, url in found.items() if url}


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {str(name)[:LONGEST_TEXT]: str(text)[:LONGEST_TEXT] for name, text in value.items()}


def _address(value: Any) -> str:
    """An address that may stand behind a link on a page; empty for anything else."""
    return value[:LONGEST_TEXT] if isinstance(value, str) and value.startswith(("http://", "https://", "/")) else ""


def _moment(value: Any, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_NANOSECONDS.sub(r"\1", value))
    except (TypeError, ValueError):
        raise ValueError(f"{name} is not a time of RFC 3339") from None
    if moment.tzinfo is None:
        raise ValueError(f"{name} has no time zone")
    return moment
