"""Molam ID at the API's door: a JWT (RFC 7519, RS256) that names a user of ours by `sub`, and may narrow their roles.

The algorithm is ours to say, never the token's. A `sub` that is linked to nobody gets in nowhere: one human is one
user, however they log in, so that nobody approves twice by coming through two doors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt
from django.conf import settings
from rest_framework.exceptions import AuthenticationFailed

from opsconsole.core.models import User

ALGORITHMS: Final = ["RS256"]
REQUIRED: Final = ["exp", "iat", "sub", "aud"]
DOTS: Final = 2  # of header, claims and signature


def looks_like_jwt(token: str) -> bool:
    """Whether this is a JWT and not a token of ours, which is hexadecimal."""
    return token.count(".") == DOTS


def user_of_jwt(token: str) -> User:
    """The linked, active user of a valid token, narrowed to the roles it names.

    Raises AuthenticationFailed, saying why, for every other token.
    """
    claims = _claims(token)
    user = User.objects.filter(sub=claims["sub"]).first()
    if user is None:
        raise AuthenticationFailed(
            "Your Molam ID is linked to no user of this console. Ask an administrator to link it.", "molam_id_unlinked"
        )
    if not user.is_active:
        raise AuthenticationFailed("The user of this Molam ID has left.", "molam_id_inactive")
    named = _roles(claims)
    if named is not None:
        user.narrow_to(named)
    return user


def _claims(token: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key_for(jwt.get_unverified_header(token)),
            algorithms=ALGORITHMS,
            audience=settings.MOLAM_ID_AUDIENCE,
            issuer=settings.MOLAM_ID_ISSUER or None,
            leeway=settings.MOLAM_ID_LEEWAY_SECONDS,
            options={"require": [*REQUIRED, *(["iss"] if settings.MOLAM_ID_ISSUER else [])]},
        )
    except jwt.PyJWTError as problem:
        raise AuthenticationFailed(f"The Molam ID token is refused: {_why(problem)}", "molam_id_refused") from problem
    return claims


def _key_for(header: Mapping[str, Any]) -> str:
    keys: dict[str, str] = settings.MOLAM_ID_KEYS
    if not keys:
        raise AuthenticationFailed("This console accepts no Molam ID tokens.", "molam_id_refused")
    if header.get("alg") not in ALGORITHMS:
        raise jwt.InvalidAlgorithmError("it is signed by an algorithm other than RS256")
    if "" in keys:  # one key that goes by no name: the signature alone tells
        return keys[""]
    key = keys.get(str(header.get("kid", "")))
    if key is None:
        raise jwt.InvalidKeyError("its kid names none of the keys of this console")
    return key


def _roles(claims: Mapping[str, Any]) -> list[str] | None:
    """The roles that the token names, in our words; None when it does not speak of roles."""
    said = claims.get(settings.MOLAM_ID_ROLES_CLAIM)
    if said is None:
        return None
    if not isinstance(said, Sequence) or isinstance(said, str) or not all(isinstance(role, str) for role in said):
        raise AuthenticationFailed("The Molam ID token is refused: its roles are no list of names.", "molam_id_refused")
    ours: dict[str, str] = settings.MOLAM_ID_ROLES
    return [ours.get(role) or role for role in said]


def _why(problem: jwt.PyJWTError) -> str:
    match problem:
        case jwt.ExpiredSignatureError():
            return "it has expired."
        case jwt.ImmatureSignatureError():
            return "it is not valid yet; compare the clocks."
        case jwt.InvalidAudienceError():
            return "it was issued for another audience."
        case jwt.InvalidIssuerError():
            return "it comes from another issuer."
        case jwt.MissingRequiredClaimError():
            return f"it lacks the claim {problem.claim}."
        case jwt.InvalidKeyError() | jwt.InvalidAlgorithmError():
            return f"{problem}."
        case jwt.InvalidSignatureError():
            return "its signature does not verify."
        case _:
            return "it is malformed."
