"""The trigger by which the ledger keeps the books: what is inserted moves balances, campaigns and budgets, or fails.

Rows come in by any statement (INSERT, INSERT ... SELECT, COPY, a CTE). One row goes the short way. Several go by one
statement that is planned for the size at hand: a plan kept from a bulk makes singles four hundred times slower.

Ten thousand members of a million are looked up, not searched for: by what a random page costs on a disk the planner
would read all balances for each chunk of a campaign.

Locks are always taken in the same order, whoever writes: balances by id, keys, campaigns by id, programs by id. The
program comes last, since every earn needs it. A transaction has one ledger statement, and that comes last in it: two
of them in one transaction would take a program before another balance.

Balances are updated in the order of `moved`, which is that of their ids. That is no chance: a join by hash or merge and
a scan of the table are ruled out where the function is made, so each row of `moved` is looked up in its turn. Locking
them in a statement before would promise the same, and costs as much again as the update.
"""

from __future__ import annotations

from typing import Final

# What each row takes from the budget: points that are given, and less what is taken back of them.
SPENT: Final = """case when {0}.event_type in ('earn', 'bonus') then {0}.amount
                 when {0}.event_type = 'adjust' then greatest({0}.amount, 0)
                 when {0}.event_type = 'reverse' then least({0}.amount, 0)
                 else 0 end"""

POST: Final = f"""create or replace function loyalty_post() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp set random_page_cost = 1.1
    set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
    declare
      few bigint; one record; held record; reversed record; paid record;
      programs uuid[]; spent numeric[]; need_active boolean[]; any_frozen boolean; matched bigint; wanted bigint;
      drawing uuid[] := '{{}}'; drawn bigint[] := '{{}}'; reversing boolean; at int;
    begin
      select count(*) into few from (select from fresh limit 2) some_rows;
      if few = 0 then
        return null;
      elsif few = 1 then
        select f.*, {SPENT.format("f")} as spent into one from fresh f;
        update public.loyalty_balances b set points_balance = b.points_balance + one.amount, updated_at = now()
          where b.id = one.balance_id returning b.program_id, b.is_frozen into held;
        if not found then
          raise exception 'there is no balance %', one.balance_id
            using errcode = 'foreign_key_violation', constraint = 'transaction_of_a_balance',
              table = 'loyalty_transactions';
        end if;
        if held.is_frozen and one.event_type in ('earn', 'bonus', 'redeem') then
          perform public.loyalty_refuse('the member of balance ' || one.balance_id || ' is frozen',
            'balance_is_frozen', 'loyalty_balances');
        end if;
        if one.reverses_id is not null then
          perform public.loyalty_check_reversals(array[one.reverses_id]);
        end if;
        if one.idempotency_key is not null then
          insert into public.loyalty_keys (program_id, key, transaction_id)
            values (held.program_id, one.idempotency_key, one.id);
        end if;
        if one.reverses_id is not null then
          update public.loyalty_campaigns c set points_reversed = c.points_reversed - one.amount
            from public.loyalty_transactions o where o.id = one.reverses_id and c.id = o.campaign_id;
        end if;
        if one.campaign_id is not null and one.event_type = 'bonus' then
          select * into paid from public.loyalty_award(one.campaign_id, 1, one.amount);
          if paid.program <> held.program_id then
            perform public.loyalty_refuse('a campaign awards members of its own program', 'campaign_of_program',
              'loyalty_transactions');
          end if;
          perform public.loyalty_spend(held.program_id, one.spent, paid.drawn, true);
        else
          perform public.loyalty_spend(held.program_id, one.spent, 0, one.event_type in ('earn', 'bonus', 'redeem'));
        end if;
        return null;
      end if;

      execute $q$
        with moved as materialized (
          select f.balance_id, sum(f.amount)::bigint as amount, sum({SPENT.format("f")}) as spent,
            bool_or(f.event_type in ('earn', 'bonus', 'redeem')) as only_open
          from fresh f group by f.balance_id order by f.balance_id
        ),
        done as (
          update public.loyalty_balances b set points_balance = b.points_balance + m.amount, updated_at = now()
          from moved m where b.id = m.balance_id
          returning b.program_id, b.is_frozen, m.spent, m.only_open
        ),
        summed as (
          select program_id, sum(spent) as spent, bool_or(only_open) as only_open,
            bool_or(is_frozen and only_open) as frozen, count(*) as members
          from done group by program_id order by program_id
        )
        select array_agg(program_id order by program_id), array_agg(spent order by program_id),
          array_agg(only_open order by program_id), bool_or(frozen), sum(members), (select count(*) from moved)
        from summed $q$
        into programs, spent, need_active, any_frozen, matched, wanted;
      if matched is distinct from wanted then
        raise exception 'some of these transactions are of a balance that there is not'
          using errcode = 'foreign_key_violation', constraint = 'transaction_of_a_balance',
            table = 'loyalty_transactions';
      end if;
      if any_frozen then
        perform public.loyalty_refuse('a member is frozen', 'balance_is_frozen', 'loyalty_balances');
      end if;
      reversing := exists (select from fresh where reverses_id is not null);
      if reversing then
        execute $q$ select array_agg(distinct reverses_id) as ids from fresh where reverses_id is not null $q$
          into reversed;
        perform public.loyalty_check_reversals(reversed.ids);
      end if;
      if exists (select from fresh where idempotency_key is not null) then
        execute $q$
          insert into public.loyalty_keys (program_id, key, transaction_id)
          select b.program_id, f.idempotency_key, f.id
          from fresh f join public.loyalty_balances b on b.id = f.balance_id
          where f.idempotency_key is not null order by b.program_id, f.idempotency_key $q$;
      end if;
      for one in execute $q$
        select f.campaign_id, count(*) as members, sum(f.amount)::bigint as points from fresh f
        where f.campaign_id is not null and f.event_type = 'bonus' group by f.campaign_id order by f.campaign_id $q$
      loop
        select * into paid from public.loyalty_award(one.campaign_id, one.members, one.points);
        if array_length(programs, 1) <> 1 or paid.program <> programs[1] then
          perform public.loyalty_refuse('a campaign awards members of its own program', 'campaign_of_program',
            'loyalty_transactions');
        end if;
        drawing := drawing || paid.program;
        drawn := drawn || paid.drawn;
      end loop;
      if reversing then
        for one in execute $q$
          select o.campaign_id, sum(f.amount)::bigint as points
          from fresh f join public.loyalty_transactions o on o.id = f.reverses_id
          where o.campaign_id is not null group by o.campaign_id order by o.campaign_id $q$
        loop
          update public.loyalty_campaigns c set points_reversed = c.points_reversed - one.points
            where c.id = one.campaign_id;
        end loop;
      end if;
      for at in 1 .. coalesce(array_length(programs, 1), 0) loop
        perform public.loyalty_spend(programs[at], spent[at],
          coalesce((select sum(d.points) from unnest(drawing, drawn) d (program, points)
                    where d.program = programs[at]), 0), need_active[at]);
      end loop;
      return null;
    end $$"""
