"""Second factors, recovery codes, and tries to log in; pasted changes to them are journalled."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import opsconsole.core.fields
from opsconsole.journal.sql import CaptureDirectSql


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0001_direct_sql"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="LoginAttempt",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("step", models.TextField(choices=[("password", "Password"), ("code", "Code")])),
                ("username", models.TextField()),
                ("address", models.TextField()),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "identity_login_attempts",
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["username", "at"], name="login_attempts_by_user"),
                    models.Index(fields=["address", "at"], name="login_attempts_by_address"),
                    models.Index(fields=["at"], name="login_attempts_by_age"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SecondFactor",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("secret", opsconsole.core.fields.EncryptedTextField()),
                ("last_step", models.BigIntegerField()),
                ("enrolled_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="second_factor",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "second factor",
                "verbose_name_plural": "second factors",
                "db_table": "identity_second_factors",
                "permissions": [("reset_secondfactor", "Can take away a person's second factor")],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="RecoveryCode",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("digest", models.TextField(unique=True)),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "factor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="recovery_codes",
                        to="identity.secondfactor",
                    ),
                ),
            ],
            options={
                "db_table": "identity_recovery_codes",
                "default_permissions": (),
            },
        ),
        CaptureDirectSql("identity_second_factors", hidden=("secret",)),
        CaptureDirectSql("identity_recovery_codes", hidden=("digest",)),
        CaptureDirectSql("identity_login_attempts"),
    ]
