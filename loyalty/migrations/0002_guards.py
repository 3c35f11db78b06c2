"""What only the database can promise about points: the ledger, kept columns, states, and pasted SQL journalled."""

from django.db import migrations

from loyalty.sql import KEPT_COLUMNS, LEDGER, LEDGER_STAYS, RECORD, RESERVATIONS, VIEWS
from opsconsole.core.sql import AppendOnly, StateGuard
from opsconsole.journal.sql import CaptureDirectSql


class Migration(migrations.Migration):
    """Nothing here may be missing while there are points in the tables."""

    dependencies = [
        ("approvals", "0001_initial"),
        ("core", "0001_initial"),
        ("journal", "0001_initial"),
        ("loyalty", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(
            # The rows that every earn rewrites: room on their pages, and no index entry for a new version.
            """
            alter table loyalty_balances set (fillfactor = 70);
            alter table loyalty_programs set (fillfactor = 10);
            alter table loyalty_campaigns set (fillfactor = 50);
            """,
            """
            alter table loyalty_balances reset (fillfactor);
            alter table loyalty_programs reset (fillfactor);
            alter table loyalty_campaigns reset (fillfactor);
            """,
        ),
        LEDGER,
        RESERVATIONS,
        KEPT_COLUMNS,
        LEDGER_STAYS,
        RECORD,
        AppendOnly("loyalty_keys"),
        AppendOnly("loyalty_tier_snapshots"),
        AppendOnly("loyalty_sira_feedback"),
        StateGuard("loyalty_programs", starts=["active"], pairs=["active>suspended", "suspended>active"]),
        StateGuard(
            "loyalty_campaigns",
            starts=["draft"],
            pairs=[
                "draft>cancelled",
                "draft>scheduled",
                "paused>cancelled",
                "paused>failed",
                "paused>running",
                "running>cancelled",
                "running>completed",
                "running>failed",
                "running>paused",
                "scheduled>cancelled",
                "scheduled>draft",
                "scheduled>failed",
                "scheduled>running",
            ],
        ),
        StateGuard("loyalty_redemptions", starts=["claimed"], pairs=["claimed>fulfilled", "claimed>reversed"]),
        StateGuard("loyalty_vouchers", starts=["issued"], pairs=["issued>redeemed", "issued>void"]),
        StateGuard("loyalty_fraud_hits", starts=["open"], pairs=["open>confirmed", "open>dismissed"]),
        VIEWS,
        CaptureDirectSql("loyalty_programs"),
        CaptureDirectSql("loyalty_tiers"),
        CaptureDirectSql("loyalty_rules"),
        CaptureDirectSql("loyalty_rewards"),
        CaptureDirectSql("loyalty_balances"),
        CaptureDirectSql("loyalty_transactions"),
        CaptureDirectSql("loyalty_keys", key=["program_id", "key"]),
        CaptureDirectSql("loyalty_tier_snapshots"),
        CaptureDirectSql("loyalty_redemptions"),
        CaptureDirectSql("loyalty_campaigns"),
        CaptureDirectSql("loyalty_campaign_audience", key=["campaign_id", "ordinal"]),
        CaptureDirectSql("loyalty_campaign_chunks", key=["campaign_id", "no"]),
        CaptureDirectSql("loyalty_campaign_skips", key=["campaign_id", "balance_id"]),
        CaptureDirectSql("loyalty_worker_executions", key=["worker", "status"]),
        CaptureDirectSql("loyalty_vouchers", hidden=["code"]),
        CaptureDirectSql("loyalty_voucher_batches"),
        CaptureDirectSql("loyalty_fraud_hits"),
        CaptureDirectSql("loyalty_sira_feedback"),
    ]
