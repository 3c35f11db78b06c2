"""Columns the floor adds to Django's: time-ordered ids made by the database, and text that is encrypted at rest."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


class Uuid7(models.Func):
    """The SQL function that makes a UUIDv7 (RFC 9562), for `db_default`."""

    function = "uuid7"
    arity = 0
    output_field = models.UUIDField()


class Uuid7Model(models.Model):
    """A model whose primary key is a UUIDv7 made by the database, whoever inserts the row."""

    id = models.UUIDField(primary_key=True, db_default=Uuid7(), editable=False)

    class Meta:
        abstract = True


class CurrentActor(models.Func):
    """The name of whoever the running operation acts for; for `db_default`.

    Whoever writes without one is the role they logged in as: what they have their session say does not count.
    """

    template = "case when ops_is_service() then current_setting('ops.actor', true) else session_user::text end"
    arity = 0
    output_field = models.TextField()


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key.encode()) for key in keys])


def cipher() -> MultiFernet:
    """The cipher over settings.FIELD_ENCRYPTION_KEYS: the first key encrypts, all of them decrypt."""
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS))


class Secret(str):
    """A decrypted value that does not show itself where objects are printed or logged."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __format__(self, spec: str) -> str:
        return format("**********", spec)

    def reveal(self) -> str:
        """The value itself, for the one place that needs it."""
        return str.__str__(self)


if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class EncryptedTextField(_TextField):
    """Text stored as a Fernet token; reading it needs one of the configured keys."""

    description = "encrypted text"

    def get_prep_value(self, value: Any) -> str | None:
        """The token to store; None stays None and the empty string stays empty."""
        if value is None or value == "":
            return value  # type: ignore[no-any-return] # None or the empty string
        return cipher().encrypt(str.__str__(value).encode()).decode()

    def from_db_value(self, value: str | None, *_: Any) -> Secret | None:
        """The decrypted text; raises ImproperlyConfigured when no configured key fits."""
        if value is None:
            return None
        if value == "":
            return Secret("")
        try:
            return Secret(cipher().decrypt(value.encode()).decode())
        except InvalidToken as error:
            raise ImproperlyConfigured(
                f"{self.model.__name__}.{self.name} was encrypted with a key that FIELD_ENCRYPTION_KEYS lacks"
            ) from error
