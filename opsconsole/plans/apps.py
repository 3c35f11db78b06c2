"""App `plans`."""

from django.apps import AppConfig


class PlansConfig(AppConfig):
    """App `plans`."""

    name = "opsconsole.plans"
    label = "plans"
    verbose_name = "Plans"
