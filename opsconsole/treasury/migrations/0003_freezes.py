"""Freezes, what steps of plans did to our own records, and the doors that pausing and freezing close."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import opsconsole.core.fields
from opsconsole.core.sql import AppendOnly
from opsconsole.journal.sql import CaptureDirectSql
from opsconsole.treasury.sql import CLOSURES, FREEZES, FixedColumns

FACTS = ["external_id", "beneficiary_name", "iban", "bic", "amount", "currency", "due_date", "remittance"]
STANDING = ["reserved", "sending", "sent", "settled"]


# The guard of 0002, which the merchant joins.
GUARD = FixedColumns("treasury_payouts", FACTS, while_status=STANDING)


class Migration(migrations.Migration):
    """Nothing here may be missing while there is money in the tables."""

    dependencies = [
        ("plans", "0002_guards"),
        ("treasury", "0002_guards"),
    ]

    operations = [
        migrations.AddField(
            model_name="payout",
            name="merchant",
            field=models.CharField(blank=True, db_default="", max_length=100),
        ),
        migrations.AddIndex(
            model_name="payout",
            index=models.Index(
                condition=models.Q(("merchant", ""), _negated=True),
                fields=["merchant", "status"],
                name="payouts_of_merchant",
            ),
        ),
        migrations.RunSQL(GUARD.reverse_sql, GUARD.sql),
        FixedColumns("treasury_payouts", [*FACTS, "merchant"], while_status=STANDING),
        migrations.CreateModel(
            name="Freeze",
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
                        choices=[("account", "account"), ("beneficiary", "beneficiary"), ("merchant", "merchant")]
                    ),
                ),
                ("subject", models.CharField(max_length=100)),
                ("reason", models.TextField()),
                ("found_frozen", models.BooleanField(db_default=False)),
                ("set_by", models.TextField()),
                (
                    "set_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("lifted_at", models.DateTimeField(blank=True, null=True)),
                ("lifted_by", models.TextField(blank=True, db_default="")),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="freezes",
                        to="treasury.account",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="plans.plan"
                    ),
                ),
                (
                    "step",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="plans.step"
                    ),
                ),
                (
                    "lifted_step",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="plans.step",
                    ),
                ),
            ],
            options={
                "verbose_name": "freeze",
                "verbose_name_plural": "freezes",
                "db_table": "treasury_freezes",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("lifted_at__isnull", True)),
                        fields=["kind", "subject"],
                        name="freezes_live",
                    ),
                    models.Index(fields=["plan", "-id"], name="freezes_of_plan"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("account__isnull", False), ("kind", "account")),
                            models.Q(models.Q(("kind", "account"), _negated=True), ("account__isnull", True)),
                            _connector="OR",
                        ),
                        name="freeze_of_account_names_it",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "beneficiary"), _negated=True),
                            ("subject__regex", "^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"),
                            _connector="OR",
                        ),
                        name="frozen_beneficiary_is_iban",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("subject", ""), _negated=True), models.Q(("reason", ""), _negated=True)
                        ),
                        name="freeze_says_what_and_why",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("lifted_at__isnull", True), ("lifted_by", ""), ("lifted_step__isnull", True)),
                            models.Q(("lifted_at__isnull", False), models.Q(("lifted_by", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="lifted_freeze_says_by_whom",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Alteration",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.TextField(unique=True)),
                ("subject_kind", models.TextField()),
                ("subject_id", models.TextField()),
                ("before", models.JSONField()),
                ("after", models.JSONField()),
                (
                    "made_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="plans.plan"
                    ),
                ),
                (
                    "step",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="plans.step"
                    ),
                ),
            ],
            options={
                "db_table": "treasury_alterations",
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["subject_kind", "subject_id", "-id"], name="alterations_of_subject"),
                ],
            },
        ),
        CLOSURES,
        FREEZES,
        FixedColumns(
            "treasury_freezes",
            ["kind", "subject", "account_id", "reason", "found_frozen", "plan_id", "step_id", "set_by", "set_at"],
        ),
        AppendOnly("treasury_alterations"),
        CaptureDirectSql("treasury_freezes"),
        CaptureDirectSql("treasury_alterations"),
    ]
