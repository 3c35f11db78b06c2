"""Listeners for the tests of the outbox."""

from __future__ import annotations

from opsconsole.core.models import OutboxEvent

heard: list[str] = []


def hear(event: OutboxEvent) -> None:
    """Remember the topic."""
    heard.append(event.topic)


def choke(event: OutboxEvent) -> None:
    """Fail, as listeners do."""
    raise ConnectionError(f"no line for {event.topic}")
