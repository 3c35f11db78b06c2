"""API tokens: shown once, stored hashed (by knox), expiring, revocable."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from knox.auth import TokenAuthentication
from knox.models import get_token_model
from rest_framework.exceptions import AuthenticationFailed

from opsconsole.core.models import User


def user_of_token(token: str) -> User | None:
    """The user a token belongs to; None when it is unknown, expired or revoked."""
    if not token:
        return None
    try:
        user, _ = TokenAuthentication().authenticate_credentials(token.encode())
    except AuthenticationFailed:
        return None
    return cast(User, user)


def create_token(user: User, *, expiry: timedelta | None = None) -> str:
    """Make a token for the user and return it, the only time it can be seen."""
    _, token = get_token_model().objects.create(user=user, expiry=expiry)
    return cast(str, token)
