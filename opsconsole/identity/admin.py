"""People in the admin: who they are, their roles, what they hold. Changing any of it is an approved action."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from guardian.models import UserObjectPermission
from knox.models import AuthToken

from opsconsole.approvals.models import SignerKey
from opsconsole.changes.admin.requesting import open_changes
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Facts, Section, Table
from opsconsole.core.models import User
from opsconsole.identity.admin_actions import LIST_ACTIONS, ROW_ACTIONS
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of

# Roles follow their table in the code.
if admin.site.is_registered(Group):
    admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(ConsoleAdmin[User]):
    """People by name."""

    list_display = ("username", "roles_shown", "active", "last_seen", "joined")
    list_filter = ("is_active", "groups")
    ordering = ("username",)
    search_fields = ("username", "first_name", "last_name", "email")
    row_actions = ROW_ACTIONS

    def list_actions(self) -> Sequence[Action[None]]:
        """Ask for another person."""
        return LIST_ACTIONS

    def visible(self, actor: Actor) -> QuerySet[User]:
        """Everybody, for those who may see anybody; passwords stay where they are."""
        actor.require("core.view_user")
        return User.objects.prefetch_related("groups").defer("password")

    @admin.display(description=_("roles"))
    def roles_shown(self, user: User) -> str:
        """Their roles."""
        return ", ".join(sorted(group.name for group in user.groups.all())) or display.NOTHING

    @admin.display(description=_("state"))
    def active(self, user: User) -> SafeString:
        """In office or not."""
        return display.label(_("active"), "good") if user.is_active else display.label(_("has left"))

    @admin.display(description=_("last login"))
    def last_seen(self, user: User) -> SafeString | str:
        """When they last logged in here."""
        return display.moment(user.last_login)

    @admin.display(description=_("since"))
    def joined(self, user: User) -> SafeString | str:
        """Since when they are here."""
        return display.moment(user.date_joined)

    def badge(self, row: User) -> SafeString:
        """In office or not."""
        return self.active(row)

    def sections(self, request: HttpRequest, row: User) -> Sequence[Section]:
        """What they may, what they hold, what was done to them."""
        return [
            *open_changes(row),
            self._grants(row),
            self._keys(row),
            self._tokens(row),
            timeline(request, entries_of(row)[:SHOWN_ON_PAGES], more=all_entries_of(User._meta.db_table, row.pk)),
        ]

    def side(self, _request: HttpRequest, row: User) -> Sequence[Section]:
        """Who they are."""
        return [
            Facts(
                _("Person"),
                [
                    (_("name"), row.get_full_name() or display.NOTHING),
                    (_("e-mail"), row.email or display.NOTHING),
                    (_("roles"), self.roles_shown(row)),
                    (_("external identity"), display.code(row.sub or "")),
                    (_("may use this console"), display.yes_no(row.is_staff)),
                    (_("last login"), display.moment(row.last_login)),
                    (_("since"), display.moment(row.date_joined)),
                ],
            )
        ]

    def _grants(self, user: User) -> Table:
        grants = UserObjectPermission.objects.filter(user=user).select_related("permission", "content_type")
        return Table(
            _("Grants on single objects"),
            [_("right"), _("on what"), _("id")],
            [[grant.permission.name, grant.content_type.name, display.code(grant.object_pk)] for grant in grants],
            empty=_("None: every right comes from a role."),
        )

    def _keys(self, user: User) -> Table:
        keys = SignerKey.objects.filter(user=user).order_by("-created_at")
        return Table(
            _("Signer keys"),
            [_("name"), _("fingerprint"), _("registered"), _("revoked")],
            [
                [
                    display.row_link(key),
                    display.short(key.fingerprint),
                    display.moment(key.created_at),
                    display.moment(key.revoked_at),
                ]
                for key in keys
            ],
            empty=_("None: this person signs nothing."),
        )

    def _tokens(self, user: User) -> Table:
        now = timezone.now()
        return Table(
            _("API tokens"),
            [_("begins with"), _("made"), _("expires"), _("state")],
            [
                [
                    display.code(f"{token.token_key[:8]}…"),
                    display.moment(token.created),
                    display.moment(token.expiry),
                    display.label(_("expired"))
                    if token.expiry and token.expiry < now
                    else display.label(_("in use"), "good"),
                ]
                for token in AuthToken.objects.filter(user=user).order_by("-created")
            ],
            empty=_("None."),
        )
