"""App `console`, and the admin with our site."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ConsoleConfig(AppConfig):
    """App `console`."""

    name = "opsconsole.console"
    label = "console"
    verbose_name = "Console"
    default = True


class AdminConfig(admin_apps.AdminConfig):
    """Django's admin, on our site."""

    default = False
    default_site = "opsconsole.console.site.ConsoleSite"
