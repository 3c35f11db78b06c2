"""What only the database can promise about points: plain SQL triggers that nobody can switch off.

Every refusal is a check violation with a constraint name. The functions that write for others run as the owner with a
fixed search path; that owner's name is also how a kept column knows the ledger from everybody else.
"""

from __future__ import annotations

from typing import Final

from django.db.migrations.operations import RunSQL

from loyalty.sql_post import POST
from loyalty.sql_reversals import CHECK

LEDGER = RunSQL(
    f"""
    create function loyalty_refuse(said text, named text, about text) returns void language plpgsql as $$
    begin
      raise exception '%', said using errcode = 'check_violation', constraint = named, table = about;
    end $$;

    create function loyalty_spend(program uuid, spent numeric, drawn numeric, only_active boolean) returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    declare
      found_as text;
    begin
      if spent = 0 and drawn = 0 then
        if only_active then
          select p.status into found_as from public.loyalty_programs p where p.id = program for share;
          if found_as <> 'active' then
            perform public.loyalty_refuse('Program is suspended', 'program_is_suspended', 'loyalty_programs');
          end if;
        end if;
        return;
      end if;
      update public.loyalty_programs p
        set budget_spent = p.budget_spent + spent, budget_reserved = p.budget_reserved - drawn
        where p.id = program and (not only_active or p.status = 'active')
          and (spent - drawn <= 0 or p.budget_spent + p.budget_reserved + spent - drawn <= p.budget_limit);
      if found then return; end if;
      select p.status into found_as from public.loyalty_programs p where p.id = program;
      if only_active and found_as <> 'active' then
        perform public.loyalty_refuse('Program is suspended', 'program_is_suspended', 'loyalty_programs');
      end if;
      perform public.loyalty_refuse('Program budget exhausted', 'program_budget_exhausted', 'loyalty_programs');
    end $$;
    revoke all on function loyalty_spend(uuid, numeric, numeric, boolean) from public;

    -- A campaign that runs draws on what it has reserved; its test run, before that, on the program's budget.
    create function loyalty_award(campaign uuid, members bigint, points bigint, out program uuid, out drawn bigint)
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    begin
      update public.loyalty_campaigns c
        set users_awarded = c.users_awarded + members, total_points_awarded = c.total_points_awarded + points,
            points_reserved = c.points_reserved - case when c.status = 'running' then points else 0 end,
            progress_at = case when c.status = 'running' then now() else c.progress_at end
        where c.id = campaign and c.status in ('draft', 'scheduled', 'running')
        returning c.program_id, case when c.status = 'running' then points else 0 end into program, drawn;
      if not found then
        perform public.loyalty_refuse('the campaign ' || campaign || ' awards nothing now', 'campaign_is_not_running',
          'loyalty_campaigns');
      end if;
    end $$;
    revoke all on function loyalty_award(uuid, bigint, bigint) from public;

    {POST};
    revoke all on function loyalty_post() from public;

    {CHECK};
    revoke all on function loyalty_check_reversals(uuid[]) from public;

    create trigger loyalty_transactions_post after insert on loyalty_transactions referencing new table as fresh
      for each statement execute function loyalty_post();
    """,
    """
    drop trigger loyalty_transactions_post on loyalty_transactions;
    drop function loyalty_post();
    drop function loyalty_check_reversals(uuid[]);
    drop function loyalty_award(uuid, bigint, bigint);
    drop function loyalty_spend(uuid, numeric, numeric, boolean);
    drop function loyalty_refuse(text, text, text);
    """,
)

# The budget a campaign sets aside before its first award, and what it gives back when it ends.
RESERVATIONS = RunSQL(
    """
    create function loyalty_reserve(campaign uuid, points bigint) returns void language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
    declare
      its_program uuid;
    begin
      update public.loyalty_campaigns c set points_reserved = c.points_reserved + points
        where c.id = campaign returning c.program_id into its_program;
      update public.loyalty_programs p set budget_reserved = p.budget_reserved + points
        where p.id = its_program and p.status = 'active'
          and p.budget_spent + p.budget_reserved + points <= p.budget_limit;
      if found then return; end if;
      if exists (select from public.loyalty_programs p where p.id = its_program and p.status <> 'active') then
        perform public.loyalty_refuse('Program is suspended', 'program_is_suspended', 'loyalty_programs');
      end if;
      perform public.loyalty_refuse('Program budget exhausted', 'program_budget_exhausted', 'loyalty_programs');
    end $$;

    create function loyalty_release(campaign uuid, out points bigint) language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
    declare
      its_program uuid;
    begin
      select c.points_reserved, c.program_id into points, its_program
        from public.loyalty_campaigns c where c.id = campaign for no key update;
      update public.loyalty_campaigns c set points_reserved = 0 where c.id = campaign and points <> 0;
      update public.loyalty_programs p set budget_reserved = p.budget_reserved - points
        where p.id = its_program and points <> 0;
    end $$;
    """,
    "drop function loyalty_release(uuid); drop function loyalty_reserve(uuid, bigint);",
)

