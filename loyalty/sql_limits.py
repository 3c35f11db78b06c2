"""What only the database can promise about vouchers and rewards: once, in time, so many each, and paid by the ledger.

Triggers after the row, so that a statement over many rows is counted as a whole; each first takes the row that
everybody who redeems the same has to wait for. Whether the ledger agrees is asked at the end of the transaction: the
ledger is written last in it. Refusals are check violations with a constraint name, told to people by `limits`.
"""

from __future__ import annotations

from django.db.migrations.operations import RunSQL

VOUCHERS = RunSQL(
    """
    create trigger loyalty_voucher_batches_kept before update of redeemed on loyalty_voucher_batches
      for each statement execute function loyalty_keep('redeemed is');
    create trigger loyalty_voucher_batches_opening before insert on loyalty_voucher_batches for each row
      when (new.redeemed <> 0) execute function loyalty_keep('redeemed is');

    -- A code stays what it is, and whose it was; nobody makes a spent one go away.
    create function loyalty_voucher_stays() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
    begin
      perform public.loyalty_refuse('a voucher keeps its code, and who redeemed it', 'voucher_stays',
        'loyalty_vouchers');
      return null;
    end $$;
    create trigger loyalty_vouchers_stay before update on loyalty_vouchers for each row
      when ((new.id, new.batch_id, new.code) is distinct from (old.id, old.batch_id, old.code)
        or old.status = 'redeemed' and new is distinct from old) execute function loyalty_voucher_stays();
    create trigger loyalty_vouchers_remain before delete on loyalty_vouchers
      for each statement execute function refuse_change();

    create function loyalty_voucher_limits() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
    declare
      held record;
    begin
      update public.loyalty_voucher_batches b set redeemed = b.redeemed + 1
        where b.id = new.batch_id and b.withdrawn_at is null and b.valid_from <= now()
          and (b.expires_at is null or b.expires_at > now())
        returning b.per_member, b.program_id into held;
      if not found then
        perform public.loyalty_refuse('the batch of this voucher is not valid now', 'voucher_batch_is_valid',
          'loyalty_vouchers');
      end if;
      if held.program_id is distinct from
          (select m.program_id from public.loyalty_balances m where m.id = new.balance_id) then
        perform public.loyalty_refuse('a voucher is redeemed by a member of its own program', 'voucher_of_program',
          'loyalty_vouchers');
      end if;
      -- The batch's row is held by now: nobody else is redeeming one of it, and what they redeemed is committed.
      if held.per_member < (select count(*) from public.loyalty_vouchers v
          where v.balance_id = new.balance_id and v.batch_id = new.batch_id and v.status = 'redeemed') then
        perform public.loyalty_refuse('a member may redeem ' || held.per_member || ' of this batch',
          'voucher_limit_per_member', 'loyalty_vouchers');
      end if;
      return null;
    end $$;
    revoke all on function loyalty_voucher_limits() from public;
    create trigger loyalty_vouchers_limits after update of status on loyalty_vouchers for each row
      when (new.status = 'redeemed' and old.status <> 'redeemed') execute function loyalty_voucher_limits();

    create function loyalty_voucher_paid() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
    begin
      if not exists (
        select from public.loyalty_transactions t join public.loyalty_voucher_batches b on b.id = new.batch_id
        where t.id = new.transaction_id and t.balance_id = new.balance_id and t.event_type = 'bonus'
          and t.amount = b.points and t.origin_txn_id = new.id::text
      ) then
        perform public.loyalty_refuse('a redeemed voucher has its points in the ledger', 'voucher_paid_by_ledger',
          'loyalty_vouchers');
      end if;
      return null;
    end $$;
    create constraint trigger loyalty_vouchers_paid after update of status on loyalty_vouchers
      deferrable initially deferred for each row
      when (new.status = 'redeemed' and old.status <> 'redeemed') execute function loyalty_voucher_paid();
    """,
    """
    drop trigger loyalty_vouchers_paid on loyalty_vouchers;
    drop function loyalty_voucher_paid();
    drop trigger loyalty_vouchers_limits on loyalty_vouchers;
    drop function loyalty_voucher_limits();
    drop trigger loyalty_vouchers_remain on loyalty_vouchers;
    drop trigger loyalty_vouchers_stay on loyalty_vouchers;
    drop function loyalty_voucher_stays();
    drop trigger loyalty_voucher_batches_opening on loyalty_voucher_batches;
    drop trigger loyalty_voucher_batches_kept on loyalty_voucher_batches;
    """,
)

