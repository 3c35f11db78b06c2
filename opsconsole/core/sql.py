"""Migration operations for what only the database can promise. Plain SQL triggers: nobody can switch them off.

Every refusal is raised as a check violation with a constraint name, so that Django sees an IntegrityError and a
person at psql reads a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.migrations.operations import RunSQL
from psycopg import sql


def literal(value: str) -> str:
    """The value as an SQL literal."""
    return sql.Literal(value).as_string(None)


UUID7 = RunSQL(
    """
    create function uuid7() returns uuid language sql volatile parallel safe as $$
      -- 48 bits of milliseconds, then random() bits: ids are in order of time and need not be secret.
      select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
        || '7' || lpad(to_hex(floor(random() * 4096)::int), 3, '0')
        || to_hex(8 + floor(random() * 4)::int) || lpad(to_hex(floor(random() * 4096)::int), 3, '0')
        || lpad(to_hex(floor(random() * 16777216)::int), 6, '0')
        || lpad(to_hex(floor(random() * 16777216)::int), 6, '0'))::uuid
    $$;
    """,
    "drop function uuid7();",
)

IDEMPOTENCY_CLAIM = RunSQL(
    """
    create function idempotency_claim(s text, k text, f bytea, out state text, out status int, out body jsonb)
    language plpgsql volatile as $$
    begin
      if not pg_try_advisory_xact_lock(hashtextextended(s || chr(31) || k, 0)) then
        state := 'busy';
        return;
      end if;
      -- A statement of its own, so that its snapshot is taken after the lock.
      select i.status, i.body, case when i.fingerprint = f then 'replay' else 'mismatch' end
        into status, body, state from core_idempotency_keys i where i.scope = s and i.key = k;
      if not found then state := 'new'; end if;
    end $$;
    """,
    "drop function idempotency_claim(text, text, bytea);",
)

STATE_GUARD = RunSQL(
    """
    create function refuse_transition() returns trigger language plpgsql as $$
    begin
      -- tg_argv[0] names the states a row may be born in, tg_argv[1] the pairs from>to, both split by a blank.
      if tg_op = 'INSERT' then
        if new.status = any(string_to_array(tg_argv[0], ' ')) then return new; end if;
        raise exception '% cannot start as %', tg_table_name, new.status
          using errcode = 'check_violation', constraint = tg_table_name || '_transition', table = tg_table_name;
      end if;
      if old.status || '>' || new.status = any(string_to_array(tg_argv[1], ' ')) then return new; end if;
      raise exception '% % is %; it cannot become %', tg_table_name, old.id, old.status, new.status
        using errcode = 'check_violation', constraint = tg_table_name || '_transition', table = tg_table_name;
    end $$;
    """,
    "drop function refuse_transition();",
)


class StateGuard(RunSQL):
    """Let the `status` of a table move only by its transitions; `tests/architecture` holds it against the code."""

    def __init__(self, table: str, *, starts: Iterable[str], pairs: Iterable[str]) -> None:
        born, moves = literal(" ".join(sorted(starts))), literal(" ".join(sorted(pairs)))
        super().__init__(
            f"""
            create trigger {table}_birth before insert on {table}
              for each row execute function refuse_transition({born}, {moves});
            create trigger {table}_transition before update of status on {table} for each row
              when (old.status is distinct from new.status) execute function refuse_transition({born}, {moves});
            """,
            f"drop trigger {table}_birth on {table}; drop trigger {table}_transition on {table};",
        )


APPEND_ONLY = RunSQL(
    """
    create function refuse_change() returns trigger language plpgsql as $$
    begin
      raise exception '% is append-only: % is refused to everyone', tg_table_name, tg_op
        using errcode = 'check_violation', constraint = tg_table_name || '_append_only', table = tg_table_name;
    end $$;
    """,
    "drop function refuse_change();",
)


class AppendOnly(RunSQL):
    """Refuse UPDATE, DELETE and TRUNCATE on a table to everyone, its owner and superusers included."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"""
            create trigger {table}_append_only before update or delete or truncate on {table}
              for each statement execute function refuse_change();
            """,
            f"drop trigger {table}_append_only on {table};",
        )
