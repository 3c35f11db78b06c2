import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import opsconsole.core.fields
from opsconsole.core.sql import StateGuard
from opsconsole.journal.sql import CaptureDirectSql

# What was asked for stays as it is, whoever connects. Secrets may be encrypted anew, and go when it ends.
FIXED = """
create trigger ops_changes_fixed before update on ops_changes for each row
  execute function approvals_keep_columns('id', 'kind', 'subject_kind', 'subject_id', 'subject_name', 'title',
    'payload', 'before', 'after', 'warnings', 'reason', 'requested_by_id', 'concerned', 'digest', 'created_at');
create trigger ops_changes_kept before delete or truncate on ops_changes
  for each statement execute function refuse_change();
"""
UNFIXED = """
drop trigger ops_changes_fixed on ops_changes;
drop trigger ops_changes_kept on ops_changes;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("approvals", "0002_guards"),
        ("core", "0001_initial"),
        ("journal", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Change",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.TextField()),
                ("subject_kind", models.TextField()),
                ("subject_id", models.TextField()),
                ("subject_name", models.TextField()),
                ("title", models.TextField()),
                ("payload", models.JSONField()),
                ("secrets", opsconsole.core.fields.EncryptedTextField(blank=True, db_default="")),
                ("before", models.JSONField()),
                ("after", models.JSONField()),
                ("warnings", models.JSONField(blank=True, default=list)),
                ("reason", models.TextField()),
                ("concerned", models.JSONField(blank=True, default=list)),
                ("digest", models.TextField()),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("requested", "requested"),
                            ("approved", "approved"),
                            ("applied", "applied"),
                            ("rejected", "rejected"),
                            ("cancelled", "cancelled"),
                            ("expired", "expired"),
                            ("stale", "stale"),
                            ("failed", "failed"),
                        ],
                        default="requested",
                    ),
                ),
                ("failure", models.TextField(blank=True, default="")),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "requested_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name": "change",
                "verbose_name_plural": "changes",
                "db_table": "ops_changes",
                "permissions": [
                    ("request_treasury_change", "Can ask for a change of banks, accounts and payees"),
                    ("request_policy_change", "Can ask for a change of an approval policy"),
                    ("request_people_change", "Can ask for a change of users and of what they are given"),
                    ("take_away", "Can take roles, grants, tokens and keys away, and end a person's access"),
                ],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["-created_at", "-id"], name="changes_newest"),
                    models.Index(fields=["status", "-created_at", "-id"], name="changes_by_status"),
                    models.Index(
                        condition=models.Q(("status__in", ("requested", "approved"))),
                        fields=["kind", "created_at"],
                        name="changes_waiting",
                    ),
                    models.Index(fields=["subject_kind", "subject_id", "-created_at"], name="changes_by_subject"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("digest__regex", "^[0-9a-f]{64}$")), name="change_digest_is_sha256"
                    ),
                    models.CheckConstraint(condition=models.Q(("reason", ""), _negated=True), name="change_says_why"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ended_at", None), ("status__in", ("requested", "approved"))),
                            models.Q(
                                models.Q(("status__in", ("requested", "approved")), _negated=True),
                                ("ended_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="change_ended_says_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ("requested", "approved")), ("secrets", ""), _connector="OR"),
                        name="change_ended_keeps_no_secret",
                    ),
                ],
            },
        ),
        StateGuard(
            "ops_changes",
            starts=["requested"],
            pairs=[
                "approved>applied",
                "approved>cancelled",
                "approved>expired",
                "approved>failed",
                "approved>rejected",
                "approved>requested",
                "approved>stale",
                "requested>approved",
                "requested>cancelled",
                "requested>expired",
                "requested>rejected",
            ],
        ),
        migrations.RunSQL(FIXED, UNFIXED),
        CaptureDirectSql("ops_changes", hidden=["secrets"]),
    ]
