"""The second factor of the admin: an authenticator app (TOTP, RFC 6238) and codes to recover with.

The secret is encrypted at rest, recovery codes are kept as hashes and shown once, and no code counts twice. Who has
one is asked for it at each login, whether or not the console insists on one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.conf import settings
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import passkeys
from opsconsole.approvals.errors import ReasonMissing, SignatureInvalid
from opsconsole.approvals.models import KeyKind, SignerKey
from opsconsole.core import outbox
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.identity import attempts
from opsconsole.identity.errors import NoSecondFactor, NotByOneself
from opsconsole.identity.models import RecoveryCode, SecondFactor, Step
from opsconsole.journal.record import record

ISSUER: Final = "OpsConsole"
DIGITS: Final = 6
PERIOD: Final = 30  # seconds; every authenticator app knows these, and SHA-1
DRIFT: Final = 1  # a code of the period before or after counts as well: clocks differ, and people type
SECRET_BYTES: Final = 20
RECOVERY_CODES: Final = 10
RECOVERY_BYTES: Final = 10
DECIDING: Final = ("approvals.decide_request", "plans.execute_plan")


def is_required_of(user: User) -> bool:
    """Whether this user may enter only with a second factor, by OPS_REQUIRE_SECOND_FACTOR."""
    match settings.REQUIRE_SECOND_FACTOR:
        case "everybody":
            return True
        case "deciders":
            return any(user.has_perm(permission) for permission in DECIDING)
        case _:
            return False


def factor_of(user: User) -> SecondFactor | None:
    """The user's second factor."""
    return SecondFactor.objects.filter(user=user).first()


def codes_left(factor: SecondFactor) -> int:
    """How many recovery codes were not used yet."""
    return factor.recovery_codes.filter(used_at=None).count()


