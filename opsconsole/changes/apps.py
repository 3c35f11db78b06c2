"""App `changes`: what may only be changed when others agree."""

from __future__ import annotations

from django.apps import AppConfig


class ChangesConfig(AppConfig):
    """App `changes`."""

    name = "opsconsole.changes"
    label = "changes"
    verbose_name = "Changes"
