"""The buttons on a person: leaving, taking away, and asking for what takes others to agree."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from guardian.models import UserObjectPermission
from knox.models import AuthToken

from opsconsole.approvals.models import SignerKey
from opsconsole.changes.admin.requesting import RequestChange
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, done, then
from opsconsole.core.idempotency import Answer
from opsconsole.core.models import User
from opsconsole.core.texts import Text
from opsconsole.identity import offboarding
from opsconsole.identity.counting import counted
from opsconsole.identity.offboarding import Offboarding, Taken, TakenAway


def in_office(user: User) -> bool:
    """Whether they have not left."""
    return user.is_active


def has_left(user: User) -> bool:
    """Whether they have left."""
    return not user.is_active


def told(outcome: Offboarding | TakenAway) -> str:
    """What ended, with how many of each."""
    return now_("Ended: %(what)s.") % {"what": counted(outcome.ended) or now_("nothing")}


class Offboard(Action[User]):
    """They leave."""

    name = "offboard"
    label = _("Offboard")
    icon = "person_off"
    tone = "danger"
    permission = offboarding.PERMISSION
    form = ReasonForm

    def offered(self, _actor: Actor, row: User) -> bool:
        """Who is in office."""
        return row.is_active

    def question(self, row: User) -> Text:
        """All that ends."""
        return now_(
            "End everything that %(name)s may here, at once: login, sessions, tokens, signer keys, second factor,"
            " roles, grants, approvals that were not used yet, and what they asked for?"
        ) % {"name": row.username}

    def typed(self, row: User) -> str:
        """Their name."""
        return row.username

    def perform(self, press: Press[User]) -> Answer:
        """End it."""
        return offboarding.offboard_user.once(
            press.key,
            lambda outcome: done(" ".join((now_("They have left."), told(outcome))), to=display.row_url(outcome.user)),
            user_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class TakeAwayForm(ReasonForm):
    """What they hold, to be ticked."""

    roles = forms.MultipleChoiceField(label=_("Roles"), required=False, widget=forms.CheckboxSelectMultiple)
    grants = forms.MultipleChoiceField(label=_("Grants"), required=False, widget=forms.CheckboxSelectMultiple)
    tokens = forms.MultipleChoiceField(label=_("API tokens"), required=False, widget=forms.CheckboxSelectMultiple)
    signer_keys = forms.MultipleChoiceField(
        label=_("Signer keys"), required=False, widget=forms.CheckboxSelectMultiple()
    )
    sessions = forms.BooleanField(label=_("End every login"), required=False)

    field_order = ("roles", "grants", "tokens", "signer_keys", "sessions", "reason")


class TakeAwayFrom(Action[User]):
    """Take single things away."""

    name = "take-away"
    label = _("Take away")
    icon = "remove_moderator"
    tone = "danger"
    permission = offboarding.PERMISSION
    form = TakeAwayForm

    def offered(self, _actor: Actor, row: User) -> bool:
        """Who is in office."""
        return row.is_active

    def question(self, row: User) -> Text:
        """That it is at once."""
        return now_("What is to be taken from %(name)s, at once? Giving it back takes others to agree.") % {
            "name": row.username
        }

    def make_form(self, actor: Actor, row: User, data: Any = None, files: Any = None) -> ActionForm:
        """With what they hold; what they hold nothing of is not asked."""
        form = super().make_form(actor, row, data, files)
        held: dict[str, list[tuple[str, str]]] = {
            "roles": [(role, role) for role in sorted(row.groups.values_list("name", flat=True))],
            "grants": [
                (str(grant.pk), f"{grant.permission.codename} · {grant.content_type.name} {grant.object_pk}")
                for grant in UserObjectPermission.objects.filter(user=row).select_related("permission", "content_type")
            ],
            "tokens": [(token.token_key, f"{token.token_key[:8]}…") for token in AuthToken.objects.filter(user=row)],
            "signer_keys": [
                (str(key.pk), f"{key.name} ({key.fingerprint[:12]}…)")
                for key in SignerKey.objects.filter(user=row, revoked_at=None)
            ],
        }
        for name, choices in held.items():
            if choices:
                form.fields[name].choices = choices  # type: ignore[attr-defined] # a field of choices
            else:
                del form.fields[name]
        return form

    def perform(self, press: Press[User]) -> Answer:
        """Take it."""
        data = press.data
        return offboarding.take_away.once(
            press.key,
            then(told, lambda outcome: display.row_url(outcome.user)),
            user_id=press.row.pk,
            taken=Taken(
                roles=data.get("roles", ()),
                grants=[int(grant) for grant in data.get("grants", ())],
                tokens=data.get("tokens", ()),
                signer_keys=data.get("signer_keys", ()),
                sessions=data["sessions"],
            ),
            reason=data["reason"],
            actor=press.actor,
        )


ROW_ACTIONS: Final[tuple[Action[User], ...]] = (
    RequestChange("roles", icon="badge", when=in_office),
    RequestChange("grant", icon="vpn_lock", when=in_office),
    RequestChange("token", icon="key", when=in_office),
    RequestChange("profile", icon="edit", when=in_office),
    RequestChange("reactivation", icon="person_add", when=has_left),
    TakeAwayFrom(),
    Offboard(),
)
LIST_ACTIONS: Final[tuple[Action[None], ...]] = (RequestChange("user", icon="person_add"),)
