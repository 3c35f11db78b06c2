"""What only the database can promise about plans: states move by their tables, and ended runs are counted."""

from django.db import migrations

from opsconsole.core.sql import StateGuard
from opsconsole.journal.sql import CaptureDirectSql

COUNT_ENDED_RUNS = """
create function count_ended_run() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
  insert into ops_run_totals as t (status, runs, seconds)
    values (new.status, 1, greatest(0, extract(epoch from coalesce(new.finished_at, now()) - new.run_at)))
    on conflict (status) do update set runs = t.runs + 1, seconds = t.seconds + excluded.seconds;
  return null;
end $$;
create trigger ops_plan_runs_ended after update of status on ops_plan_runs for each row
  when (old.status in ('queued', 'running', 'paused') and new.status not in ('queued', 'running', 'paused'))
  execute function count_ended_run();
"""


class Migration(migrations.Migration):
    dependencies = [("plans", "0001_initial"), ("journal", "0001_initial")]

    operations = [
        StateGuard(
            "ops_plans",
            starts=["draft"],
            pairs=[
                "approved>cancelled",
                "approved>draft",
                "approved>executing",
                "approved>expired",
                "approved>rejected",
                "approved>staged",
                "draft>cancelled",
                "draft>staged",
                "executing>failed",
                "executing>partial",
                "executing>succeeded",
                "failed>executing",
                "failed>rolling_back",
                "partial>executing",
                "partial>rolling_back",
                "rollback_partial>rolling_back",
                "rolling_back>rollback_partial",
                "rolling_back>rolled_back",
                "staged>approved",
                "staged>cancelled",
                "staged>draft",
                "staged>expired",
                "staged>rejected",
                "succeeded>rolling_back",
            ],
        ),
        StateGuard(
            "ops_plan_runs",
            starts=["queued"],
            pairs=[
                "paused>cancelled",
                "paused>failed",
                "paused>running",
                "queued>cancelled",
                "queued>failed",
                "queued>running",
                "running>cancelled",
                "running>failed",
                "running>partial",
                "running>paused",
                "running>succeeded",
            ],
        ),
        StateGuard(
            "ops_plan_steps",
            starts=["pending"],
            pairs=[
                "failed>pending",
                "pending>running",
                "pending>skipped",
                "running>failed",
                "running>pending",
                "running>skipped",
                "running>succeeded",
                "running>unknown",
                "unknown>failed",
                "unknown>pending",
                "unknown>skipped",
                "unknown>succeeded",
            ],
        ),
        migrations.RunSQL(
            COUNT_ENDED_RUNS, "drop trigger ops_plan_runs_ended on ops_plan_runs; drop function count_ended_run();"
        ),
        CaptureDirectSql("ops_plans"),
        CaptureDirectSql("ops_plan_runs"),
        CaptureDirectSql("ops_plan_steps"),
    ]
