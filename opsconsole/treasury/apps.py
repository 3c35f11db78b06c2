"""App `treasury`."""

from django.apps import AppConfig


class TreasuryConfig(AppConfig):
    """App `treasury`."""

    name = "opsconsole.treasury"
    label = "treasury"
    verbose_name = "Treasury"
