"""App `journal`."""

from django.apps import AppConfig


class JournalConfig(AppConfig):
    """App `journal`."""

    name = "opsconsole.journal"
    label = "journal"
    verbose_name = "Journal"
