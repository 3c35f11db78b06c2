"""What only the database can promise about approvals: what was asked and said stays as it is, whoever connects."""

from typing import Any

from django.db import migrations

from opsconsole.approvals import defaults
from opsconsole.core.sql import AppendOnly, StateGuard
from opsconsole.journal.sql import CaptureDirectSql

# The columns named in the arguments keep their value for good.
FIXED_COLUMNS = """
create function approvals_keep_columns() returns trigger language plpgsql as $$
declare
  was jsonb := to_jsonb(old);
  wanted jsonb := to_jsonb(new);
  name text;
begin
  foreach name in array tg_argv loop
    if was->name is distinct from wanted->name then
      raise exception '% %: % is never changed', tg_table_name, old.id, name
        using errcode = 'check_violation', constraint = tg_table_name || '_fixed', table = tg_table_name;
    end if;
  end loop;
  return new;
end $$;
create trigger approvals_requests_fixed before update on approvals_requests for each row
  execute function approvals_keep_columns('id', 'action', 'subject_kind', 'subject_id', 'title', 'digest', 'content',
    'policy', 'requested_by_id', 'created_at');
create trigger approvals_policies_fixed before update on approvals_policies for each row
  execute function approvals_keep_columns('id', 'action', 'version', 'slots', 'executors', 'thresholds',
    'signature_required', 'ttl', 'requester_may_approve', 'created_at');
create trigger approvals_signer_keys_fixed before update on approvals_signer_keys for each row
  execute function approvals_keep_columns('id', 'user_id', 'name', 'public_key', 'fingerprint', 'created_at');
"""
UNFIX_COLUMNS = """
drop trigger approvals_requests_fixed on approvals_requests;
drop trigger approvals_policies_fixed on approvals_policies;
drop trigger approvals_signer_keys_fixed on approvals_signer_keys;
drop function approvals_keep_columns();
"""

# What may change moves one way only: editors are added, time is taken away, a key and a policy are retired for good.
ONE_WAY = """
create function approvals_refuse_return() returns trigger language plpgsql as $$
begin
  raise exception '% %: %', tg_table_name, old.id, tg_argv[0]
    using errcode = 'check_violation', constraint = tg_table_name || '_one_way', table = tg_table_name;
end $$;
create trigger approvals_requests_editors before update of editors on approvals_requests for each row
  when (not new.editors @> old.editors) execute function approvals_refuse_return('an editor stays one');
create trigger approvals_requests_time before update of expires_at on approvals_requests for each row
  when (new.expires_at > old.expires_at) execute function approvals_refuse_return('no time is added');
create trigger approvals_requests_decided before update of decided_at on approvals_requests for each row
  when (old.decided_at is not null and new.decided_at is distinct from old.decided_at)
  execute function approvals_refuse_return('it was decided when it was');
create trigger approvals_policies_retired before update of active on approvals_policies for each row
  when (new.active and not old.active) execute function approvals_refuse_return('a retired version stays retired');
create trigger approvals_signer_keys_revoked before update of revoked_at on approvals_signer_keys for each row
  when (old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at)
  execute function approvals_refuse_return('a revoked key stays revoked');
"""
BOTH_WAYS = """
drop trigger approvals_requests_editors on approvals_requests;
drop trigger approvals_requests_time on approvals_requests;
drop trigger approvals_requests_decided on approvals_requests;
drop trigger approvals_policies_retired on approvals_policies;
drop trigger approvals_signer_keys_revoked on approvals_signer_keys;
drop function approvals_refuse_return();
"""

KEPT = """
create trigger approvals_requests_kept before delete or truncate on approvals_requests
  for each statement execute function refuse_change();
create trigger approvals_policies_kept before delete or truncate on approvals_policies
  for each statement execute function refuse_change();
create trigger approvals_signer_keys_kept before delete or truncate on approvals_signer_keys
  for each statement execute function refuse_change();
"""
NOT_KEPT = """
drop trigger approvals_requests_kept on approvals_requests;
drop trigger approvals_policies_kept on approvals_policies;
drop trigger approvals_signer_keys_kept on approvals_signer_keys;
"""

# An approval pasted by whoever administers the database would be nobody's.
BY_SERVICE = """
create function approvals_refuse_direct() returns trigger language plpgsql as $$
begin
  raise exception 'a decision is made in the console, by the person whose it is'
    using errcode = 'check_violation', constraint = tg_table_name || '_by_service', table = tg_table_name;
end $$;
create trigger approvals_decisions_by_service before insert on approvals_decisions for each row
  when (not ops_is_service()) execute function approvals_refuse_direct();
"""
BY_ANYBODY = """
drop trigger approvals_decisions_by_service on approvals_decisions;
drop function approvals_refuse_direct();
"""

COUNT_WAITS = """
create function approvals_count_wait() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
  insert into approvals_waits as w (action, decided, seconds)
    values (new.action, 1, greatest(0, extract(epoch from new.decided_at - new.created_at)))
    on conflict (action) do update set decided = w.decided + 1, seconds = w.seconds + excluded.seconds;
  return null;
end $$;
create trigger approvals_requests_waited after update of decided_at on approvals_requests for each row
  when (old.decided_at is null and new.decided_at is not null) execute function approvals_count_wait();
"""
UNCOUNT_WAITS = """
drop trigger approvals_requests_waited on approvals_requests;
drop function approvals_count_wait();
"""


def install_policies(apps: Any, schema_editor: Any) -> None:
    """Before their changes are captured: a new console begins with an empty journal."""
    defaults.install(apps.get_model("approvals", "Policy"), schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0001_initial"), ("journal", "0001_initial")]

    operations = [
        migrations.RunPython(install_policies, migrations.RunPython.noop),
        StateGuard(
            "approvals_requests",
            starts=["pending"],
            pairs=[
                "approved>consumed",
                "approved>expired",
                "approved>pending",
                "approved>rejected",
                "approved>suspended",
                "approved>void",
                "pending>approved",
                "pending>expired",
                "pending>rejected",
                "pending>suspended",
                "pending>void",
                "suspended>approved",
                "suspended>expired",
                "suspended>pending",
                "suspended>void",
            ],
        ),
        migrations.RunSQL(FIXED_COLUMNS, UNFIX_COLUMNS),
        migrations.RunSQL(ONE_WAY, BOTH_WAYS),
        migrations.RunSQL(KEPT, NOT_KEPT),
        migrations.RunSQL(BY_SERVICE, BY_ANYBODY),
        migrations.RunSQL(COUNT_WAITS, UNCOUNT_WAITS),
        AppendOnly("approvals_decisions"),
        CaptureDirectSql("approvals_policies"),
        CaptureDirectSql("approvals_requests"),
        CaptureDirectSql("approvals_decisions"),
        CaptureDirectSql("approvals_signer_keys"),
    ]
