"""Sweeps, and what banks tell by the file."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.migrations.operations import RunSQL

import opsconsole.core.fields
import opsconsole.treasury.models.payouts
from opsconsole.core.sql import AppendOnly, StateGuard
from opsconsole.journal.sql import CaptureDirectSql
from opsconsole.treasury.sql import SWEEP_CLOSURES, FixedColumns, WiderGuard

# As the guards stand before this; a bank may give back what it had settled.
PAYOUTS = [
    "failed>payable",
    "failed>reserved",
    "held>payable",
    "payable>held",
    "payable>reserved",
    "reserved>payable",
    "reserved>sending",
    "returned>payable",
    "sending>failed",
    "sending>payable",
    "sending>reserved",
    "sending>sent",
    "sent>failed",
    "sent>payable",
    "sent>returned",
    "sent>settled",
]
INSTRUCTIONS = [
    "failed>planned",
    "planned>released",
    "planned>sending",
    "sending>failed",
    "sending>planned",
    "sending>released",
    "sending>sent",
    "sent>failed",
    "sent>recalled",
    "sent>returned",
    "sent>settled",
]


class Migration(migrations.Migration):
    """Sweeps, and what banks tell by the file."""

    dependencies = [("plans", "0002_guards"), ("treasury", "0003_freezes")]

    operations = [
        migrations.AlterField(
            model_name="transfer",
            name="kind",
            field=models.TextField(
                choices=[
                    ("funded", "funding to settlement"),
                    ("sent", "settlement to in transit"),
                    ("settled", "in transit to paid out"),
                    ("not_sent", "in transit to settlement: never went out"),
                    ("failed", "in transit to settlement: refused by the bank"),
                    ("returned", "back to settlement: the bank gave it back"),
                    ("recalled", "in transit to settlement: taken back"),
                    ("swept", "in transit to another settlement account of ours"),
                ]
            ),
        ),
        migrations.CreateModel(
            name="BankFile",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("digest", models.CharField(max_length=64, unique=True, verbose_name="SHA-256")),
                ("name", models.TextField()),
                ("schema", models.TextField()),
                ("message_id", models.TextField(blank=True, db_default="")),
                ("size", models.BigIntegerField()),
                (
                    "status",
                    models.TextField(choices=[("reading", "reading"), ("imported", "imported")], db_default="reading"),
                ),
                ("lines_read", models.IntegerField(db_default=0)),
                ("settled", models.IntegerField(db_default=0)),
                ("failed", models.IntegerField(db_default=0)),
                ("returned", models.IntegerField(db_default=0)),
                ("already", models.IntegerField(db_default=0)),
                ("pending", models.IntegerField(db_default=0)),
                ("breaks", models.IntegerField(db_default=0)),
                ("imported_by", models.TextField()),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "bank file",
                "verbose_name_plural": "bank files",
                "db_table": "treasury_bank_files",
                "permissions": [("import_bank_files", "Can import files of banks")],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["-created_at", "-id"], name="bank_files_newest_first"),
                    models.Index(
                        condition=models.Q(("status", "reading")), fields=["created_at"], name="bank_files_reading"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Sweep",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("step_seq", models.IntegerField()),
                (
                    "end_to_end_id",
                    models.CharField(
                        db_default=opsconsole.treasury.models.payouts.EndToEndId(),
                        max_length=35,
                        unique=True,
                        verbose_name="EndToEndId",
                    ),
                ),
                ("amount", models.DecimalField(decimal_places=2, max_digits=18)),
                ("currency", models.CharField(max_length=3)),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("planned", "planned"),
                            ("sending", "sending"),
                            ("sent", "sent"),
                            ("settled", "settled"),
                            ("failed", "failed"),
                            ("returned", "returned"),
                            ("recalled", "recalled"),
                            ("released", "released"),
                        ],
                        db_default="planned",
                    ),
                ),
                ("bank_reference", models.TextField(blank=True, db_default="")),
                ("reason", models.TextField(blank=True, db_default="")),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                ("next_poll_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="treasury.account",
                    ),
                ),
                (
                    "bank",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="treasury.bank",
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
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="plans.step",
                    ),
                ),
                (
                    "target",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="treasury.account",
                    ),
                ),
                (
                    "undoes",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="undone_by",
                        to="treasury.sweep",
                    ),
                ),
            ],
            options={
                "verbose_name": "sweep",
                "verbose_name_plural": "sweeps",
                "db_table": "treasury_sweeps",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="BankLine",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.IntegerField()),
                ("account", models.CharField(blank=True, db_default="", max_length=34)),
                ("reference", models.TextField(blank=True, db_default="")),
                ("amount", models.DecimalField(blank=True, decimal_places=5, max_digits=24, null=True)),
                ("currency", models.CharField(blank=True, db_default="", max_length=3)),
                ("direction", models.CharField(blank=True, db_default="", max_length=4)),
                ("said", models.TextField()),
                ("reason", models.TextField(blank=True, db_default="")),
                (
                    "verdict",
                    models.TextField(
                        choices=[
                            ("settled", "settled"),
                            ("failed", "failed"),
                            ("returned", "returned"),
                            ("already", "known already"),
                            ("pending", "on its way"),
                            ("break", "break"),
                        ]
                    ),
                ),
                ("detail", models.TextField(blank=True, db_default="")),
                (
                    "file",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lines",
                        to="treasury.bankfile",
                    ),
                ),
                (
                    "instruction",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bank_lines",
                        to="treasury.instruction",
                    ),
                ),
                (
                    "sweep",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bank_lines",
                        to="treasury.sweep",
                    ),
                ),
            ],
            options={
                "verbose_name": "bank file line",
                "verbose_name_plural": "bank file lines",
                "db_table": "treasury_bank_lines",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Break",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "reason",
                    models.TextField(
                        choices=[
                            ("no_reference", "names none of our references"),
                            ("unknown_reference", "unknown reference"),
                            ("other_amount", "another amount"),
                            ("other_currency", "another currency"),
                            ("wrong_account", "another account"),
                            ("unexpected", "does not follow from its state"),
                        ]
                    ),
                ),
                ("detail", models.TextField()),
                ("status", models.TextField(choices=[("open", "open"), ("resolved", "resolved")], db_default="open")),
                ("resolution", models.TextField(blank=True, db_default="")),
                ("resolved_by", models.TextField(blank=True, db_default="")),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "file",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="found_breaks", to="treasury.bankfile"
                    ),
                ),
                (
                    "line",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="found_break", to="treasury.bankline"
                    ),
                ),
            ],
            options={
                "verbose_name": "break",
                "verbose_name_plural": "breaks",
                "db_table": "treasury_breaks",
                "permissions": [("resolve_break", "Can resolve breaks")],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(condition=models.Q(("status", "open")), fields=["created_at"], name="breaks_open")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "resolved"), _negated=True),
                            models.Q(
                                models.Q(("resolution", ""), _negated=True),
                                models.Q(("resolved_by", ""), _negated=True),
                                ("resolved_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="resolved_break_says_how",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="StatedBalance",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("statement", models.TextField()),
                ("as_of", models.DateTimeField()),
                ("stated", models.DecimalField(decimal_places=2, max_digits=18)),
                ("expected", models.DecimalField(decimal_places=2, max_digits=18)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="stated",
                        to="treasury.account",
                    ),
                ),
                (
                    "file",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="balances",
                        to="treasury.bankfile",
                    ),
                ),
            ],
            options={
                "verbose_name": "stated balance",
                "verbose_name_plural": "stated balances",
                "db_table": "treasury_stated_balances",
                "default_permissions": (),
                "indexes": [models.Index(fields=["account", "-as_of", "-id"], name="balances_of_account")],
                "constraints": [
                    models.UniqueConstraint(fields=("file", "account", "statement"), name="balance_stated_once")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="sweep",
            index=models.Index(fields=["plan", "step_seq"], name="sweeps_of_plan"),
        ),
        migrations.AddIndex(
            model_name="sweep",
            index=models.Index(fields=["step"], name="sweeps_of_step"),
        ),
        migrations.AddIndex(
            model_name="sweep",
            index=models.Index(condition=models.Q(("undoes__isnull", False)), fields=["undoes"], name="sweeps_undoing"),
        ),
        migrations.AddIndex(
            model_name="sweep",
            index=models.Index(fields=["account", "-id"], name="sweeps_of_account"),
        ),
        migrations.AddIndex(
            model_name="sweep",
            index=models.Index(fields=["target", "-id"], name="sweeps_to_account"),
        ),
        migrations.AddIndex(
            model_name="sweep",
            index=models.Index(
                condition=models.Q(("status__in", ("planned", "sending", "sent"))),
                fields=["status"],
                name="sweeps_open",
            ),
        ),
        migrations.AddIndex(
            model_name="sweep",
            index=models.Index(
                condition=models.Q(("next_poll_at__isnull", False), ("status", "sent")),
                fields=["bank", "next_poll_at"],
                name="sweeps_to_poll",
            ),
        ),
        migrations.AddConstraint(
            model_name="sweep",
            constraint=models.CheckConstraint(condition=models.Q(("amount__gt", 0)), name="sweep_amount_positive"),
        ),
        migrations.AddConstraint(
            model_name="sweep",
            constraint=models.CheckConstraint(
                condition=models.Q(("account", models.F("target")), _negated=True), name="sweep_needs_two_accounts"
            ),
        ),
        migrations.AddConstraint(
            model_name="sweep",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ("planned", "sending", "sent", "settled")), ("step__isnull", False)),
                fields=("step",),
                name="sweep_once_per_step",
            ),
        ),
        migrations.AddConstraint(
            model_name="sweep",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("status__in", ("planned", "sending", "sent", "settled")), ("undoes__isnull", False)
                ),
                fields=("undoes",),
                name="sweep_undone_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="sweep",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ("planned", "sending", "sent", "settled")), ("undoes__isnull", True)),
                fields=("plan", "account"),
                name="sweep_once_per_account",
            ),
        ),
        migrations.AddConstraint(
            model_name="sweep",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "sent"), _negated=True), ("sent_at__isnull", False), _connector="OR"
                ),
                name="sent_sweep_says_when",
            ),
        ),
        migrations.AddConstraint(
            model_name="sweep",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "settled"), _negated=True), ("settled_at__isnull", False), _connector="OR"
                ),
                name="settled_sweep_says_when",
            ),
        ),
        migrations.AddConstraint(
            model_name="bankline",
            constraint=models.UniqueConstraint(fields=("file", "number"), name="bank_line_read_once"),
        ),
        RunSQL(
            """
            alter table treasury_sweeps add constraint sweep_from_account_of_bank
              foreign key (account_id, bank_id, currency) references treasury_accounts (id, bank_id, currency);
            alter table treasury_sweeps add constraint sweep_to_account_in_currency
              foreign key (target_id, currency) references treasury_accounts (id, currency);
            """,
            """
            alter table treasury_sweeps drop constraint sweep_to_account_in_currency;
            alter table treasury_sweeps drop constraint sweep_from_account_of_bank;
            """,
        ),
        StateGuard(
            "treasury_sweeps",
            starts=["planned"],
            pairs=[
                "failed>planned",
                "planned>released",
                "planned>sending",
                "sending>failed",
                "sending>planned",
                "sending>sent",
                "sent>failed",
                "sent>recalled",
                "sent>returned",
                "sent>settled",
                "settled>returned",
            ],
        ),
        SWEEP_CLOSURES,
        StateGuard("treasury_bank_files", starts=["reading"], pairs=["reading>imported"]),
        StateGuard("treasury_breaks", starts=["open"], pairs=["open>resolved"]),
        WiderGuard("treasury_payouts", starts=["held", "payable"], pairs=PAYOUTS, more=["settled>returned"]),
        WiderGuard("treasury_instructions", starts=["planned"], pairs=INSTRUCTIONS, more=["settled>returned"]),
        FixedColumns(
            "treasury_sweeps",
            ["plan_id", "undoes_id", "bank_id", "account_id", "target_id", "end_to_end_id", "amount", "currency"],
        ),
        FixedColumns("treasury_bank_files", ["digest", "schema", "size"]),
        FixedColumns("treasury_breaks", ["line_id", "file_id", "reason", "detail"]),
        AppendOnly("treasury_bank_lines"),
        AppendOnly("treasury_stated_balances"),
        CaptureDirectSql("treasury_sweeps"),
        CaptureDirectSql("treasury_bank_files"),
        CaptureDirectSql("treasury_bank_lines"),
        CaptureDirectSql("treasury_breaks"),
        CaptureDirectSql("treasury_stated_balances"),
    ]
