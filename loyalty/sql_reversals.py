"""What may be taken back of a transaction: never more than there was, and of the same member.

Each transaction that is reversed is looked up by itself. As a join, PostgreSQL has read all reversals there were for
each of the ten thousand of a chunk: it took the first wrong one to be near, and there is none.
"""

from __future__ import annotations

from typing import Final

# The balances of what is reversed are locked by now, so nobody else is reversing the same.
CHECK: Final = """create or replace function loyalty_check_reversals(reversed uuid[]) returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    declare
      bad record;
    begin
      select r.id, o.id as original, o.event_type, back.elsewhere
        into bad
        from unnest(reversed) r (id)
          left join public.loyalty_transactions o on o.id = r.id
          cross join lateral (
            select sum(t.amount) as points, bool_or(t.balance_id is distinct from o.balance_id) as elsewhere,
              bool_or(sign(t.amount) = sign(o.amount)) as onwards
            from public.loyalty_transactions t where t.reverses_id = r.id) back
        where o.id is null or o.event_type in ('reverse', 'expire') or back.elsewhere or back.onwards
          or abs(back.points) > abs(o.amount)
        limit 1;
      if not found then return; end if;
      if bad.original is null then
        perform public.loyalty_refuse('there is no transaction ' || bad.id || ' to reverse',
          'reversal_of_a_transaction', 'loyalty_transactions');
      elsif bad.elsewhere then
        perform public.loyalty_refuse('transaction ' || bad.id || ' is another member''s',
          'reversal_of_same_member', 'loyalty_transactions');
      elsif bad.event_type in ('reverse', 'expire') then
        perform public.loyalty_refuse('transaction ' || bad.id || ' cannot be reversed: it is ' || bad.event_type,
          'reversal_of_a_transaction', 'loyalty_transactions');
      end if;
      perform public.loyalty_refuse('more would be reversed of transaction ' || bad.id || ' than there was',
        'reversal_within_original', 'loyalty_transactions');
    end $$"""