def new_secret() -> str:
    """A secret for an authenticator, in base32."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def otpauth_address(secret: str, user: User) -> str:
    """What the QR code says: the `otpauth:` address of the secret."""
    return _totp(secret).get_provisioning_uri(user.username, ISSUER)


def code_at(secret: str, at: datetime) -> str:
    """The code that the authenticator shows at a time."""
    return _totp(secret).generate(int(at.timestamp())).decode()


@operation
def enrol(*, secret: str, code: str, current: str, address: str, actor: Actor) -> list[str] | None:
    """Set up the actor's authenticator, which has shown `code`; returns the recovery codes, this one time.

    Who has a second factor already proves themselves by it (`current`), and it is replaced. None when a code is
    wrong, which counts as a try. Raises TooManyAttempts.
    """
    user = _person(actor)
    old = SecondFactor.objects.select_for_update().filter(user=user).first()
    attempts.begin(Step.CODE, user.username.lower(), address)
    step = _matching_step(secret, _digits(code), after=0)
    if step is None or (old is not None and not _counts(old, current)):
        record(actor, "second_factor.failed", user, after={"address": address, "enrolling": True})
        return None
    if old is not None:
        old.delete()
    factor = SecondFactor.objects.create(user=user, secret=secret, last_step=step)
    attempts.code_was_right(user.username.lower())
    record(actor, "second_factor.enrolled", user, after={"replaced": old is not None, "address": address})
    outbox.emit("second_factor.enrolled", kind=User._meta.db_table, id=user.pk, data={"username": user.username})
    return _fresh_codes(factor)


@operation
def verify(*, code: str, address: str, actor: Actor) -> bool:
    """Whether this is the actor's code now, or a recovery code of theirs; either counts once.

    A wrong one is journalled and counts as a try. Raises NoSecondFactor, TooManyAttempts.
    """
    user = _person(actor)
    factor = _locked(user)
    attempts.begin(Step.CODE, user.username.lower(), address)
    if not _counts(factor, code):
        record(actor, "second_factor.failed", user, after={"address": address})
        return False
    attempts.code_was_right(user.username.lower())
    if len(_digits(code)) != DIGITS:
        left = codes_left(factor)
        record(actor, "second_factor.recovered", user, after={"codes_left": left, "address": address})
        facts = {"username": user.username, "codes_left": left}
        outbox.emit("second_factor.recovered", kind=User._meta.db_table, id=user.pk, data=facts)
    return True


@operation
def verify_passkey(*, assertion: passkeys.Assertion, challenge: bytes, address: str, actor: Actor) -> bool:
    """Whether one of the actor's passkeys answered this challenge; it stands in for the authenticator app.

    A wrong answer is journalled and counts as a try. Raises NoSecondFactor, TooManyAttempts.
    """
    user = _person(actor)
    _locked(user)
    attempts.begin(Step.CODE, user.username.lower(), address)
    if not _answered(user, assertion, challenge):
        record(actor, "second_factor.failed", user, after={"address": address, "passkey": True})
        return False
    attempts.code_was_right(user.username.lower())
    return True


@operation
def renew_codes(*, code: str, address: str, actor: Actor) -> list[str] | None:
    """Make the actor new recovery codes in place of the old, and return them, this one time.

    None when `code` is wrong, which counts as a try. Raises NoSecondFactor, TooManyAttempts.
    """
    user = _person(actor)
    factor = _locked(user)
    attempts.begin(Step.CODE, user.username.lower(), address)
    if not _counts(factor, code):
        record(actor, "second_factor.failed", user, after={"address": address})
        return None
    attempts.code_was_right(user.username.lower())
    factor.recovery_codes.all().delete()
    record(actor, "second_factor.codes_renewed", user, after={"address": address})
    return _fresh_codes(factor)


@operation
def reset_second_factor(*, username: str, reason: str, actor: Actor) -> None:
    """Take a person's second factor away, because it is lost; what they have open in the admin ends with it.

    At once, with an alert. Nobody does it for themselves. Raises NoSecondFactor, NotByOneself, and ReasonMissing.
    """
    actor.require("identity.reset_secondfactor")
    if not reason.strip():
        raise ReasonMissing(_("Say why the second factor is taken away."), errors={"reason": [_("must not be blank")]})
    factor = SecondFactor.objects.select_for_update().select_related("user").filter(user__username=username).first()
    if factor is None:
        raise NoSecondFactor(format_lazy(_("There is no second factor of {user}."), user=username), username=username)
    if actor.user is not None and factor.user_id == actor.user.pk:
        raise NotByOneself(_("Somebody else has to take your second factor away."))
    user = factor.user
    factor.delete()
    record(actor, "second_factor.reset", user, after={"username": username}, reason=reason)
    facts = {"username": username, "by": actor.name, "reason": reason}
    outbox.emit("second_factor.reset", kind=User._meta.db_table, id=user.pk, data=facts)


def _person(actor: Actor) -> User:
    if actor.user is None or not actor.user.is_active:
        raise Denied(_("Only a person in office has a second factor."))
    return actor.user


def _locked(user: User) -> SecondFactor:
    factor = SecondFactor.objects.select_for_update().filter(user=user).first()
    if factor is None:
        raise NoSecondFactor(_("You have no second factor."))
    return factor


def _counts(factor: SecondFactor, code: str) -> bool:
    """Whether the code counts now, and use it up if it does."""
    text = _digits(code)
    if len(text) == DIGITS and text.isdigit():
        step = _matching_step(factor.secret.reveal(), text, after=factor.last_step)
        if step is None:
            return False
        factor.last_step = step
        factor.save(update_fields=["last_step"])
        return True
    unused = factor.recovery_codes.filter(digest=_digest(text), used_at=None)
    return unused.update(used_at=timezone.now()) == 1


def _matching_step(secret: str, code: str, *, after: int) -> int | None:
    """The time step whose code this is, of those about now and later than `after`."""
    totp, now = _totp(secret), int(timezone.now().timestamp()) // PERIOD
    for step in range(now - DRIFT, now + DRIFT + 1):
        if step > after and hmac.compare_digest(totp.generate(step * PERIOD), code.encode()):
            return step
    return None


def _answered(user: User, assertion: passkeys.Assertion, challenge: bytes) -> bool:
    key = (
        SignerKey.objects.select_for_update(of=("self",))
        .filter(user=user, kind=KeyKind.PASSKEY, revoked_at=None, credential_id=assertion.id)
        .first()
    )
    if key is None:
        return False
    try:
        key.sign_count = passkeys.check(
            assertion,
            challenge=challenge,
            public_key=key.public_key,
            rp_id=key.rp_id,
            sign_count=key.sign_count,
        )
    except SignatureInvalid:
        return False
    key.save(update_fields=["sign_count"])
    return True


def _fresh_codes(factor: SecondFactor) -> list[str]:
    codes = [_grouped(base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode()) for _n in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(RecoveryCode(factor=factor, digest=_digest(_digits(code))) for code in codes)
    return codes


def _grouped(code: str) -> str:
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4)).lower()


def _digits(code: str) -> str:
    """A code without what people put between its letters."""
    return "".join(letter for letter in code if letter.isalnum() and letter.isascii()).upper()


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def _totp(secret: str) -> TOTP:
    # SHA-1 is what authenticator apps speak; HMAC does not suffer from its collisions.
    return TOTP(base64.b32decode(secret), DIGITS, SHA1(), PERIOD)  # noqa: S303 - the reason stands above
