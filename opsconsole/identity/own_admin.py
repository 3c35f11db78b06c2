"""What people have for themselves: API tokens, and their password. Tokens are shown once, then by their beginning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.auth import update_session_auth_hash
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from knox.models import AuthToken

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, done
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Facts, Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.models import User
from opsconsole.core.texts import Text
from opsconsole.identity import tokens
from opsconsole.identity.offboarding import Taken, take_away


class OwnAction(Action[None]):
    """Something that everybody may do for themselves."""

    permission = "one's own"

    def allowed(self, actor: Actor, _row: None) -> bool:
        """Whoever is logged in."""
        return actor.user is not None and actor.user.is_active


class TokenForm(ActionForm):
    """How long it lives."""

    days = forms.IntegerField(
        label=_("Days"),
        min_value=1,
        max_value=tokens.LONGEST_OWN_DAYS,
        initial=tokens.LONGEST_OWN_DAYS,
        help_text=_("A longer one is asked for as a change, on the page of the user."),
    )


class NewToken(OwnAction):
    """Make a token."""

    name = "new"
    label = _("New token of mine")
    icon = "add"
    tone = "primary"
    form = TokenForm

    def question(self, _row: None) -> Text:
        """That it is shown once."""
        return _("Make an API token? It carries all your rights. The next page shows it, once.")

    def perform(self, press: Press[None]) -> Answer:
        """Make it; no answer that holds a token is kept, so this is not under the form's key."""
        token = tokens.issue_own_token(days=press.data["days"], actor=press.actor)
        return done(now_("Your token, shown this once: %(token)s") % {"token": token}, to=display.list_url(AuthToken))


class EndForm(ReasonForm):
    """Which of them."""

    tokens = forms.MultipleChoiceField(label=_("Tokens"), widget=forms.CheckboxSelectMultiple)
    field_order = ("tokens", "reason")


class EndTokens(OwnAction):
    """End some of one's own."""

    name = "end"
    label = _("End tokens of mine")
    icon = "key_off"
    tone = "danger"
    form = EndForm

    def question(self, _row: None) -> Text:
        """That it is for good."""
        return _("End tokens of yours? Whoever uses one is out at once.")

    def make_form(self, actor: Actor, row: None, data: Any = None, files: Any = None) -> ActionForm:
        """With those there are."""
        form = super().make_form(actor, row, data, files)
        held = AuthToken.objects.filter(user=actor.user).order_by("-created")
        choices = [(token.token_key, f"{token.token_key[:8]}…") for token in held]
        cast(forms.MultipleChoiceField, form.fields["tokens"]).choices = choices
        return form

    def perform(self, press: Press[None]) -> Answer:
        """End them."""
        user = press.actor.user
        assert user is not None
        return take_away.once(
            press.key,
            lambda _outcome: done(now_("They are of no use any more."), to=display.list_url(AuthToken)),
            user_id=user.pk,
            taken=Taken(tokens=press.data["tokens"]),
            reason=press.data["reason"],
            actor=press.actor,
        )


class PasswordForm(ActionForm):
    """The old one, and the new one twice."""

    old = forms.CharField(
        label=_("Your password"), strip=False, widget=forms.PasswordInput({"autocomplete": "current-password"})
    )
    new = forms.CharField(
        label=_("New password"), strip=False, widget=forms.PasswordInput({"autocomplete": "new-password"})
    )
    again = forms.CharField(
        label=_("The same again"), strip=False, widget=forms.PasswordInput({"autocomplete": "new-password"})
    )

    def clean(self) -> dict[str, Any]:
        """Both new ones must be the same."""
        data = super().clean() or {}
        if data.get("new") != data.get("again"):
            self.add_error("again", _("The two are not the same."))
        return data


class ChangePassword(OwnAction):
    """Another password."""

    name = "password"
    label = _("Change my password")
    icon = "password"
    form = PasswordForm

    def question(self, _row: None) -> Text:
        """What ends with it."""
        return _("Change your password? Your logins elsewhere end.")

    def perform(self, press: Press[None]) -> Answer:
        """Change it; a password is under no key that is kept."""
        tokens.change_password(old=press.data["old"], new=press.data["new"], actor=press.actor)
        return done(now_("Your password is changed."), to=display.list_url(AuthToken))


AuthToken._meta.verbose_name, AuthToken._meta.verbose_name_plural = _("API token"), _("API tokens")
# knox comes with a page of its own, which would show digests and make tokens for others.
if admin.site.is_registered(AuthToken):
    admin.site.unregister(AuthToken)


@admin.register(AuthToken)
class AuthTokenAdmin(ConsoleAdmin[AuthToken]):
    """One's own tokens; everybody's for those who see people."""

    list_display = ("begins", "owner", "made", "until", "state")
    list_display_links = None
    list_select_related = ("user",)
    ordering = ("-created",)

    def visible(self, actor: Actor) -> QuerySet[AuthToken]:
        """One's own, or all."""
        everything: QuerySet[AuthToken] = AuthToken.objects.select_related("user")
        return everything if actor.may("core.view_user") else everything.filter(user=actor.user)

    def list_actions(self) -> Sequence[Action[None]]:
        """For oneself."""
        return [NewToken(), EndTokens(), ChangePassword()]

    def action_view(
        self, request: HttpRequest, *, action: Action[Any], object_id: str | None = None
    ) -> HttpResponseBase:
        """As everywhere; a new password ended the login that it was changed in too, which goes on here."""
        answer = super().action_view(request, action=action, object_id=object_id)
        if action.name == ChangePassword.name and isinstance(answer, HttpResponseRedirect):
            update_session_auth_hash(request, User.objects.get(pk=cast(User, request.user).pk))
        return answer

    @admin.display(description=_("begins with"))
    def begins(self, token: AuthToken) -> SafeString | str:
        """By which it is known."""
        return display.code(f"{token.token_key[:8]}…")

    @admin.display(description=_("owner"))
    def owner(self, token: AuthToken) -> str:
        """Whose it is."""
        return str(token.user.username)

    @admin.display(description=_("made"))
    def made(self, token: AuthToken) -> SafeString | str:
        """When."""
        return display.moment(token.created)

    @admin.display(description=_("expires"))
    def until(self, token: AuthToken) -> SafeString | str:
        """When."""
        return display.moment(token.expiry)

    @admin.display(description=_("state"))
    def state(self, token: AuthToken) -> SafeString:
        """In use or not."""
        over = token.expiry is not None and token.expiry < timezone.now()
        return display.label(_("expired")) if over else display.label(_("in use"), "good")

    def heading(self, row: AuthToken) -> str:
        """Its beginning."""
        return f"{row.token_key[:8]}…"

    def sections(self, _request: HttpRequest, row: AuthToken) -> Sequence[Section]:
        """What is known of it."""
        facts = [(_("owner"), self.owner(row)), (_("made"), self.made(row)), (_("expires"), self.until(row))]
        return [Facts(_("API token"), [*facts, (_("state"), self.state(row))])]
