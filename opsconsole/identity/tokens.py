"""Tokens and passwords that people have for themselves, and how somebody gets in the first time."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.functional import lazy
from django.utils.text import format_lazy
from django.utils.translation import get_language, override
from django.utils.translation import gettext_lazy as _
from knox.models import AuthToken

from opsconsole.core import outbox
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied, Invalid, NotFound, RuleBroken
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.core.texts import Text
from opsconsole.core.tokens import create_token
from opsconsole.identity import holdings
from opsconsole.journal.record import record

LONGEST_OWN_DAYS: Final = 30
MOST_OWN: Final = 10
FEWEST_ADMINS: Final = 2


class TooManyTokens(RuleBroken):
    """The person has as many tokens in use as anybody needs."""

    code = "too_many_tokens"


class WrongPassword(Invalid):
    """This is not the password."""

    code = "wrong_password"


class InvitationOver(NotFound):
    """The invitation was used, or its time is over, or it never was one."""

    code = "invitation_over"


class AlreadyThere(RuleBroken):
    """There is an admin; from now on people are added by an approved change."""

    code = "already_there"


@operation
def issue_own_token(*, days: int, actor: Actor) -> str:
    """Make a token for oneself, of at most thirty days, and return it, the only time it can be seen.

    Only for somebody who is logged in: that a token makes no other token ends a stolen one for good. Raises
    TooManyTokens, Invalid, Denied.
    """
    user = _in_person(actor)
    if not 1 <= days <= LONGEST_OWN_DAYS:
        raise Invalid(
            format_lazy(
                _("A token of one's own lives 1 to {most} days; a longer one is asked for as a change."),
                most=LONGEST_OWN_DAYS,
            ),
            errors={"days": [format_lazy(_("1 to {most}"), most=LONGEST_OWN_DAYS)]},
        )
    holdings.lock_user(user.pk)
    if AuthToken.objects.filter(user=user, expiry__gt=timezone.now()).count() >= MOST_OWN:
        raise TooManyTokens(
            format_lazy(_("You have {most} tokens in use; end one first."), most=MOST_OWN), most=MOST_OWN
        )
    token = create_token(user, expiry=timedelta(days=days))
    record(actor, "token.issued", user, after={"username": user.username, "token": f"{token[:8]}...", "days": days})
    _tell("token.issued", user, days=days)
    return token


@operation
def change_password(*, old: str, new: str, actor: Actor) -> User:
    """Give oneself another password; every login of theirs ends, and a door may renew its own.

    Raises WrongPassword, Invalid, Denied.
    """
    user = holdings.lock_user(_in_person(actor).pk)
    if not user.check_password(old):
        raise WrongPassword(_("That is not your password."), errors={"old": [_("is not your password")]})
    _require_good(new, user)
    ended = _set_password(user, new)
    record(actor, "user.password_changed", user, after={"sessions_ended": ended})
    _tell("user.password_changed", user)
    return user


@operation
def invite_user(*, username: str, actor: Actor) -> tuple[User, str]:
    """A one-time secret by which somebody without a password chooses one; it is good for PASSWORD_RESET_TIMEOUT.

    Only at the server. Raises UserNotHere, RuleBroken for somebody who has a password, or has left.
    """
    actor.require("identity.invite_user")
    user = holdings.lock_user(holdings.user_by(username).pk)
    if not user.is_active or user.has_usable_password():
        raise RuleBroken(f"{username} has left, or has a password; only who has none is invited.", user=username)
    record(actor, "user.invited", user, after={"username": username})
    _tell("user.invited", user, by=actor.name)
    return user, default_token_generator.make_token(user)


@operation
def accept_invitation(*, user_id: str, secret: str, new: str, actor: Actor) -> User:
    """Choose the first password, by the secret of an invitation, which that uses up. Raises InvitationOver, Invalid."""
    actor.require("identity.accept_invitation")
    user = invited(user_id, secret)
    user = holdings.lock_user(user.pk)
    invited(user_id, secret, user)
    _require_good(new, user)
    _set_password(user, new)
    record(Actor.of(user), "user.invitation_accepted", user)
    _tell("user.invitation_accepted", user)
    return user


@operation
def create_first_people(*, admins: list[str], pay_admins: list[str], actor: Actor) -> list[tuple[User, str]]:
    """Make the first people, each with the secret of an invitation; refused as soon as there is an admin.

    Only at the server. Two admins and a pay_admin at the least: whoever asks for a change never approves it, and it
    takes an admin and a pay_admin to agree. Raises AlreadyThere, Invalid.
    """
    actor.require("identity.create_first_people")
    role = Group.objects.select_for_update(no_key=True).get(name=holdings.ADMIN)
    if User.objects.filter(groups=role, is_active=True).exists():
        raise AlreadyThere("There is an admin; ask for the change `user` to add people.")
    names = [*admins, *pay_admins]
    if len(set(admins)) < FEWEST_ADMINS or not pay_admins or len(set(names)) < len(names):
        raise Invalid("It takes two admins and a pay_admin, each a different person.", errors={"admins": ["too few"]})
    if taken := sorted(User.objects.filter(username__in=names).values_list("username", flat=True)):
        raise Invalid(f"There is a user {', '.join(taken)} already.", errors={"admins": ["taken"]})
    made = []
    for username in names:
        given = holdings.ADMIN if username in admins else "pay_admin"
        user = User.objects.create_user(username, is_staff=True)
        user.refresh_from_db()
        user.groups.set(Group.objects.filter(name=given))
        record(actor, "user.created", user, after={"username": username, "roles": [given], "first": True})
        _tell("user.created", user, by=actor.name)
        made.append((user, default_token_generator.make_token(user)))
    return made


def invited(user_id: str, secret: str, user: User | None = None) -> User:
    """The person whom this invitation is for; raises InvitationOver."""
    try:
        found = user or holdings.user_by(user_id)
    except NotFound as error:
        raise InvitationOver(_("This invitation is over.")) from error
    if not found.is_active or found.has_usable_password() or not default_token_generator.check_token(found, secret):
        raise InvitationOver(_("This invitation is over."))
    return found


def _in_person(actor: Actor) -> User:
    if actor.user is None or not actor.user.is_active or actor.user.within is not None:
        raise Denied(_("Only a person who is logged in to the console can do this."))
    return actor.user


def _set_password(user: User, new: str) -> int:
    user.set_password(new)
    user.save(update_fields=["password"])
    return holdings.end_sessions(user)


def _require_good(new: str, user: User) -> None:
    if problems := _problems(new, user):
        raise Invalid(_("This password will not do."), errors={"new": problems})


def _problems(new: str, user: User) -> list[Text]:
    """What is wrong with a password, in the words of Django's validators.

    They speak at once, so each is asked in every language: to ask again when it is read would take the password along.
    """
    said: dict[str, list[str]] = {}
    for language, _name in settings.LANGUAGES:
        with override(language):
            try:
                validate_password(new, user)
            except ValidationError as error:
                said[language] = error.messages
    first = said.get(settings.LANGUAGE_CODE, [])

    def told(place: int) -> str:
        return said.get(get_language() or "", first)[place]

    in_turn = lazy(told, str)
    return [in_turn(place) for place in range(len(first))]


def _tell(topic: str, user: User, **facts: object) -> None:
    outbox.emit(topic, kind=User._meta.db_table, id=user.pk, data={"username": user.username, **facts})
