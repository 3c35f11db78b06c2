"""API tokens: shown once, stored hashed (by knox), expiring, revocable."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from django.utils import timezone
from knox.crypto import hash_token
from knox.models import get_token_model

from opsconsole.core.models import User


def user_of_token(token: str) -> User | None:
    """The active user a token belongs to; None when it is unknown, expired or revoked.

    Reads and nothing else: knox's own way deletes expired tokens as it meets them, which is a write in nobody's name.
    """
    found = get_token_model().objects.select_related("user").filter(digest=hash_token(token)).first()
    if found is None or not found.user.is_active:
        return None
    if found.expiry is not None and found.expiry <= timezone.now():
        return None
    return cast(User, found.user)


def create_token(user: User, *, expiry: timedelta | None = None) -> str:
    """Make a token for the user and return it, the only time it can be seen; by default it lives API_TOKEN_DAYS."""
    lifetime = {} if expiry is None else {"expiry": expiry}  # knox takes None for "for ever"
    _, token = get_token_model().objects.create(user=user, **lifetime)
    return cast(str, token)
