import datetime

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import opsconsole.core.fields


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Wait",
            fields=[
                ("action", models.TextField(primary_key=True, serialize=False)),
                ("decided", models.BigIntegerField()),
                ("seconds", models.FloatField()),
            ],
            options={
                "db_table": "approvals_waits",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Policy",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("action", models.TextField()),
                ("version", models.PositiveIntegerField(default=1)),
                ("active", models.BooleanField(default=True)),
                ("slots", models.JSONField()),
                ("executors", models.JSONField()),
                ("thresholds", models.JSONField(blank=True, default=list)),
                ("signature_required", models.BooleanField(default=False)),
                ("ttl", models.DurationField(verbose_name="time to live")),
                ("requester_may_approve", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "policy",
                "verbose_name_plural": "policies",
                "db_table": "approvals_policies",
                "permissions": [("change_policy", "Can change an approval policy")],
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("active", True)), fields=("action",), name="policy_one_active"
                    ),
                    models.UniqueConstraint(fields=("action", "version"), name="policy_version_once"),
                    models.CheckConstraint(
                        condition=models.Q(("ttl__gte", datetime.timedelta(seconds=1))), name="policy_gives_time"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("requester_may_approve", False),
                            models.Q(("action__startswith", "plan."), _negated=True),
                            _connector="OR",
                        ),
                        name="policy_plans_need_others",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Request",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("action", models.TextField()),
                ("subject_kind", models.TextField()),
                ("subject_id", models.TextField()),
                ("title", models.TextField()),
                ("digest", models.TextField()),
                ("content", models.JSONField()),
                ("policy", models.JSONField()),
                ("editors", models.JSONField(default=list)),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("pending", "pending"),
                            ("approved", "approved"),
                            ("suspended", "suspended"),
                            ("consumed", "consumed"),
                            ("rejected", "rejected"),
                            ("expired", "expired"),
                            ("void", "void"),
                        ],
                        default="pending",
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("expires_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "requested_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name": "approval request",
                "verbose_name_plural": "approval requests",
                "db_table": "approvals_requests",
                "permissions": [("decide_request", "Can decide on an approval request")],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="SignerKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.TextField()),
                ("public_key", models.TextField()),
                ("fingerprint", models.TextField(unique=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="signer_keys",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "signer key",
                "verbose_name_plural": "signer keys",
                "db_table": "approvals_signer_keys",
                "permissions": [("register_signerkey", "Can register a signer key of their own")],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Decision",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("approve", "approve"),
                            ("reject", "reject"),
                            ("revoke", "revoke"),
                            ("comment", "comment"),
                        ]
                    ),
                ),
                ("digest", models.TextField()),
                ("reason", models.TextField(blank=True, default="")),
                ("signature", models.TextField(blank=True, default="")),
                ("nth", models.PositiveSmallIntegerField(default=1)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "revokes",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="revoked_by",
                        to="approvals.decision",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="decisions", to="approvals.request"
                    ),
                ),
                (
                    "signer_key",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="decisions",
                        to="approvals.signerkey",
                    ),
                ),
            ],
            options={
                "db_table": "approvals_decisions",
                "default_permissions": ("view",),
            },
        ),
        migrations.AddIndex(
            model_name="request",
            index=models.Index(fields=["-created_at", "-id"], name="requests_newest"),
        ),
        migrations.AddIndex(
            model_name="request",
            index=models.Index(fields=["status", "-created_at", "-id"], name="requests_by_status"),
        ),
        migrations.AddIndex(
            model_name="request",
            index=models.Index(fields=["action", "-created_at", "-id"], name="requests_by_action"),
        ),
        migrations.AddIndex(
            model_name="request",
            index=models.Index(
                condition=models.Q(("status", "pending")), fields=["action", "created_at"], name="requests_waiting"
            ),
        ),
        migrations.AddIndex(
            model_name="request",
            index=models.Index(
                condition=models.Q(("status__in", ("pending", "approved", "suspended"))),
                fields=["expires_at"],
                name="requests_to_expire",
            ),
        ),
        migrations.AddIndex(
            model_name="request",
            index=models.Index(fields=["subject_kind", "subject_id", "-created_at"], name="requests_by_subject"),
        ),
        migrations.AddConstraint(
            model_name="request",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ("pending", "approved", "suspended"))),
                fields=("subject_kind", "subject_id", "action"),
                name="request_one_live",
            ),
        ),
        migrations.AddConstraint(
            model_name="request",
            constraint=models.CheckConstraint(
                condition=models.Q(("digest__regex", "^[0-9a-f]{64}$")), name="request_digest_is_sha256"
            ),
        ),
        migrations.AddIndex(
            model_name="signerkey",
            index=models.Index(condition=models.Q(("revoked_at", None)), fields=["user"], name="signer_keys_in_use"),
        ),
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(fields=["request", "at"], name="decisions_of_request"),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.CheckConstraint(
                condition=models.Q(("digest__regex", "^[0-9a-f]{64}$")), name="decision_digest_is_sha256"
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "revoke"), ("revokes__isnull", False)),
                    models.Q(models.Q(("kind", "revoke"), _negated=True), ("revokes", None)),
                    _connector="OR",
                ),
                name="decision_revokes_one",
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("signature", ""), ("signer_key", None)),
                    models.Q(models.Q(("signature", ""), _negated=True), ("signer_key__isnull", False)),
                    _connector="OR",
                ),
                name="decision_signed_by_a_key",
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "reject"), _negated=True),
                    models.Q(("reason", ""), _negated=True),
                    _connector="OR",
                ),
                name="decision_rejects_with_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "approve")),
                fields=("request", "user", "nth"),
                name="decision_one_approval_per_person",
            ),
        ),
    ]
