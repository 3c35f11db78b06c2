"""Vouchers and rewards: limits that the database keeps, and codes that somebody guesses."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import opsconsole.core.fields
from loyalty.sql_limits import REWARDS, VOUCHERS
from opsconsole.journal.sql import CaptureDirectSql


class Migration(migrations.Migration):
    """Once, in time, so many each."""

    dependencies = [("loyalty", "0002_guards")]

    operations = [
        migrations.AddField(
            model_name="voucherbatch",
            name="withdrawn_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="voucher",
            name="balance",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="vouchers",
                to="loyalty.balance",
            ),
        ),
        migrations.AddIndex(
            model_name="voucher",
            index=models.Index(
                condition=models.Q(("balance__isnull", False)),
                fields=["balance", "batch"],
                name="vouchers_of_member",
            ),
        ),
        migrations.CreateModel(
            name="VoucherMiss",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("caller", models.TextField()),
                ("user_id", models.TextField()),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "loyalty_voucher_misses",
                "default_permissions": (),
                "indexes": [models.Index(fields=["caller", "at"], name="voucher_misses_by_caller")],
            },
        ),
        VOUCHERS,
        REWARDS,
        migrations.RunSQL(
            # Every redemption rewrites these rows: room on their pages, and no index entry for a new version.
            """
            alter table loyalty_voucher_batches set (fillfactor = 50);
            alter table loyalty_rewards set (fillfactor = 50);
            """,
            """
            alter table loyalty_voucher_batches reset (fillfactor);
            alter table loyalty_rewards reset (fillfactor);
            """,
        ),
        CaptureDirectSql("loyalty_voucher_misses"),
    ]
