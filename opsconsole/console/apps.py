"""App `console`."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """App `console`."""

    name = "opsconsole.console"
    label = "console"
    verbose_name = "Console"
