"""Reviews after the fact: of what was done by break-glass, and of what a policy wants looked at afterwards."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import opsconsole.core.fields
from opsconsole.core.sql import AppendOnly, StateGuard
from opsconsole.journal.sql import CaptureDirectSql

# Quiet, since a new console begins with an empty journal; the policy stands in the reference pages.
DEFAULT_REVIEWERS = """
alter table approvals_policies disable trigger approvals_policies_direct_sql;
update approvals_policies set reviewers = 2 where action in ('plan.freeze', 'plan.pause_bank') and version = 1;
alter table approvals_policies enable trigger approvals_policies_direct_sql;
"""

POLICY_COLUMNS = (
    "'id', 'action', 'version', 'slots', 'executors', 'thresholds', 'signature_required', 'ttl',"
    " 'requester_may_approve', 'created_at'"
)


def fix_policies(columns: str) -> str:
    """SQL that lets these columns of a policy keep their values for good."""
    return f"""
    drop trigger approvals_policies_fixed on approvals_policies;
    create trigger approvals_policies_fixed before update on approvals_policies for each row
      execute function approvals_keep_columns({columns});
    """


FIXED = """
create trigger approvals_reviews_fixed before update on approvals_reviews for each row
  execute function approvals_keep_columns('id', 'cause', 'subject_kind', 'subject_id', 'title', 'facts', 'roles',
    'barred', 'needed', 'opened_by', 'opened_at', 'due_at');
create trigger approvals_reviews_kept before delete or truncate on approvals_reviews
  for each statement execute function refuse_change();
create trigger approvals_review_answers_by_service before insert on approvals_review_answers for each row
  when (not ops_is_service()) execute function approvals_refuse_direct();
"""
UNFIXED = """
drop trigger approvals_reviews_fixed on approvals_reviews;
drop trigger approvals_reviews_kept on approvals_reviews;
drop trigger approvals_review_answers_by_service on approvals_review_answers;
"""


class Migration(migrations.Migration):
    """Tables first, then their rules."""

    dependencies = [
        ("approvals", "0002_guards"),
        ("journal", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField("policy", "reviewers", models.PositiveSmallIntegerField(default=0, db_default=0)),
        migrations.RunSQL(DEFAULT_REVIEWERS, migrations.RunSQL.noop),
        migrations.RunSQL(fix_policies(POLICY_COLUMNS + ", 'reviewers'"), fix_policies(POLICY_COLUMNS)),
        migrations.CreateModel(
            name="Review",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "cause",
                    models.TextField(choices=[("break_glass", "break-glass"), ("policy", "asked for by the policy")]),
                ),
                ("subject_kind", models.TextField()),
                ("subject_id", models.TextField()),
                ("title", models.TextField()),
                ("facts", models.JSONField(default=dict)),
                ("roles", models.JSONField()),
                ("barred", models.JSONField()),
                ("needed", models.PositiveSmallIntegerField()),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("open", "open"),
                            ("overdue", "overdue"),
                            ("reviewed", "reviewed"),
                            ("objected", "objected to"),
                        ],
                        default="open",
                    ),
                ),
                ("opened_by", models.TextField()),
                ("opened_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("due_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "review",
                "verbose_name_plural": "reviews",
                "db_table": "approvals_reviews",
                "permissions": [("answer_review", "Can review what was done in an emergency")],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("status__in", ("open", "overdue"))),
                        fields=["due_at"],
                        name="reviews_waiting",
                    ),
                    models.Index(fields=["subject_kind", "subject_id"], name="reviews_by_subject"),
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("needed__gte", 1)), name="review_needs_somebody")
                ],
            },
        ),
        migrations.CreateModel(
            name="ReviewAnswer",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("verdict", models.TextField(choices=[("approve", "approve"), ("object", "object")])),
                ("comment", models.TextField()),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "review",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="answers", to="approvals.review"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "db_table": "approvals_review_answers",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("review", "user"), name="review_answered_once_each"),
                    models.CheckConstraint(
                        condition=models.Q(("comment", ""), _negated=True), name="review_answer_says_something"
                    ),
                ],
            },
        ),
        StateGuard(
            "approvals_reviews",
            starts=["open"],
            pairs=["open>objected", "open>overdue", "open>reviewed", "overdue>objected", "overdue>reviewed"],
        ),
        migrations.RunSQL(FIXED, UNFIXED),
        AppendOnly("approvals_review_answers"),
        CaptureDirectSql("approvals_reviews"),
        CaptureDirectSql("approvals_review_answers"),
    ]