REWARDS = RunSQL(
    """
    create function loyalty_redemption_stays() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    begin
      perform public.loyalty_refuse('a redemption keeps what was taken, by whom, and for how much', 'redemption_stays',
        'loyalty_redemptions');
      return null;
    end $$;
    create trigger loyalty_redemptions_stay before update on loyalty_redemptions for each row
      when ((new.id, new.balance_id, new.reward_id, new.transaction_id, new.points)
        is distinct from (old.id, old.balance_id, old.reward_id, old.transaction_id, old.points))
      execute function loyalty_redemption_stays();
    create trigger loyalty_redemptions_remain before delete on loyalty_redemptions
      for each statement execute function refuse_change();

    create function loyalty_reward_limits() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
    declare
      held record;
    begin
      update public.loyalty_rewards r set stock = r.stock - 1
        where r.id = new.reward_id and r.active and (r.stock is null or r.stock > 0)
        returning r.program_id, r.points, r.per_member into held;
      if not found then
        if exists (select from public.loyalty_rewards r where r.id = new.reward_id and not r.active) then
          perform public.loyalty_refuse('this reward is not given any more', 'reward_is_active', 'loyalty_rewards');
        end if;
        perform public.loyalty_refuse('none of this reward are left', 'reward_in_stock', 'loyalty_rewards');
      end if;
      if held.points <> new.points then
        perform public.loyalty_refuse('this reward costs ' || held.points || ' points', 'redemption_costs_its_reward',
          'loyalty_redemptions');
      end if;
      if held.program_id is distinct from
          (select m.program_id from public.loyalty_balances m where m.id = new.balance_id) then
        perform public.loyalty_refuse('a reward is for members of its own program', 'reward_of_program',
          'loyalty_redemptions');
      end if;
      -- The reward's row is held by now: nobody else is redeeming it, and what they redeemed is committed.
      if held.per_member < (select count(*) from public.loyalty_redemptions d
          where d.balance_id = new.balance_id and d.reward_id = new.reward_id and d.status <> 'reversed') then
        perform public.loyalty_refuse('a member may have ' || held.per_member || ' of this reward',
          'reward_limit_per_member', 'loyalty_redemptions');
      end if;
      return null;
    end $$;
    create trigger loyalty_redemptions_limits after insert on loyalty_redemptions for each row
      when (new.reward_id is not null) execute function loyalty_reward_limits();

    create function loyalty_reward_returns() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    begin
      update public.loyalty_rewards r set stock = r.stock + 1 where r.id = new.reward_id and r.stock is not null;
      return null;
    end $$;
    create trigger loyalty_redemptions_return after update of status on loyalty_redemptions for each row
      when (new.status = 'reversed' and old.status <> 'reversed') execute function loyalty_reward_returns();

    create function loyalty_redemption_paid() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    begin
      if not exists (select from public.loyalty_transactions t where t.id = new.transaction_id
          and t.balance_id = new.balance_id and t.event_type = 'redeem' and t.amount = -new.points) then
        perform public.loyalty_refuse('a redemption has its points in the ledger', 'redemption_paid_by_ledger',
          'loyalty_redemptions');
      elsif new.status = 'reversed' and new.points <> coalesce(
          (select sum(t.amount) from public.loyalty_transactions t where t.reverses_id = new.transaction_id), 0) then
        perform public.loyalty_refuse('what is taken back has its points back in the ledger',
          'redemption_returned_by_ledger', 'loyalty_redemptions');
      end if;
      return null;
    end $$;
    create constraint trigger loyalty_redemptions_paid after insert or update of status on loyalty_redemptions
      deferrable initially deferred for each row execute function loyalty_redemption_paid();
    """,
    """
    drop trigger loyalty_redemptions_paid on loyalty_redemptions;
    drop function loyalty_redemption_paid();
    drop trigger loyalty_redemptions_return on loyalty_redemptions;
    drop function loyalty_reward_returns();
    drop trigger loyalty_redemptions_limits on loyalty_redemptions;
    drop function loyalty_reward_limits();
    drop trigger loyalty_redemptions_remain on loyalty_redemptions;
    drop trigger loyalty_redemptions_stay on loyalty_redemptions;
    drop function loyalty_redemption_stays();
    """,
)

# A dispute that ended in an adjustment has it in the ledger; a rule that looks has been tried on the past as it is.
VERDICTS = RunSQL(
    """
    create function loyalty_dispute_settled() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    begin
      if not exists (select from public.loyalty_transactions t where t.id = new.transaction_id
          and t.balance_id = new.balance_id and t.event_type = 'adjust') then
        perform public.loyalty_refuse('an adjusted dispute has its adjustment in the ledger', 'dispute_settled',
          'loyalty_disputes');
      end if;
      return null;
    end $$;
    create constraint trigger loyalty_disputes_settled after update of status on loyalty_disputes
      deferrable initially deferred for each row when (new.status = 'adjusted')
      execute function loyalty_dispute_settled();

    alter table loyalty_fraud_rules add constraint fraud_rule_tried_before_it_looks
      check (not active or coalesce((backtest ->> 'version')::int = version, false));
    """,
    """
    alter table loyalty_fraud_rules drop constraint fraud_rule_tried_before_it_looks;
    drop trigger loyalty_disputes_settled on loyalty_disputes;
    drop function loyalty_dispute_settled();
    """,
)

# What was tried on the past is a version of a rule, so what it looks for changes with its version and not behind it.
# And flags are a list, to which the runbooks append.
BY_VERSION = RunSQL(
    """
    create function loyalty_fraud_rule_versions() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    begin
      perform public.loyalty_refuse('what the rule ' || new.code || ' looks for is another version of it',
        'fraud_rule_changes_its_version', 'loyalty_fraud_rules');
      return null;
    end $$;
    create trigger loyalty_fraud_rules_versions before update on loyalty_fraud_rules for each row
      when ((new.kind, new.limits, new.allowed_networks, new.flag, new.locks)
          is distinct from (old.kind, old.limits, old.allowed_networks, old.flag, old.locks)
        and new.version <= old.version) execute function loyalty_fraud_rule_versions();

    alter table loyalty_balances add constraint fraud_flags_are_a_list check (jsonb_typeof(fraud_flags) = 'array');
    """,
    """
    alter table loyalty_balances drop constraint fraud_flags_are_a_list;
    drop trigger loyalty_fraud_rules_versions on loyalty_fraud_rules;
    drop function loyalty_fraud_rule_versions();
    """,
)
