"""Throttling of logins, on PostgreSQL: a try is written down before it is looked at, so that many at once count too.

Tries that failed are counted per person and address, per person, and per address, over a while; those with codes per
person. One that succeeds takes the earlier ones of its step away again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.utils.text import format_lazy
from django.utils.translation import ngettext_lazy

from opsconsole.core import outbox
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import User
from opsconsole.core.operations import assert_in_operation, operation
from opsconsole.identity.errors import TooManyAttempts
from opsconsole.identity.models import LoginAttempt, Step
from opsconsole.journal.record import Subject, record

WHILE: Final = timedelta(minutes=15)
KEPT: Final = timedelta(days=1)
PER_PERSON_AND_ADDRESS: Final = 5
PER_PERSON: Final = 20  # from anywhere: whoever guesses from many places, at the price that they can keep one out
PER_ADDRESS: Final = 50
CODES_PER_PERSON: Final = 5  # whoever gets to the code knew the password

LOGIN = SYSTEM("login")


def address_of(request: HttpRequest) -> str:
    """Where a request comes from: the peer, or behind a proxy of ours, the last address it has written down."""
    if settings.BEHIND_PROXY and (forwarded := request.headers.get("X-Forwarded-For", "")):
        return forwarded.rpartition(",")[2].strip()[:64]
    address = str(request.META.get("REMOTE_ADDR", ""))
    host, colon, port = address.rpartition(":")
    return host if colon and port.isdigit() and (host.count(":") == 0 or host.endswith("]")) else address


@operation
def try_password(*, username: str, address: str, actor: Actor) -> None:
    """Write down that a password is about to be looked at; raises TooManyAttempts when it is not to be."""
    begin(Step.PASSWORD, username.lower(), address)


@operation
def password_was_right(*, username: str, address: str, actor: Actor) -> None:
    """Forget somebody's tries with a password from there; those with codes stay."""
    LoginAttempt.objects.filter(username=username.lower(), address=address, step=Step.PASSWORD).delete()


@operation
def drop_old_attempts(*, actor: Actor) -> None:
    """Forget tries that count no more, and sessions that have ended."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from identity_login_attempts where at < now() - make_interval(secs => %s)", [KEPT.total_seconds()]
        )
        cursor.execute("delete from django_session where expire_date < now()")


def begin(step: Step, username: str, address: str) -> None:
    """Count and write down a try in the caller's operation; raises TooManyAttempts.

    The last try that is allowed is journalled, once, and told to whoever listens.
    """
    assert_in_operation()
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('login ' || %s, 0))", [username])
        cursor.execute(
            """
            select count(*) filter (where username = %(name)s and address = %(from)s and step = 'password'),
              count(*) filter (where username = %(name)s and step = 'password'),
              count(*) filter (where address = %(from)s and step = 'password'),
              count(*) filter (where username = %(name)s and step = 'code')
            from identity_login_attempts
            where (username = %(name)s or address = %(from)s) and at > now() - make_interval(secs => %(while)s)
            """,
            {"name": username, "from": address, "while": WHILE.total_seconds()},
        )
        here, anywhere, from_there, codes = cursor.fetchone()
    tried = (
        ((codes, CODES_PER_PERSON),)
        if step is Step.CODE
        else ((here, PER_PERSON_AND_ADDRESS), (anywhere, PER_PERSON), (from_there, PER_ADDRESS))
    )
    if any(count >= most for count, most in tried):
        minutes = int(WHILE.total_seconds() / 60)
        raise TooManyAttempts(
            format_lazy(
                ngettext_lazy(
                    "Too many attempts. Try again in {minutes} minute.",
                    "Too many attempts. Try again in {minutes} minutes.",
                    minutes,
                ),
                minutes=minutes,
            ),
            retry_after=int(WHILE.total_seconds()),
        )
    LoginAttempt.objects.create(step=step, username=username, address=address)
    if any(count == most - 1 for count, most in tried):
        _tell(step, username, address)


def code_was_right(username: str) -> None:
    """Forget a person's tries with codes, in the caller's operation."""
    assert_in_operation()
    LoginAttempt.objects.filter(username=username, step=Step.CODE).delete()


def _tell(step: Step, username: str, address: str) -> None:
    user = User.objects.filter(username__iexact=username).first()
    subject = Subject.of(user) if user else Subject("identity_login_attempts", address)
    facts = {"step": step.value, "address": address, "minutes": int(WHILE.total_seconds() / 60)}
    record(LOGIN, "login.throttled", subject, after=facts)
    known = {"username": user.username} if user else {}
    outbox.emit("login.throttled", kind=subject.kind, id=subject.id, data={**known, **facts})
