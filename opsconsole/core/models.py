"""The floor's tables: users, stored answers, heartbeats, and the outbox of events."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser, Group
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from opsconsole.core.fields import Uuid7, Uuid7Model

if TYPE_CHECKING:
    _Manager = BaseUserManager["User"]
else:
    _Manager = BaseUserManager


class UserManager(_Manager):
    """Makes users; nobody can be made a superuser."""

    def create_user(self, username: str, password: str | None = None, **fields: Any) -> User:
        """A user with a usable password only if one is given."""
        user = self.model(username=username, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractUser):
    """One human, however they log in. There are no superusers: every right comes from a role or a grant."""

    id = models.UUIDField(primary_key=True, db_default=Uuid7(), editable=False)
    sub = models.TextField("external identity", null=True, blank=True, unique=True)  # the `sub` claim of Molam ID
    is_superuser = False
    within: frozenset[str] | None = None  # the roles a credential narrows its bearer to; None for all they have

    objects = UserManager()  # type: ignore[assignment,misc] # without create_superuser
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        default_permissions = ("view",)
        permissions = [("issue_token", "Can issue an API token to a user")]

    @cached_property
    def roles(self) -> frozenset[str]:
        """The names of the roles the user is a member of, as far as what they came with carries."""
        held = frozenset(self.groups.values_list("name", flat=True))
        return held if self.within is None else held & self.within

    @cached_property
    def has_grants(self) -> bool:
        """Whether anything at all was granted on single objects, to the person or to one of their roles."""
        from guardian.models import (  # noqa: PLC0415 - its models are loaded later
            GroupObjectPermission,
            UserObjectPermission,
        )

        to_roles = GroupObjectPermission.objects.filter(group__in=self.groups.all())
        return UserObjectPermission.objects.filter(user=self).exists() or to_roles.exists()

    def remember_rights(self, roles: Iterable[str], permissions: Iterable[str], *, has_grants: bool) -> None:
        """Take over what one look found of them, so that nothing of it is asked again."""
        self.__dict__.update(roles=frozenset(roles), has_grants=has_grants, _perm_cache=set(permissions))

    def narrow_to(self, roles: Iterable[str]) -> None:
        """Have this object stand for the user in these of their roles only; it never gives them another."""
        self.within = frozenset(roles)
        self._forget_rights()

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Whether a role or a grant gives the right; when narrowed, one of the roles that are left."""
        # Django imports every backend anew to ask it what stands here.
        known = self.__dict__.get("_perm_cache") if obj is None and self.is_active else None
        held = super().has_perm(perm, obj) if known is None else perm in known
        return held and (self.within is None or self._carries(perm, obj))

    def _carries(self, perm: str, obj: Any) -> bool:
        """Whether the right comes from a role that is left, or was granted on this object to the person or to one."""
        from guardian.shortcuts import get_group_perms, get_user_perms  # noqa: PLC0415 - its models are loaded later

        app, _, name = perm.partition(".")
        if obj is not None:
            given = (get_user_perms(self, obj), *(get_group_perms(group, obj) for group in self.groups_left()))
            return any(name == permission for permissions in given for permission in permissions)
        return self.groups_left().filter(permissions__content_type__app_label=app, permissions__codename=name).exists()

    def groups_left(self) -> models.QuerySet[Group]:
        """The groups of the roles the user is a member of, as far as what they came with carries."""
        return self.groups.all() if self.within is None else self.groups.filter(name__in=self.within)

    def _forget_rights(self) -> None:
        for cached in ("roles", "has_grants", "_perm_cache", "_user_perm_cache", "_group_perm_cache"):
            self.__dict__.pop(cached, None)

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        """Reload, roles and permissions included."""
        self._forget_rights()
        super().refresh_from_db(*args, **kwargs)


class IdempotencyKey(models.Model):
    """The stored answer to a request that must have its effect once."""

    scope = models.TextField()
    key = models.TextField()
    fingerprint = models.BinaryField()
    status = models.IntegerField()
    body = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())

    pk = models.CompositePrimaryKey("scope", "key")

    class Meta:
        db_table = "core_idempotency_keys"
        default_permissions = ()
        indexes = [models.Index(fields=["created_at"], name="idempotency_by_age")]


class WorkerHeartbeat(models.Model):
    """A worker or scheduler that said it is alive; silence is how the console notices that one is not."""

    name = models.TextField(primary_key=True)
    kind = models.TextField()
    queues = models.TextField(default="")
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "core_worker_heartbeats"
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name


class OutboxEvent(Uuid7Model):
    """Something that happened and that others may want to know; written in the operation it tells of."""

    topic = models.TextField()
    subject_kind = models.TextField()
    subject_id = models.TextField()
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "core_outbox_events"
        verbose_name = _("outbox event")
        verbose_name_plural = _("outbox events")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["created_at"], name="outbox_by_age")]

    def __str__(self) -> str:
        return f"{self.topic} {self.subject_id}"


class DeliveryState(models.TextChoices):
    """How far the delivery of an event to one listener has come."""

    DUE = "due"
    DELIVERED = "delivered"
    DEAD = "dead"


class OutboxDelivery(Uuid7Model):
    """One event for one listener: tried until it succeeds or is given up as dead."""

    event = models.ForeignKey(OutboxEvent, on_delete=models.CASCADE, related_name="deliveries")
    listener = models.TextField()
    status = models.TextField(choices=DeliveryState.choices, default=DeliveryState.DUE)
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    error = models.TextField(default="", blank=True)

    class Meta:
        db_table = "core_outbox_deliveries"
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["event", "listener"], name="outbox_once_per_listener")]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=models.Q(status=DeliveryState.DUE), name="outbox_due")
        ]

    def __str__(self) -> str:
        return f"{self.listener}: {self.status}"
