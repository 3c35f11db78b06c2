"""What a person proves themselves with besides a password, and the tries that failed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from opsconsole.core.fields import EncryptedTextField, Uuid7Model


class SecondFactor(Uuid7Model):
    """A person's authenticator app: the shared secret of TOTP (RFC 6238), and how far its codes are used up."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="second_factor")
    secret = EncryptedTextField()  # base32, as the app has it
    last_step = models.BigIntegerField()  # the time step of the last code that was accepted; none before it is again
    enrolled_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "identity_second_factors"
        verbose_name = _("second factor")
        verbose_name_plural = _("second factors")
        default_permissions = ("view",)
        permissions = [("reset_secondfactor", "Can take away a person's second factor")]

    def __str__(self) -> str:
        return self.user.username


class RecoveryCode(Uuid7Model):
    """A code that stands in for the authenticator once; only its hash is kept."""

    factor = models.ForeignKey(SecondFactor, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.TextField(unique=True)  # SHA-256: the code itself has 80 random bits
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "identity_recovery_codes"
        default_permissions = ()

    def __str__(self) -> str:
        return "used" if self.used_at else "unused"


class Step(models.TextChoices):
    """The two steps of logging in."""

    PASSWORD = "password"  # noqa: S105 - the name of a step
    CODE = "code"


class LoginAttempt(Uuid7Model):
    """A try to log in that has not succeeded; a few of them in a while and the next has to wait."""

    step = models.TextField(choices=Step.choices)
    username = models.TextField()  # as it was typed, of a user or of nobody, in lower case
    address = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "identity_login_attempts"
        default_permissions = ()
        indexes = [
            models.Index(fields=["username", "at"], name="login_attempts_by_user"),
            models.Index(fields=["address", "at"], name="login_attempts_by_address"),
            models.Index(fields=["at"], name="login_attempts_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.username} from {self.address}"