# Whether it is one of these functions that writes, which run as the owner: out of a trigger, or called by a session
# that is not the owner's, nor has set its role to the owner. (Where one role is both, the application says by its
# operation that it is itself.)
_OURS: Final = """(pg_trigger_depth() > 1 or public.ops_is_service()
          or session_user <> current_user and current_setting('role') <> current_user)
          and current_user = (select pg_get_userbyid(c.relowner) from pg_class c where c.oid = tg_relid)"""

KEEP: Final = f"""create or replace function loyalty_keep() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    begin
      if tg_op = 'UPDATE' and {_OURS} then
        return new;
      end if;
      raise exception '% of % kept by the ledger: record a transaction', tg_argv[0], tg_table_name
        using errcode = 'check_violation', constraint = tg_table_name || '_kept', table = tg_table_name;
    end $$"""

# Columns that only the functions above write. Per statement: a million rows cost one look.
KEPT_COLUMNS = RunSQL(
    f"""
    {KEEP};
    create trigger loyalty_balances_kept before update of points_balance, program_id on loyalty_balances
      for each statement execute function loyalty_keep('points_balance and program_id are');
    create trigger loyalty_balances_opening before insert on loyalty_balances for each row
      when (new.points_balance <> 0) execute function loyalty_keep('points_balance is');
    create trigger loyalty_balances_stay before delete on loyalty_balances
      for each statement execute function refuse_change();
    create trigger loyalty_programs_kept before update of budget_spent, budget_reserved on loyalty_programs
      for each statement execute function loyalty_keep('budget_spent and budget_reserved are');
    create trigger loyalty_programs_opening before insert on loyalty_programs for each row
      when (new.budget_spent <> 0 or new.budget_reserved <> 0)
      execute function loyalty_keep('budget_spent and budget_reserved are');
    create trigger loyalty_campaigns_kept
      before update of users_awarded, total_points_awarded, points_reversed, points_reserved on loyalty_campaigns
      for each statement execute function loyalty_keep('what a campaign has awarded is');
    create trigger loyalty_campaigns_opening before insert on loyalty_campaigns for each row
      when (new.users_awarded <> 0 or new.total_points_awarded <> 0 or new.points_reserved <> 0)
      execute function loyalty_keep('what a campaign has awarded is');
    """,
    """
    drop trigger loyalty_campaigns_opening on loyalty_campaigns;
    drop trigger loyalty_campaigns_kept on loyalty_campaigns;
    drop trigger loyalty_programs_opening on loyalty_programs;
    drop trigger loyalty_programs_kept on loyalty_programs;
    drop trigger loyalty_balances_stay on loyalty_balances;
    drop trigger loyalty_balances_opening on loyalty_balances;
    drop trigger loyalty_balances_kept on loyalty_balances;
    drop function loyalty_keep();
    """,
)

STAY: Final = f"""create or replace function loyalty_stay() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    begin
      if {_OURS} and new.ip_address is null
          and (to_jsonb(new) - 'ip_address') = (to_jsonb(old) - 'ip_address') then
        return new;
      end if;
      raise exception '% is append-only: % is refused to everyone', tg_table_name, tg_op
        using errcode = 'check_violation', constraint = tg_table_name || '_append_only', table = tg_table_name;
    end $$"""

# The ledger stays as it is, but for one thing: an address is personal, and is taken out when a member is erased.
LEDGER_STAYS = RunSQL(
    f"""
    {STAY};
    create trigger loyalty_transactions_stay before update on loyalty_transactions
      for each row execute function loyalty_stay();
    create trigger loyalty_transactions_append_only before delete or truncate on loyalty_transactions
      for each statement execute function refuse_change();

    create function loyalty_forget_addresses(balance uuid) returns void language sql security definer
    set search_path = pg_catalog, pg_temp as $$
      update public.loyalty_transactions t set ip_address = null
        where t.balance_id = balance and t.ip_address is not null
    $$;
    """,
    """
    drop function loyalty_forget_addresses(uuid);
    drop trigger loyalty_transactions_append_only on loyalty_transactions;
    drop trigger loyalty_transactions_stay on loyalty_transactions;
    drop function loyalty_stay();
    """,
)

