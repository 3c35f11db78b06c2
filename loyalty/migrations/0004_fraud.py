"""Fraud that is looked for, disputes, budgets that run out; the rules of the runbook, switched off."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import opsconsole.core.fields
from loyalty.sql_limits import VERDICTS
from opsconsole.core.sql import StateGuard
from opsconsole.journal.sql import CaptureDirectSql


class Migration(migrations.Migration):
    """What waits for people has a deadline."""

    dependencies = [("loyalty", "0003_vouchers"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.AddField(
            model_name="fraudhit",
            name="as_of",
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
        ),
        migrations.AddField(
            model_name="fraudhit",
            name="flagged",
            field=models.JSONField(db_default=models.Value([], models.JSONField()), default=list),
        ),
        migrations.AddField(
            model_name="fraudhit", name="reminded_at", field=models.DateTimeField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="fraudrule", name="looked_at", field=models.DateTimeField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="fraudrule",
            name="review_hours",
            field=models.PositiveSmallIntegerField(db_default=24, default=24),
        ),
        migrations.CreateModel(
            name="BudgetAlert",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("threshold", models.PositiveSmallIntegerField()),
                (
                    "status",
                    models.TextField(
                        choices=[("open", "open"), ("acknowledged", "acknowledged"), ("closed", "closed")],
                        db_default="open",
                        default="open",
                    ),
                ),
                ("budget_limit", models.DecimalField(decimal_places=2, max_digits=20)),
                ("budget_used", models.DecimalField(decimal_places=2, max_digits=20)),
                ("burn_per_day", models.DecimalField(decimal_places=2, max_digits=20)),
                ("exhausted_at", models.DateTimeField(blank=True, null=True)),
                (
                    "raised_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                ("note", models.TextField(blank=True, db_default="", default="")),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "acknowledged_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "program",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="budget_alerts",
                        to="loyalty.program",
                    ),
                ),
            ],
            options={
                "verbose_name": "budget alert",
                "verbose_name_plural": "budget alerts",
                "db_table": "loyalty_budget_alerts",
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status__in", ["open", "acknowledged"])),
                        fields=("program", "threshold"),
                        name="budget_alert_once_per_crossing",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Dispute",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("ticket", models.TextField()),
                ("origin_txn_id", models.TextField()),
                ("happened_at", models.DateTimeField()),
                ("claim", models.TextField(blank=True, db_default="", default="")),
                (
                    "status",
                    models.TextField(
                        choices=[("open", "open"), ("adjusted", "adjusted"), ("refused", "refused")],
                        db_default="open",
                        default="open",
                    ),
                ),
                ("due_at", models.DateTimeField()),
                ("reminded_at", models.DateTimeField(blank=True, null=True)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("verdict", models.TextField(blank=True, db_default="", default="")),
                ("transaction_id", models.UUIDField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "balance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="disputes", to="loyalty.balance"
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "opened_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "program",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="disputes",
                        to="loyalty.program",
                    ),
                ),
            ],
            options={
                "verbose_name": "dispute",
                "verbose_name_plural": "disputes",
                "db_table": "loyalty_disputes",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["program", "-created_at"], name="disputes_of_program"),
                    models.Index(condition=models.Q(("status", "open")), fields=["due_at"], name="disputes_waiting"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status", "open")),
                        fields=("balance", "origin_txn_id"),
                        name="dispute_open_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("decided_at", None), ("status", "open"), ("transaction_id", None)),
                            models.Q(
                                ("decided_at__isnull", False),
                                ("status", "adjusted"),
                                ("transaction_id__isnull", False),
                            ),
                            models.Q(("decided_at__isnull", False), ("status", "refused"), ("transaction_id", None)),
                            _connector="OR",
                        ),
                        name="dispute_ends_one_way",
                    ),
                ],
            },
        ),
        StateGuard("loyalty_disputes", starts=["open"], pairs=["open>adjusted", "open>refused"]),
        StateGuard(
            "loyalty_budget_alerts",
            starts=["open"],
            pairs=["acknowledged>closed", "open>acknowledged", "open>closed"],
        ),
        migrations.RunSQL(
            # The limits that the runbook looks for (5, steps 1 and 2; its red flags); nobody is hit before somebody has
            # seen what each would have hit.
            """
            insert into loyalty_fraud_rules
              (code, kind, limits, allowed_networks, flag, locks, active, version, created_at, updated_at)
            select code, kind, limits::jsonb, '[]', 'suspicious_pattern_detected', false, false, 1, now(), now()
            from (values
              ('frequent_earner', 'earns', '{"hours": 24, "max_earns": 50, "max_points": 10000}'),
              ('shared_address', 'address', '{"hours": 24, "max_members": 5}'),
              ('sudden_spike', 'spike', '{"hours": 24, "days": 28, "times": 5, "min_points": 1000}'),
              ('frequent_redeemer', 'redemptions', '{"hours": 24, "max_redemptions": 10}')
            ) shipped (code, kind, limits);
            """,
            "delete from loyalty_fraud_rules r where not exists (select from loyalty_fraud_hits h where h.rule_id = r.id)",
        ),
        VERDICTS,
        CaptureDirectSql("loyalty_disputes"),
        CaptureDirectSql("loyalty_budget_alerts"),
        CaptureDirectSql("loyalty_fraud_rules"),  # only now: the rules above are ours, and pasted by nobody
    ]
