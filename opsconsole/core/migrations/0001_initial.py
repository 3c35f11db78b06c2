import django.contrib.auth.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models

import opsconsole.core.fields
from opsconsole.core.sql import APPEND_ONLY, IDEMPOTENCY_CLAIM, STATE_GUARD, UUID7


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        UUID7,
        STATE_GUARD,
        APPEND_ONLY,
        migrations.CreateModel(
            name="WorkerHeartbeat",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("kind", models.TextField()),
                ("queues", models.TextField(default="")),
                ("started_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("beat_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "worker",
                "verbose_name_plural": "workers",
                "db_table": "core_worker_heartbeats",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                ("first_name", models.CharField(blank=True, max_length=150, verbose_name="first name")),
                ("last_name", models.CharField(blank=True, max_length=150, verbose_name="last name")),
                ("email", models.EmailField(blank=True, max_length=254, verbose_name="email address")),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                ("date_joined", models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined")),
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("sub", models.TextField(blank=True, null=True, unique=True, verbose_name="external identity")),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "verbose_name": "user",
                "verbose_name_plural": "users",
                "permissions": [("issue_token", "Can issue an API token to a user")],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                ("scope", models.TextField()),
                ("key", models.TextField()),
                ("fingerprint", models.BinaryField()),
                ("status", models.IntegerField()),
                ("body", models.JSONField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "scope", "key", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
            ],
            options={
                "db_table": "core_idempotency_keys",
                "default_permissions": (),
                "indexes": [models.Index(fields=["created_at"], name="idempotency_by_age")],
            },
        ),
        migrations.CreateModel(
            name="OutboxEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("topic", models.TextField()),
                ("subject_kind", models.TextField()),
                ("subject_id", models.TextField()),
                ("data", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "outbox event",
                "verbose_name_plural": "outbox events",
                "db_table": "core_outbox_events",
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["created_at"], name="outbox_by_age")],
            },
        ),
        migrations.CreateModel(
            name="OutboxDelivery",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("listener", models.TextField()),
                (
                    "status",
                    models.TextField(
                        choices=[("due", "Due"), ("delivered", "Delivered"), ("dead", "Dead")], default="due"
                    ),
                ),
                ("attempts", models.IntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("error", models.TextField(blank=True, default="")),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="deliveries", to="core.outboxevent"
                    ),
                ),
            ],
            options={
                "db_table": "core_outbox_deliveries",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(condition=models.Q(("status", "due")), fields=["next_attempt_at"], name="outbox_due")
                ],
                "constraints": [models.UniqueConstraint(fields=("event", "listener"), name="outbox_once_per_listener")],
            },
        ),
        IDEMPOTENCY_CLAIM,
    ]