# Two tables that the runbooks read and nothing writes: the ledger and the journal seen as one trail, and the approvals
# of loyalty. A branch for each kind of record, so that a question about one of them reads no other.
_TRAIL = "".join(
    f"""
      union all
      select e.id, '{entity}', case when e.subject_id ~ '^[0-9a-f-]{{36}}$' then e.subject_id::uuid end,
        null, e.actor_name, e.verb, e.at
      from journal_entries e where e.subject_kind = '{table}'"""
    for entity, table in (
        ("balance", "loyalty_balances"),
        ("program", "loyalty_programs"),
        ("campaign", "loyalty_campaigns"),
        ("voucher_batch", "loyalty_voucher_batches"),
        ("redemption", "loyalty_redemptions"),
        ("fraud_rule", "loyalty_fraud_rules"),
        ("fraud_hit", "loyalty_fraud_hits"),
    )
)


def _audit_logs(by: str) -> str:
    return f"""
    create or replace view loyalty_audit_logs (id, entity_type, entity_id, user_id, actor, action, created_at) as
      select t.id, 'transaction'::text, t.id, b.user_id, {by}, t.event_type, t.created_at
      from loyalty_transactions t join loyalty_balances b on b.id = t.balance_id {_TRAIL};
    """


NOBODY_NAMED: Final = _audit_logs("null::text")
AUDIT_LOGS: Final = _audit_logs("t.actor")
VIEWS = RunSQL(
    f"""
    {NOBODY_NAMED}
    create view loyalty_approval_requests
      (id, action, entity_type, entity_id, title, status, requested_by, required_roles, created_at, expires_at) as
      select r.id, r.action, r.subject_kind, r.subject_id, r.title, r.status, r.requested_by_id,
        r.policy -> 'roles', r.created_at, r.expires_at
      from approvals_requests r where r.action like 'loyalty.%';
    """,
    "drop view loyalty_approval_requests; drop view loyalty_audit_logs;",
)

# One movement for one member in one round trip: the key is looked up behind its lock, the member found or enrolled and
# locked, caps applied to what they have earned by then, and the ledger row inserted last.
RECORD = RunSQL(
    """
    create function loyalty_record(
      its_program uuid, who text, event text, asked bigint, bought numeric, origin text, key text, address inet,
      why text, at timestamptz, caps bigint[], since timestamptz[],
      out state text, out transaction uuid, out balance uuid, out points bigint, out total bigint, out held bigint
    ) language plpgsql as $$
    declare
      known record;
    begin
      if key is not null then
        perform pg_advisory_xact_lock(hashtextextended('loyalty.key' || chr(31) || its_program || chr(31) || key, 0));
        -- A statement of its own, so that its snapshot is taken after the lock.
        select t.id, t.balance_id, t.amount, b.points_balance, b.locked,
            t.event_type = event and b.user_id = who and t.origin_txn_id is not distinct from origin
              and case when bought is null then t.amount = asked else t.purchase = bought end as same
          into known
          from loyalty_keys k join loyalty_transactions t on t.id = k.transaction_id
            join loyalty_balances b on b.id = t.balance_id
          where k.program_id = its_program and k.key = loyalty_record.key;
        if found then
          state := case when known.same then 'replayed' else 'mismatch' end;
          transaction := known.id; balance := known.balance_id; points := known.amount;
          total := known.points_balance; held := known.locked;
          return;
        end if;
      end if;
      select b.id into balance from loyalty_balances b
        where b.program_id = its_program and b.user_id = who for no key update;
      if not found then
        if event <> 'earn' then
          state := 'unknown';
          return;
        end if;
        insert into loyalty_balances (program_id, user_id, joined_at) values (its_program, who, coalesce(at, now()))
          on conflict (program_id, user_id) do nothing;
        select b.id into balance from loyalty_balances b
          where b.program_id = its_program and b.user_id = who for no key update;
      end if;
      points := asked;
      for i in 1 .. coalesce(array_length(caps, 1), 0) loop
        points := least(points, caps[i] - coalesce((
          select sum(t.amount) from loyalty_transactions t
          where t.balance_id = balance and t.event_type = 'earn' and t.created_at >= since[i]), 0));
      end loop;
      if caps is not null and points <= 0 then
        state := 'capped';
        points := 0;
        return;
      end if;
      insert into loyalty_transactions
          (balance_id, event_type, amount, purchase, origin_txn_id, idempotency_key, ip_address, reason, created_at)
        values (balance, event, points, bought, origin, key, address, why, coalesce(at, now()))
        returning id into transaction;
      state := 'recorded';
      select b.points_balance, b.locked into total, held from loyalty_balances b where b.id = balance;
    end $$;
    """,
    "drop function loyalty_record(uuid, text, text, bigint, numeric, text, text, inet, text, timestamptz, bigint[],"
    " timestamptz[]);",
)
