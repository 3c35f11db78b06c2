"""What the books promise besides sums: ids tell when a row was written, and what history speaks of stays."""

from __future__ import annotations

from typing import Final

from django.db.migrations.operations import RunSQL

from opsconsole.core.fields import CurrentActor

# A digest covers the rows between two ids for good. So nobody may slip a row in among those that were digested: an id
# is made as its row is written (a voucher's or a redemption's a moment before), whoever inserts it. What it tells of
# has happened by then: points of a year to come would never expire, and what has no time at all cannot be digested.
IDS: Final = """create or replace function loyalty_ids_are_new() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    declare
      lowest uuid := public.loyalty_id_at(statement_timestamp() - interval '5 minutes');
      highest uuid := public.loyalty_id_at(clock_timestamp() + interval '5 seconds');
    begin
      if exists (select from fresh f where f.id < lowest or f.id > highest) then
        perform public.loyalty_refuse('the id of a transaction is made as it is written', 'transaction_id_is_new',
          'loyalty_transactions');
      end if;
      if exists (select from fresh f
          where f.created_at < '1970-01-01 00:00+00' or f.created_at > clock_timestamp() + interval '5 seconds') then
        perform public.loyalty_refuse('a transaction is of the past, and of 1970 at the earliest',
          'transaction_is_of_the_past', 'loyalty_transactions');
      end if;
      return null;
    end $$"""

IDS_IN_ORDER = RunSQL(
    f"""
    create function loyalty_id_at(at timestamptz) returns uuid language sql stable parallel safe as $$
      -- The smallest id that uuid7() makes at this time.
      select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
    $$;

    {IDS};
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

# Who made a movement is what the database knows of them: only an operation acts for somebody, and whoever pastes a row
# in is the role they logged in as, whatever they say.
OWN_NAMES = RunSQL(
    f"""
    alter table loyalty_transactions alter column actor set default {CurrentActor.template};

    create function loyalty_own_name() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
    begin
      if exists (select from fresh f where f.actor is distinct from session_user::text) then
        perform public.loyalty_refuse('a transaction names who makes it', 'transaction_names_its_maker',
          'loyalty_transactions');
      end if;
      return null;
    end $$;
    create trigger loyalty_transactions_own_name after insert on loyalty_transactions referencing new table as fresh
      for each statement when (not ops_is_service()) execute function loyalty_own_name();
    """,
    "drop trigger loyalty_transactions_own_name on loyalty_transactions; drop function loyalty_own_name();",
)

# That nobody is awarded twice, and that what is set aside is given back, follows from a campaign's own rows, from its
# audience and its chunks. They stay, whoever would tidy up; what was awarded is taken back by an undo.
CAMPAIGNS_STAY = RunSQL(
    """
    create function loyalty_campaign_stays() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    begin
      perform public.loyalty_refuse('a campaign keeps its id, and its program, whose budget it draws on',
        'campaign_stays', 'loyalty_campaigns');
      return null;
    end $$;
    create trigger loyalty_campaigns_stay before update of id, program_id on loyalty_campaigns for each row
      when ((new.id, new.program_id) <> (old.id, old.program_id)) execute function loyalty_campaign_stays();
    create trigger loyalty_campaigns_remain before delete on loyalty_campaigns
      for each statement execute function refuse_change();
    create trigger loyalty_campaign_audience_stays before update or delete on loyalty_campaign_audience
      for each statement execute function refuse_change();
    create trigger loyalty_campaign_chunks_stay
      before update of campaign_id, no, first_ordinal, last_ordinal, awarded, points, skipped
      on loyalty_campaign_chunks for each statement execute function refuse_change();
    create trigger loyalty_campaign_chunks_remain before delete on loyalty_campaign_chunks
      for each statement execute function refuse_change();
    """,
    """
    drop trigger loyalty_campaign_chunks_remain on loyalty_campaign_chunks;
    drop trigger loyalty_campaign_chunks_stay on loyalty_campaign_chunks;
    drop trigger loyalty_campaign_audience_stays on loyalty_campaign_audience;
    drop trigger loyalty_campaigns_remain on loyalty_campaigns;
    drop trigger loyalty_campaigns_stay on loyalty_campaigns;
    drop function loyalty_campaign_stays();
    """,
)

# Nothing but their ids leads from the ledger to its balances, and from members to their tiers: there is no foreign key.
IDS_STAY = RunSQL(
    """
    create trigger loyalty_balances_same before update of id on loyalty_balances
      for each statement execute function loyalty_keep('id is');
    create trigger loyalty_tiers_same before update of id, program_id on loyalty_tiers
      for each statement execute function refuse_change();
    """,
    "drop trigger loyalty_tiers_same on loyalty_tiers; drop trigger loyalty_balances_same on loyalty_balances;",
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
