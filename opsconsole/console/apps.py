"""App `console`, and the admin with our site."""

import gc

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ConsoleConfig(AppConfig):
    """App `console`."""

    name = "opsconsole.console"
    label = "console"
    verbose_name = "Console"
    default = True

    def ready(self) -> None:
        """Let what stands by now out of the garbage collector's sight: it stays for as long as the process does.

        This app is the last one. `manage.py` and `wsgi.py` keep the collector off until here: looking for garbage
        among what is being loaded is a fifth of a start.
        """
        gc.freeze()
        gc.enable()


class AdminConfig(admin_apps.AdminConfig):
    """Django's admin, on our site."""

    default = False
    default_site = "opsconsole.console.site.ConsoleSite"
