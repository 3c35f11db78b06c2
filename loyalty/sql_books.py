"""What the books promise besides sums: ids tell when a row was written, and what history speaks of stays."""

from __future__ import annotations

from django.db.migrations.operations import RunSQL

# A digest covers the rows between two ids for good. So nobody may slip a row in among those that were digested: an id
# is made as its row is written (a voucher's or a redemption's a moment before), whoever inserts it.
IDS_IN_ORDER = RunSQL(
    """
    create function loyalty_id_at(at timestamptz) returns uuid language sql stable parallel safe as $$
      -- The smallest id that uuid7() makes at this time.
      select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
    $$;

    create function loyalty_ids_are_new() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
    declare
      lowest uuid := public.loyalty_id_at(statement_timestamp() - interval '5 minutes');
      highest uuid := public.loyalty_id_at(clock_timestamp() + interval '5 seconds');
    begin
      if exists (select from fresh f where f.id < lowest or f.id > highest) then
        perform public.loyalty_refuse('the id of a transaction is made as it is written', 'transaction_id_is_new',
          'loyalty_transactions');
      end if;
      return null;
    end $$;
    create trigger loyalty_transactions_ids after insert on loyalty_transactions referencing new table as fresh
      for each statement execute function loyalty_ids_are_new();
    """,
    """
    drop trigger loyalty_transactions_ids on loyalty_transactions;
    drop function loyalty_ids_are_new();
    drop function loyalty_id_at(timestamptz);
    """,
)

# Members and their history name tiers without a foreign key: looking up each of a million costs more than working out
# who has earned what. So a tier stays, and what is not written by the evaluation is looked at.
TIERS_STAY = RunSQL(
    """
    create trigger loyalty_tiers_stay before delete on loyalty_tiers
      for each statement execute function refuse_change();

    create function loyalty_tier_of_program() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    begin
      if not exists (select from public.loyalty_tiers t where t.id = new.tier_id and t.program_id = new.program_id) then
        perform public.loyalty_refuse('a member has a tier of their own program', 'tier_of_program',
          'loyalty_balances');
      end if;
      return new;
    end $$;
    create trigger loyalty_balances_tier before insert or update of tier_id, program_id on loyalty_balances
      for each row when (new.tier_id is not null and not ops_is_service())
      execute function loyalty_tier_of_program();
    """,
    """
    drop trigger loyalty_balances_tier on loyalty_balances;
    drop function loyalty_tier_of_program();
    drop trigger loyalty_tiers_stay on loyalty_tiers;
    """,
)

# Until PostgreSQL has looked at a table that was just filled, it takes it for a small one, and joins each of a hundred
# thousand rows to all the others. It looks by itself a minute later; whoever has filled it and may not analyze it asks.
STATISTICS = RunSQL(
    """
    create function loyalty_refresh_statistics() returns void language sql security definer
    set search_path = pg_catalog, pg_temp as $$
      analyze public.loyalty_balances, public.loyalty_transactions
    $$;
    """,
    "drop function loyalty_refresh_statistics();",
)
