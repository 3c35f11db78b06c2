"""App `identity`: people, and what they are given."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.utils.translation import gettext_lazy as _


def _note_login(sender: Any, user: Any, **_more: Any) -> None:  # noqa: ARG001 - a signal's form
    from opsconsole.core.actors import Actor  # noqa: PLC0415 - models are not loaded yet when this module is
    from opsconsole.identity.services import note_login  # noqa: PLC0415

    note_login(actor=Actor.of(user))


class IdentityConfig(AppConfig):
    """App `identity`."""

    name = "opsconsole.identity"
    label = "identity"
    verbose_name = _("People")
    default = True

    def ready(self) -> None:
        """Journal logins as what they are; Django's own receiver would look like direct SQL."""
        from opsconsole.changes.kinds.base import register  # noqa: PLC0415
        from opsconsole.identity import factor_admin, key_admin, own_admin  # noqa: F401, PLC0415 - registers the pages
        from opsconsole.identity.changes import KINDS  # noqa: PLC0415

        register(*KINDS)
        user_logged_in.disconnect(dispatch_uid="update_last_login")
        user_logged_in.connect(_note_login, dispatch_uid="identity.note_login")


class TokensConfig(AppConfig):
    """knox, whose tokens are people's: pages of theirs stand under that name, and not under the library's."""

    name = "knox"
    verbose_name = _("People")
    default = False
