"""What only the database can promise about money: states, balances, whole transfers, facts that stand still."""

from django.db import migrations

from opsconsole.core.sql import AppendOnly, StateGuard
from opsconsole.journal.sql import CaptureDirectSql
from opsconsole.treasury.sql import ACCOUNT_OF_LEG, FIXED_COLUMNS, LEDGER, TALLIES, FixedColumns


class Migration(migrations.Migration):
    """Nothing here may be missing while there is money in the tables."""

    dependencies = [
        ("core", "0001_initial"),
        ("journal", "0001_initial"),
        ("treasury", "0001_initial"),
    ]

    operations = [
        ACCOUNT_OF_LEG,
        StateGuard("treasury_banks", starts=["active"], pairs=["active>paused", "paused>active"]),
        StateGuard("treasury_accounts", starts=["active"], pairs=["active>frozen", "frozen>active"]),
        StateGuard(
            "treasury_payouts",
            starts=["held", "payable"],
            pairs=[
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
            ],
        ),
        StateGuard(
            "treasury_instructions",
            starts=["planned"],
            pairs=[
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
            ],
        ),
        LEDGER,
        AppendOnly("treasury_transfers"),
        AppendOnly("treasury_legs"),
        TALLIES,
        FIXED_COLUMNS,
        FixedColumns("treasury_accounts", ["bank_id", "currency", "kind"]),
        FixedColumns(
            "treasury_payouts",
            [
                "external_id",
                "beneficiary_name",
                "iban",
                "bic",
                "amount",
                "currency",
                "due_date",
                "remittance",
            ],
            while_status=["reserved", "sending", "sent", "settled"],
        ),
        FixedColumns(
            "treasury_instructions",
            ["payout_id", "plan_id", "end_to_end_id", "amount", "currency"],
        ),
        CaptureDirectSql("treasury_banks", hidden=["secret"]),
        CaptureDirectSql("treasury_accounts"),
        CaptureDirectSql("treasury_payouts"),
        CaptureDirectSql("treasury_instructions"),
        CaptureDirectSql("treasury_routes"),
        CaptureDirectSql("treasury_transfers"),
        CaptureDirectSql("treasury_legs"),
    ]
