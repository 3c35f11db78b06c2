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
            name="RunTotal",
            fields=[
                ("status", models.TextField(primary_key=True, serialize=False)),
                ("runs", models.BigIntegerField(default=0)),
                ("seconds", models.FloatField(default=0)),
            ],
            options={
                "db_table": "ops_run_totals",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Plan",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("external_id", models.TextField(unique=True)),
                ("name", models.TextField()),
                ("description", models.TextField(blank=True, default="")),
                ("plan_type", models.TextField()),
                ("payload", models.JSONField()),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("draft", "draft"),
                            ("staged", "staged"),
                            ("approved", "approved"),
                            ("executing", "executing"),
                            ("succeeded", "succeeded"),
                            ("partial", "partial"),
                            ("failed", "failed"),
                            ("rolling_back", "rolling back"),
                            ("rolled_back", "rolled back"),
                            ("rollback_partial", "rolled back in part"),
                            ("rejected", "rejected"),
                            ("cancelled", "cancelled"),
                            ("expired", "expired"),
                        ],
                        default="draft",
                    ),
                ),
                (
                    "on_failure",
                    models.TextField(
                        choices=[("stop", "stop"), ("rollback", "roll back"), ("continue", "continue")], default="stop"
                    ),
                ),
                ("required_approvals", models.IntegerField()),
                ("asked_approvals", models.IntegerField(null=True)),
                ("approvals", models.JSONField(default=list)),
                ("estimated_impact", models.JSONField(null=True)),
                ("digest", models.TextField(blank=True, default="")),
                ("body_digest", models.TextField()),
                ("revision", models.IntegerField(default=1)),
                ("not_before", models.DateTimeField(null=True)),
                ("not_after", models.DateTimeField(null=True)),
                ("edited_by", models.JSONField(default=list)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("staged_at", models.DateTimeField(null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name": "plan",
                "verbose_name_plural": "plans",
                "db_table": "ops_plans",
                "permissions": [
                    ("create_plan", "Can draft and edit plans"),
                    ("stage_plan", "Can stage, restage and cancel plans"),
                    ("execute_plan", "Can execute, pause, retry and roll back plans"),
                ],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "direction",
                    models.TextField(choices=[("execute", "execute"), ("rollback", "roll back")], default="execute"),
                ),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("queued", "queued"),
                            ("running", "running"),
                            ("paused", "paused"),
                            ("succeeded", "succeeded"),
                            ("partial", "partial"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        default="queued",
                    ),
                ),
                ("run_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("result", models.JSONField(null=True)),
                ("requested_by", models.TextField()),
                ("revision", models.IntegerField()),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("deadline_at", models.DateTimeField()),
                ("lease_owner", models.TextField(blank=True, default="")),
                ("lease_epoch", models.BigIntegerField(default=0)),
                ("lease_until", models.DateTimeField(null=True)),
                ("wake_at", models.DateTimeField(null=True)),
                (
                    "waiting_for",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("", "nothing"),
                            ("target", "the target to answer"),
                            ("person", "a person to resolve a step"),
                        ],
                        default="",
                    ),
                ),
                ("stalls", models.IntegerField(default=0)),
                ("pause_asked_at", models.DateTimeField(null=True)),
                ("paused_at", models.DateTimeField(null=True)),
                ("cancel_asked_at", models.DateTimeField(null=True)),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="runs", to="plans.plan"
                    ),
                ),
                (
                    "retry_of",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="retries", to="plans.run"
                    ),
                ),
            ],
            options={
                "verbose_name": "run",
                "verbose_name_plural": "runs",
                "db_table": "ops_plan_runs",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Step",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("revision", models.IntegerField()),
                (
                    "direction",
                    models.TextField(choices=[("execute", "execute"), ("rollback", "roll back")], default="execute"),
                ),
                ("seq", models.IntegerField()),
                ("kind", models.TextField()),
                ("key", models.TextField(unique=True)),
                ("payload", models.JSONField()),
                ("compensation", models.JSONField(null=True)),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("pending", "pending"),
                            ("running", "running"),
                            ("succeeded", "succeeded"),
                            ("failed", "failed"),
                            ("unknown", "unknown"),
                            ("skipped", "skipped"),
                        ],
                        default="pending",
                    ),
                ),
                ("attempt", models.IntegerField(default=0)),
                ("needs_person", models.BooleanField(default=False)),
                ("result", models.JSONField(null=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="steps", to="plans.plan"
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="steps", to="plans.run"
                    ),
                ),
                (
                    "undoes",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="undone_by",
                        to="plans.step",
                    ),
                ),
            ],
            options={
                "verbose_name": "step",
                "verbose_name_plural": "steps",
                "db_table": "ops_plan_steps",
                "permissions": [("resolve_step", "Can resolve a step whose outcome is unknown")],
                "default_permissions": ("view",),
            },
        ),
        migrations.AddIndex(
            model_name="plan",
            index=models.Index(fields=["-created_at", "-id"], name="plans_newest_first"),
        ),
        migrations.AddIndex(
            model_name="plan",
            index=models.Index(fields=["status", "plan_type"], name="plans_by_status"),
        ),
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.CheckConstraint(
                condition=models.Q(("required_approvals__gte", 1)), name="plan_needs_an_approval"
            ),
        ),
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("not_before__isnull", True),
                    ("not_after__isnull", True),
                    ("not_after__gt", models.F("not_before")),
                    _connector="OR",
                ),
                name="plan_window_has_a_length",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["plan", "-run_at"], name="runs_of_plan"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status__in", ("queued", "running", "paused"))),
                fields=["wake_at"],
                name="runs_live",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["-run_at", "-id"], name="runs_newest_first"),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ("queued", "running", "paused"))),
                fields=("plan", "direction"),
                name="one_live_run",
            ),
        ),
        migrations.AddIndex(
            model_name="step",
            index=models.Index(fields=["plan", "revision", "direction", "status", "seq"], name="steps_by_status"),
        ),
        migrations.AddIndex(
            model_name="step",
            index=models.Index(
                condition=models.Q(("status__in", ("unknown", "running"))), fields=["plan"], name="steps_in_doubt"
            ),
        ),
        migrations.AddConstraint(
            model_name="step",
            constraint=models.UniqueConstraint(
                fields=("plan", "revision", "direction", "seq"), name="step_stands_once"
            ),
        ),
    ]
