"""Who does it: a user, a named part of the system, or a shell. Never nobody."""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.utils.functional import lazy
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import Denied
from opsconsole.core.texts import Text

if TYPE_CHECKING:
    from opsconsole.core.models import User


class ActorKind(StrEnum):
    """The three kinds of actor; the journal has a fourth, `database`, for what came by direct SQL."""

    USER = "user"
    SYSTEM = "system"
    SHELL = "shell"


# What a person at a shell may do without naming a user: stop things, and look whether the record is whole.
SHELL_PERMISSIONS = frozenset(
    {
        "journal.verify_journal",
        "journal.seal_journal",
        "core.issue_token",
        "core.rotate_field_keys",
        "identity.reset_secondfactor",
        "identity.invite_user",
        "identity.create_first_people",
        "changes.take_away",
        "loyalty.verify_ledger",
        "loyalty.freeze_member",
        # Whoever migrates has a backup made first, also where nobody has signed in yet.
        "backups.make_backup",
        # Nobody can stop what they cannot find.
        "loyalty.view_balance",
        "loyalty.view_program",
    }
)


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of an operation: its name and id are copied into the journal."""

    kind: ActorKind
    id: str
    name: str
    user: User | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, user: User) -> Actor:
        """The actor that is this user."""
        return cls(ActorKind.USER, str(user.pk), user.username, user)

    def may(self, permission: str, obj: Any = None) -> bool:
        """Whether the actor holds a permission, by role or, for one object, by a grant on it.

        System actors are written into the code that uses them and hold what that code does.
        """
        match self.kind:
            case ActorKind.SYSTEM:
                return True
            case ActorKind.SHELL:
                return permission in SHELL_PERMISSIONS
            case ActorKind.USER:
                user = self.user
                if user is None or not user.is_active:
                    return False
                return user.has_perm(permission) or (
                    _may_be_granted(permission, obj) and user.has_perm(permission, obj)
                )

    def require(self, permission: str, obj: Any = None) -> None:
        """Raise Denied unless the actor holds the permission."""
        if not self.may(permission, obj):
            raise Denied(self._lacking(permission), permission=permission)

    def _lacking(self, permission: str) -> Text:
        """That the permission is missing; to people also, who has it."""
        said = format_lazy(_("{actor} lacks the permission {permission}."), actor=self.name, permission=permission)
        if self.kind is not ActorKind.USER:
            return said
        return format_lazy("{said} {who}", said=said, who=_who_may(permission))

    def has_role(self, role: str) -> bool:
        """Whether the actor is a user who is a member of the role, and active."""
        return self.user is not None and self.user.is_active and role in self.user.roles

    @property
    def roles(self) -> frozenset[str]:
        """The user's roles; empty for every other actor."""
        return self.user.roles if self.user is not None and self.user.is_active else frozenset()


def _roles_with(permission: str) -> str:
    app, _dot, codename = permission.partition(".")
    groups = apps.get_model("auth", "Group").objects.order_by("name").values_list("name", flat=True)
    holding = groups.filter(permissions__codename=codename, permissions__content_type__app_label=app)
    roles = ", ".join(holding.distinct())
    return gettext("Roles that have it: {roles}.").format(roles=roles) if roles else gettext("No role has it.")


_who_may = lazy(_roles_with, str)  # asked only when somebody reads the refusal


def _may_be_granted(permission: str, obj: Any) -> bool:
    # A grant on one object is of a permission of its own app; guardian raises when asked for another's.
    return obj is not None and permission.partition(".")[0] == obj._meta.app_label


def SYSTEM(name: str) -> Actor:  # noqa: N802 - reads as the constant it stands for: SYSTEM("sweeper")
    """The part of the system of that name."""
    return Actor(ActorKind.SYSTEM, f"system:{name}", f"system:{name}")


def shell_actor() -> Actor:
    """Whoever sits at the shell, by their operating system account."""
    name = f"shell:{getpass.getuser()}"
    return Actor(ActorKind.SHELL, name, name)
