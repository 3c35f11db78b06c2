"""What only the database can promise about money: plain SQL triggers that nobody can switch off.

Every refusal is a check violation with a constraint name. The functions that write for others run as the owner with
a fixed search path; that owner's name is also how the balance knows the ledger from everybody else.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.migrations.operations import RunSQL

from opsconsole.core.sql import StateGuard, literal

ACCOUNT_OF_LEG = RunSQL(
    """
    alter table treasury_legs add constraint leg_in_currency_of_account
      foreign key (account_id, currency) references treasury_accounts (id, currency);
    alter table treasury_routes add constraint route_to_account_of_bank
      foreign key (account_id, bank_id, currency) references treasury_accounts (id, bank_id, currency);
    alter table treasury_instructions add constraint instruction_from_account_of_bank
      foreign key (account_id, bank_id, currency) references treasury_accounts (id, bank_id, currency);
    """,
    """
    alter table treasury_legs drop constraint leg_in_currency_of_account;
    alter table treasury_routes drop constraint route_to_account_of_bank;
    alter table treasury_instructions drop constraint instruction_from_account_of_bank;
    """,
)

# Legs come in by any statement (INSERT ... SELECT, COPY, MERGE, a CTE), always whole transfers at a time. The loop is
# over accounts, of which a statement touches few however many legs it brings, each found by its key: no plan of it
# can be right for one leg and wrong for a million. Locks are taken in the order of the account's id.
LEDGER = RunSQL(
    """
    create function treasury_post_legs() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp
    -- Statistics of a ledger that is just filling up are wrong: never let them choose a scan of everything.
    set enable_seqscan = off as $$
    declare
      transfers uuid[];
      line record;
    begin
      select transfer_id, currency, sum(amount) as rest into line from fresh
        group by transfer_id, currency having sum(amount) <> 0 limit 1;
      if found then
        raise exception 'the legs of transfer % do not sum to zero: % % is left over',
            line.transfer_id, line.rest, line.currency
          using errcode = 'check_violation', constraint = 'transfer_sums_to_zero', table = 'treasury_legs';
      end if;
      select array_agg(distinct transfer_id) into transfers from fresh;
      select t.id into line from public.treasury_transfers t
        where t.id = any(transfers) and t.booked_at <> transaction_timestamp() limit 1;
      if found then
        raise exception 'transfer % is complete: no leg is added to it, and none is booked for another time', line.id
          using errcode = 'check_violation', constraint = 'transfer_is_complete', table = 'treasury_legs';
      end if;
      for line in
        select account_id, sum(amount) as amount from fresh group by account_id having sum(amount) <> 0
        order by account_id
      loop
        update public.treasury_accounts a set ledger_balance = a.ledger_balance + line.amount
          where a.id = line.account_id and (a.status <> 'frozen' or line.amount > 0);
        if not found then
          raise exception 'account % is frozen: nothing is paid from it', line.account_id
            using errcode = 'check_violation', constraint = 'account_is_frozen', table = 'treasury_accounts';
        end if;
      end loop;
      return null;
    end $$;
    revoke all on function treasury_post_legs() from public;
    create trigger treasury_legs_post after insert on treasury_legs referencing new table as fresh
      for each statement execute function treasury_post_legs();

    create function treasury_complete_transfer() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
    begin
      if not exists (select from public.treasury_legs l where l.transfer_id = new.id) then
        raise exception 'transfer % moves nothing', new.id
          using errcode = 'check_violation', constraint = 'transfer_has_legs', table = 'treasury_transfers';
      end if;
      return null;
    end $$;
    create constraint trigger treasury_transfers_complete after insert on treasury_transfers
      deferrable initially deferred for each row execute function treasury_complete_transfer();

    create function treasury_keep_balance() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    begin
      -- Only treasury_post_legs gets here as the table's owner and from within a trigger.
      if tg_op = 'UPDATE' and pg_trigger_depth() > 1
          and current_user = (select pg_get_userbyid(c.relowner) from pg_class c where c.oid = tg_relid) then
        return new;
      end if;
      raise exception 'the balance of account % is kept by the ledger: book a transfer', new.id
        using errcode = 'check_violation', constraint = 'balance_kept_by_ledger', table = 'treasury_accounts';
    end $$;
    create trigger treasury_accounts_opening before insert on treasury_accounts for each row
      when (new.ledger_balance <> 0) execute function treasury_keep_balance();
    create trigger treasury_accounts_balance before update on treasury_accounts for each row
      when (old.ledger_balance is distinct from new.ledger_balance) execute function treasury_keep_balance();
    """,
    """
    drop trigger treasury_accounts_balance on treasury_accounts;
    drop trigger treasury_accounts_opening on treasury_accounts;
    drop function treasury_keep_balance();
    drop trigger treasury_transfers_complete on treasury_transfers;
    drop function treasury_complete_transfer();
    drop trigger treasury_legs_post on treasury_legs;
    drop function treasury_post_legs();
    """,
)

TALLIES = RunSQL(
    """
    create function treasury_tally() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
    begin
      if tg_op = 'INSERT' then
        insert into public.treasury_tallies (status, currency, count, amount)
          select status, currency, count(*), sum(amount) from fresh group by status, currency;
      elsif tg_op = 'DELETE' then
        insert into public.treasury_tallies (status, currency, count, amount)
          select status, currency, -count(*), -sum(amount) from gone group by status, currency;
      else
        insert into public.treasury_tallies (status, currency, count, amount)
          select status, currency, sum(count), sum(amount) from (
            select status, currency, 1 as count, amount from fresh
            union all select status, currency, -1, -amount from gone
          ) moved
          group by status, currency having sum(count) <> 0 or sum(amount) <> 0;
      end if;
      return null;
    end $$;
    revoke all on function treasury_tally() from public;
    create trigger treasury_payouts_tally_in after insert on treasury_payouts referencing new table as fresh
      for each statement execute function treasury_tally();
    create trigger treasury_payouts_tally_move after update on treasury_payouts
      referencing old table as gone new table as fresh for each statement execute function treasury_tally();
    create trigger treasury_payouts_tally_out after delete on treasury_payouts referencing old table as gone
      for each statement execute function treasury_tally();
    """,
    """
    drop trigger treasury_payouts_tally_out on treasury_payouts;
    drop trigger treasury_payouts_tally_move on treasury_payouts;
    drop trigger treasury_payouts_tally_in on treasury_payouts;
    drop function treasury_tally();
    """,
)

FIXED_COLUMNS = RunSQL(
    """
    create function treasury_refuse_rewrite() returns trigger language plpgsql as $$
    begin
      raise exception '% %: % cannot change any more', tg_table_name, old.id, tg_argv[0]
        using errcode = 'check_violation', constraint = tg_table_name || '_fixed', table = tg_table_name;
    end $$;
    """,
    "drop function treasury_refuse_rewrite();",
)


# What closes (pausing a bank, freezing) takes a lock that whatever marks a payment as going out holds shared: after the
# closing has committed, no such mark commits any more, whoever writes either of them. The triggers that close are per
# statement, so that they take it before any row; the one that refuses looks at all rows that go out at once.
CLOSURES = RunSQL(
    """
    create function treasury_close() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock(hashtextextended('treasury.closing', 0));
      return null;
    end $$;
    create trigger treasury_banks_close before update of status on treasury_banks
      for each statement execute function treasury_close();
    create trigger treasury_accounts_close before update of status on treasury_accounts
      for each statement execute function treasury_close();
    create trigger treasury_freezes_close before insert on treasury_freezes
      for each statement execute function treasury_close();

    create function treasury_refuse_closed() returns trigger language plpgsql as $$
    declare
      way record;
    begin
      if not exists (select from fresh where status = 'sending') then return null; end if;
      perform pg_advisory_xact_lock_shared(hashtextextended('treasury.closing', 0));
      -- A statement of its own, so that its snapshot is taken after the lock.
      select b.name, b.status as bank, a.iban, a.status as account, p.iban as payee, p.merchant,
          p.merchant in (select f.subject from public.treasury_freezes f
                         where f.lifted_at is null and f.kind = 'merchant') as merchant_frozen
        into way
        from fresh n join gone o on o.id = n.id
          join public.treasury_banks b on b.id = n.bank_id
          join public.treasury_accounts a on a.id = n.account_id
          join public.treasury_payouts p on p.id = n.payout_id
        where n.status = 'sending' and o.status <> 'sending' and (b.status <> 'active' or a.status <> 'active'
          or p.iban in (select f.subject from public.treasury_freezes f
                        where f.lifted_at is null and f.kind = 'beneficiary')
          or p.iban in (select own.iban from public.treasury_accounts own
                        where own.status = 'frozen' and own.iban is not null)
          or p.merchant in (select f.subject from public.treasury_freezes f
                            where f.lifted_at is null and f.kind = 'merchant'))
        order by n.ordinal limit 1;
      if not found then
        return null;
      elsif way.bank <> 'active' then
        raise exception '% is paused: nothing new goes to it.', way.name
          using errcode = 'check_violation', constraint = 'bank_is_paused', table = tg_table_name;
      elsif way.account <> 'active' then
        raise exception 'The account % is frozen: nothing is paid from it.', way.iban
          using errcode = 'check_violation', constraint = 'account_is_frozen', table = tg_table_name;
      elsif way.merchant_frozen then
        raise exception 'The merchant % is frozen: nothing is paid for it.', way.merchant
          using errcode = 'check_violation', constraint = 'merchant_is_frozen', table = tg_table_name;
      end if;
      raise exception 'The beneficiary % is frozen: nothing is paid to it.', way.payee
        using errcode = 'check_violation', constraint = 'beneficiary_is_frozen', table = tg_table_name;
    end $$;
    create trigger treasury_instructions_closed after update on treasury_instructions
      referencing old table as gone new table as fresh for each statement execute function treasury_refuse_closed();
    """,
    """
    drop trigger treasury_instructions_closed on treasury_instructions;
    drop function treasury_refuse_closed();
    drop trigger treasury_freezes_close on treasury_freezes;
    drop trigger treasury_accounts_close on treasury_accounts;
    drop trigger treasury_banks_close on treasury_banks;
    drop function treasury_close();
    """,
)

# A freeze is lifted once and never taken back or away; an account is frozen for as long as a freeze of it stands.
FREEZES = RunSQL(
    """
    alter table treasury_freezes add constraint freeze_of_account_is_its_subject
      check (kind <> 'account' or subject = account_id::text);

    create function treasury_keep_freeze() returns trigger language plpgsql as $$
    begin
      raise exception 'freeze %: it can only be lifted, and that once', old.id
        using errcode = 'check_violation', constraint = 'freeze_is_only_lifted', table = tg_table_name;
    end $$;
    create trigger treasury_freezes_kept before delete on treasury_freezes
      for each row execute function treasury_keep_freeze();
    create trigger treasury_freezes_lifted_once before update on treasury_freezes for each row
      when (old.lifted_at is not null and old is distinct from new) execute function treasury_keep_freeze();

    create function treasury_freeze_needs_account() returns trigger language plpgsql as $$
    declare
      found_as text;
    begin
      select a.status into found_as from public.treasury_accounts a where a.id = new.account_id for share;
      if found_as is distinct from 'frozen' then
        raise exception 'account % is not frozen: freeze it with the freeze', new.account_id
          using errcode = 'check_violation', constraint = 'freeze_has_frozen_account', table = tg_table_name;
      end if;
      return null;
    end $$;
    create trigger treasury_freezes_of_account after insert on treasury_freezes for each row
      when (new.kind = 'account') execute function treasury_freeze_needs_account();

    create function treasury_keep_account_frozen() returns trigger language plpgsql as $$
    begin
      if exists (select from public.treasury_freezes f where f.account_id = new.id and f.lifted_at is null) then
        raise exception 'a freeze of account % stands: lift it first', new.id
          using errcode = 'check_violation', constraint = 'account_has_live_freeze', table = tg_table_name;
      end if;
      return new;
    end $$;
    create trigger treasury_accounts_unfreeze before update of status on treasury_accounts for each row
      when (old.status = 'frozen' and new.status <> 'frozen') execute function treasury_keep_account_frozen();
    """,
    """
    drop trigger treasury_accounts_unfreeze on treasury_accounts;
    drop function treasury_keep_account_frozen();
    drop trigger treasury_freezes_of_account on treasury_freezes;
    drop function treasury_freeze_needs_account();
    drop trigger treasury_freezes_lifted_once on treasury_freezes;
    drop trigger treasury_freezes_kept on treasury_freezes;
    drop function treasury_keep_freeze();
    alter table treasury_freezes drop constraint freeze_of_account_is_its_subject;
    """,
)


class FixedColumns(RunSQL):
    """Refuse any change to these columns, always or while the row's `status` is one of those named."""

    def __init__(self, table: str, columns: Sequence[str], *, while_status: Sequence[str] = ()) -> None:
        was, now = (", ".join(f"{row}.{column}" for column in columns) for row in ("old", "new"))
        states = ", ".join(map(literal, while_status))
        condition = f" and old.status in ({states})" if while_status else ""
        super().__init__(
            f"""
            create trigger {table}_fixed before update on {table} for each row
              when (({was}) is distinct from ({now}){condition})
              execute function treasury_refuse_rewrite({literal(", ".join(columns))});
            """,
            f"drop trigger {table}_fixed on {table};",
        )


