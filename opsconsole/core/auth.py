"""Who calls the API: the bearer of a token of ours, or of a Molam ID token."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from opsconsole.core.models import User
from opsconsole.core.molam_id import looks_like_jwt, user_of_jwt
from opsconsole.core.tokens import user_of_token

SCHEME = "Bearer"


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer TOKEN`: a token of ours (stored hashed, expiring, revocable), or a JWT of Molam ID."""

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        """The token's user; None for a request that names no token, AuthenticationFailed for a token of no use."""
        scheme, _, token = get_authorization_header(request).strip().partition(b" ")
        if scheme.lower() != SCHEME.lower().encode():
            return None
        text = token.strip().decode("ascii", "replace")
        if looks_like_jwt(text):
            return user_of_jwt(text), SCHEME
        user = user_of_token(text)
        if user is None:
            raise AuthenticationFailed(
                "The token is unknown, expired or revoked. One that works: under your name in the console, or by"
                " `manage.py issue_token USER`."
            )
        return user, SCHEME

    def authenticate_header(self, _request: Request) -> str:
        """What `WWW-Authenticate` says."""
        return f'{SCHEME} realm="opsconsole"'


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document describes it."""

    target_class = "opsconsole.core.auth.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, _auto_schema: Any) -> dict[str, str]:
        """The security scheme object."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": (
                "A token from `manage.py issue_token USER`, or a Molam ID token (JWT, RS256) whose `sub` is linked to"
                " a user of this console; its `roles` claim can only narrow what that user may do."
            ),
        }
