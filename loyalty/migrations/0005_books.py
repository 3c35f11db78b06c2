"""The books: ids of transactions in order, a right to verify; a history of tiers that is quick to write."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import opsconsole.core.fields
from loyalty.sql_books import IDS_IN_ORDER, TIERS_STAY
from opsconsole.journal.sql import CaptureDirectSql


class Migration(migrations.Migration):
    """What reconciling and digesting the ledger stands on."""

    dependencies = [("loyalty", "0004_fraud")]

    operations = [
        migrations.AlterModelOptions(
            name="transaction",
            options={
                "default_permissions": ("view",),
                "permissions": [("verify_ledger", "Can reconcile and verify the ledger of points")],
                "verbose_name": "transaction",
                "verbose_name_plural": "transactions",
            },
        ),
        migrations.AlterField(
            model_name="balance",
            name="tier",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="loyalty.tier",
            ),
        ),
        migrations.AlterField(
            model_name="tiersnapshot",
            name="balance",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="tier_snapshots",
                to="loyalty.balance",
            ),
        ),
        migrations.AlterField(
            model_name="tiersnapshot",
            name="now",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="loyalty.tier",
            ),
        ),
        migrations.AlterField(
            model_name="tiersnapshot",
            name="program",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="loyalty.program",
            ),
        ),
        migrations.AlterField(
            model_name="tiersnapshot",
            name="was",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="loyalty.tier",
            ),
        ),
        migrations.CreateModel(
            name="Liability",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("month", models.DateField(blank=True, null=True)),
                ("members", models.BigIntegerField()),
                ("points", models.BigIntegerField()),
                (
                    "worked_out_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "program",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="liabilities",
                        to="loyalty.program",
                    ),
                ),
            ],
            options={
                "verbose_name": "liability",
                "verbose_name_plural": "liabilities",
                "db_table": "loyalty_liabilities",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("program", "month"), name="liability_once_per_month", nulls_distinct=False
                    )
                ],
            },
        ),
        IDS_IN_ORDER,
        TIERS_STAY,
        CaptureDirectSql("loyalty_liabilities"),
    ]
