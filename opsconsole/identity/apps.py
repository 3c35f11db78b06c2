"""App `identity`."""

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    """App `identity`."""

    name = "opsconsole.identity"
    label = "identity"
    verbose_name = "Identity"
