"""Deliveries that are told in the message of another, and that are counted by statements, since they move in hundreds."""

import django.db.models.deletion
from django.db import migrations, models

# One write to a total for each statement. Row by row, a thousand deliveries that move together would leave a thousand
# versions of the same total, each of which the next looks through.
BY_STATEMENT = """
drop trigger notifications_deliveries_counted on notifications_deliveries;
drop trigger notifications_deliveries_recounted on notifications_deliveries;
create function count_notifications() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    insert into notifications_totals as t (kind, status, count)
      select kind, status, count(*) from come group by kind, status order by kind, status
      on conflict (kind, status) do update set count = t.count + excluded.count;
  elsif tg_op = 'DELETE' then
    -- Delivered ones stay counted when their rows are dropped: the figure is told since the beginning.
    insert into notifications_totals as t (kind, status, count)
      select kind, status, -count(*) from gone where status <> 'delivered' group by kind, status order by kind, status
      on conflict (kind, status) do update set count = t.count + excluded.count;
  else
    insert into notifications_totals as t (kind, status, count)
      select kind, status, sum(moved) from (
        select kind, status, 1 as moved from come union all select kind, status, -1 from gone
      ) as moves group by kind, status having sum(moved) <> 0 order by kind, status
      on conflict (kind, status) do update set count = t.count + excluded.count;
  end if;
  return null;
end $$;
create trigger notifications_deliveries_added after insert on notifications_deliveries
  referencing new table as come for each statement execute function count_notifications();
create trigger notifications_deliveries_moved after update on notifications_deliveries
  referencing old table as gone new table as come for each statement execute function count_notifications();
create trigger notifications_deliveries_dropped after delete on notifications_deliveries
  referencing old table as gone for each statement execute function count_notifications();
drop function count_notification();
"""
BY_ROW = """
drop trigger notifications_deliveries_added on notifications_deliveries;
drop trigger notifications_deliveries_moved on notifications_deliveries;
drop trigger notifications_deliveries_dropped on notifications_deliveries;
drop function count_notifications();
create function count_notification() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
  if tg_op <> 'INSERT' and not (tg_op = 'DELETE' and old.status = 'delivered') then
    update notifications_totals set count = count - 1 where kind = old.kind and status = old.status;
  end if;
  if tg_op <> 'DELETE' then
    insert into notifications_totals as t (kind, status, count) values (new.kind, new.status, 1)
      on conflict (kind, status) do update set count = t.count + 1;
  end if;
  return null;
end $$;
create trigger notifications_deliveries_counted after insert or delete on notifications_deliveries
  for each row execute function count_notification();
create trigger notifications_deliveries_recounted after update of status on notifications_deliveries for each row
  when (old.status is distinct from new.status) execute function count_notification();
"""


class Migration(migrations.Migration):
    dependencies = [("notifications", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="told_with",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="companions",
                to="notifications.delivery",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("told_with__isnull", False)), fields=["told_with"], name="deliveries_companions"
            ),
        ),
        migrations.RunSQL(BY_STATEMENT, BY_ROW),
    ]
