"""App `notifications`: telling people and systems what happened."""

from __future__ import annotations

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """App `notifications`."""

    name = "opsconsole.notifications"
    label = "notifications"
    verbose_name = "Notifications"
