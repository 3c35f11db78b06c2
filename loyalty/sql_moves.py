"""One earn or redemption in one statement: the key, what a purchase is worth, the member, the row.

Called by itself it is a transaction of its own, and tells the session who acts, as an operation does otherwise. What it
refuses by a `state` has changed nothing.
"""

from __future__ import annotations

from typing import Final

from loyalty.states import RuleKind

SIGNATURE: Final = "loyalty_move(text, text, text, uuid, text, text, bigint, numeric, text, text, inet, bigint)"

MOVE: Final = f"""
    create or replace function loyalty_move(
      context text, author text, request text,
      its_program uuid, who text, event text, asked bigint, spent numeric, origin text, key text, address inet,
      most bigint,
      out state text, out transaction uuid, out balance uuid, out points bigint, out total bigint, out held bigint
    ) language plpgsql as $$
    declare
      known record; rule record; worth numeric; standing uuid; tier numeric; caps bigint[]; since timestamptz[];
    begin
      perform set_config('ops.context', context, true), set_config('ops.actor', author, true),
        set_config('ops.request_id', request, true);
      if key is not null then
        perform pg_advisory_xact_lock(hashtextextended('loyalty.key' || chr(31) || its_program || chr(31) || key, 0));
        -- A statement of its own, so that its snapshot is taken after the lock.
        select t.id, t.balance_id, t.amount, b.points_balance, b.locked,
            t.event_type = event and b.user_id = who and t.origin_txn_id is not distinct from origin
              and case when spent is null then t.amount = asked else t.purchase = spent end as same
          into known
          from loyalty_keys k join loyalty_transactions t on t.id = k.transaction_id
            join loyalty_balances b on b.id = t.balance_id
          where k.program_id = its_program and k.key = loyalty_move.key;
        if found then
          state := case when known.same then 'replayed' else 'mismatch' end;
          transaction := known.id; balance := known.balance_id; points := known.amount;
          total := known.points_balance; held := known.locked;
          return;
        end if;
      end if;

      select p.earn_rate into worth from loyalty_programs p where p.id = its_program;
      if not found then
        state := 'no program';
        return;
      end if;
      select b.id, b.points_balance, b.locked, b.tier_id into balance, total, held, standing
        from loyalty_balances b where b.program_id = its_program and b.user_id = who for no key update;

      points := asked;
      if event = 'earn' then
        -- A statement of its own: a join would find no tier where the member's has changed while we waited for the row.
        if standing is not null then
          select t.multiplier into tier from loyalty_tiers t where t.id = standing;
          worth := worth * coalesce(tier, 1);
        end if;
        for rule in
          select r.kind, r.multiplier, r.cap_points, now() - make_interval(days => r.period_days) as counted_from
          from loyalty_rules r
          where r.program_id = its_program and r.active
            and (r.starts_at is null or r.starts_at <= now()) and (r.ends_at is null or r.ends_at > now())
        loop
          if rule.kind = '{RuleKind.MULTIPLIER.value}' then
            worth := worth * rule.multiplier;
          elsif rule.kind = '{RuleKind.CAP.value}' then
            caps := caps || rule.cap_points;
            since := since || rule.counted_from;
          end if;
        end loop;
        if spent is not null then
          worth := floor(spent * worth);
          if worth < 1 or worth > most then
            state := case when worth < 1 then 'nothing' else 'too much' end;
            return;
          end if;
          points := worth;
        end if;
      end if;

      if balance is null then
        if event <> 'earn' then
          state := 'no member';
          return;
        end if;
        insert into loyalty_balances (program_id, user_id, joined_at) values (its_program, who, now())
          on conflict (program_id, user_id) do nothing;
        select b.id, b.points_balance, b.locked into balance, total, held from loyalty_balances b
          where b.program_id = its_program and b.user_id = who for no key update;
      end if;
      for at in 1 .. coalesce(array_length(caps, 1), 0) loop
        points := least(points, caps[at] - coalesce((
          select sum(t.amount + coalesce((
            select sum(r.amount) from loyalty_transactions r where r.reverses_id = t.id), 0))
          from loyalty_transactions t
          where t.balance_id = balance and t.event_type = 'earn' and t.created_at >= since[at]), 0));
      end loop;
      if spent is null and points < asked then
        perform public.loyalty_refuse('a rule leaves ' || greatest(points, 0) || ' points', 'rule_caps_earns',
          'loyalty_rules');
      end if;
      if points <= 0 and caps is not null then
        state := 'capped';
        points := 0;
        return;
      end if;
      insert into loyalty_transactions
          (balance_id, event_type, amount, purchase, origin_txn_id, idempotency_key, ip_address)
        values (balance, event, points, spent, origin, key, address)
        returning id into transaction;
      state := 'recorded';
      total := total + points;
    end $$;
    """
