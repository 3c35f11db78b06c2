"""Freeze calendars, break-glass, and when a step of an ended run was last asked about."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

import opsconsole.core.fields
from opsconsole.core.sql import AppendOnly
from opsconsole.journal.sql import CaptureDirectSql

# What a calendar says stands; all that may happen to it is that somebody ends it, once.
CALENDARS = """
create trigger ops_calendars_fixed before update on ops_calendars for each row
  execute function approvals_keep_columns('id', 'name', 'reason', 'plan_types', 'banks', 'currencies', 'time_zone',
    'weekdays', 'from_time', 'until_time', 'starts_at', 'created_by_id', 'created_at');
create trigger ops_calendars_ended before update of ended_at on ops_calendars for each row
  when (old.ended_at is not null and new.ended_at is distinct from old.ended_at)
  execute function approvals_refuse_return('a calendar that was ended stays ended');
"""
NO_CALENDARS = """
drop trigger ops_calendars_fixed on ops_calendars;
drop trigger ops_calendars_ended on ops_calendars;
"""


def _id() -> models.UUIDField:
    return models.UUIDField(
        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
    )


def _user() -> models.ForeignKey:
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)


class Migration(migrations.Migration):
    """Tables first, then their rules."""

    dependencies = [
        ("plans", "0002_guards"),
        ("approvals", "0003_break_glass"),
        ("journal", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="plan",
            options={
                "verbose_name": "plan",
                "verbose_name_plural": "plans",
                "default_permissions": ("view",),
                "permissions": [
                    ("create_plan", "Can draft and edit plans"),
                    ("stage_plan", "Can stage, restage and cancel plans"),
                    ("execute_plan", "Can execute, pause, retry and roll back plans"),
                    (
                        "break_glass",
                        "Can execute a staged plan in an emergency, without its quorum or through a calendar",
                    ),
                    ("force_fail_run", "Can end a stuck run as failed"),
                    ("export_evidence", "Can download the evidence of a plan"),
                ],
            },
        ),
        migrations.AddField("step", "probed_at", models.DateTimeField(null=True)),
        migrations.CreateModel(
            name="Calendar",
            fields=[
                ("id", _id()),
                ("name", models.TextField()),
                ("reason", models.TextField()),
                ("plan_types", models.JSONField(default=list)),
                ("banks", models.JSONField(default=list)),
                ("currencies", models.JSONField(default=list)),
                ("time_zone", models.TextField(default="UTC")),
                ("weekdays", models.JSONField(default=list)),
                ("from_time", models.TimeField(null=True)),
                ("until_time", models.TimeField(null=True)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField(null=True)),
                ("created_by", _user()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("ended_at", models.DateTimeField(null=True)),
                ("ended_by", models.TextField(blank=True, default="")),
            ],
            options={
                "verbose_name": "freeze calendar",
                "verbose_name_plural": "freeze calendars",
                "db_table": "ops_calendars",
                "permissions": [("manage_calendar", "Can create and end freeze calendars")],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(condition=Q(("ended_at", None)), fields=["ends_at"], name="calendars_in_force")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(("ends_at__isnull", True), ("ends_at__gt", models.F("starts_at")), _connector="OR"),
                        name="calendar_has_a_length",
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            Q(
                                ("ends_at__isnull", False),
                                ("from_time__isnull", True),
                                ("until_time__isnull", True),
                                ("weekdays", []),
                            ),
                            Q(
                                Q(("weekdays", []), _negated=True),
                                ("from_time__isnull", False),
                                ("until_time__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="calendar_once_or_weekly",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BreakGlass",
            fields=[
                ("id", _id()),
                ("request_id", models.UUIDField()),
                ("review_id", models.UUIDField()),
                ("digest", models.TextField()),
                ("incident", models.TextField()),
                ("reason", models.TextField()),
                ("without_quorum", models.BooleanField()),
                ("calendars", models.JSONField(default=list)),
                ("broken_by", _user()),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="broken_glass", to="plans.plan"
                    ),
                ),
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="broken_glass", to="plans.run"
                    ),
                ),
            ],
            options={
                "db_table": "ops_break_glass",
                "default_permissions": (),
                "indexes": [models.Index(fields=["plan", "-at"], name="break_glass_of_plan")],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(Q(("incident", ""), _negated=True), Q(("reason", ""), _negated=True)),
                        name="break_glass_says_why",
                    )
                ],
            },
        ),
        migrations.RunSQL(CALENDARS, NO_CALENDARS),
        AppendOnly("ops_break_glass"),
        CaptureDirectSql("ops_calendars"),
        CaptureDirectSql("ops_break_glass"),
    ]