class WiderGuard(RunSQL):
    """Let the `status` of a guarded table also move by these pairs."""

    def __init__(self, table: str, *, starts: Sequence[str], pairs: Sequence[str], more: Sequence[str]) -> None:
        was = StateGuard(table, starts=starts, pairs=pairs)
        now = StateGuard(table, starts=starts, pairs=[*pairs, *more])
        super().__init__(f"{was.reverse_sql} {now.sql}", f"{now.reverse_sql} {was.sql}")


# A sweep goes through neither a closed bank nor a frozen account at either of its ends; as CLOSURES does for payouts.
SWEEP_CLOSURES = RunSQL(
    """
    create function treasury_refuse_closed_sweep() returns trigger language plpgsql as $$
    declare
      way record;
    begin
      perform pg_advisory_xact_lock_shared(hashtextextended('treasury.closing', 0));
      -- A statement of its own, so that its snapshot is taken after the lock.
      for way in
        select b.name, b.status as bank, a.iban, a.status as account,
            exists (select from public.treasury_freezes f
                    where f.lifted_at is null and f.kind = 'beneficiary' and f.subject = a.iban) as frozen
        from public.treasury_accounts a join public.treasury_banks b on b.id = a.bank_id
        where a.id in (new.account_id, new.target_id)
      loop
        if way.bank <> 'active' then
          raise exception '% is paused: nothing new goes to it.', way.name
            using errcode = 'check_violation', constraint = 'bank_is_paused', table = tg_table_name;
        elsif way.account <> 'active' then
          raise exception 'The account % is frozen: nothing is paid to or from it.', way.iban
            using errcode = 'check_violation', constraint = 'account_is_frozen', table = tg_table_name;
        elsif way.frozen then
          raise exception 'The beneficiary % is frozen: nothing is paid to it.', way.iban
            using errcode = 'check_violation', constraint = 'beneficiary_is_frozen', table = tg_table_name;
        end if;
      end loop;
      return new;
    end $$;
    create trigger treasury_sweeps_closed before update of status on treasury_sweeps for each row
      when (new.status = 'sending' and old.status <> 'sending') execute function treasury_refuse_closed_sweep();
    """,
    """
    drop trigger treasury_sweeps_closed on treasury_sweeps;
    drop function treasury_refuse_closed_sweep();
    """,
)
