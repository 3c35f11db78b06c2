"""The journal: its tables, and the functions and triggers that are the only way to write them."""

import django.contrib.postgres.fields
from django.conf import settings
from django.db import migrations, models

from opsconsole.core.sql import AppendOnly
from opsconsole.journal.sql import service_test

# A writer hands in who, verb, subject, before, after and reason as a JSON object in `body`. The database makes the
# record out of it: number, id, time and request id are its own, the shape is fixed, and the hash is over what stands.
STAMP = """
    alter table journal_entries alter seq add generated always as identity;

    create function journal_stamp() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    declare
      said jsonb := new.body::jsonb;
    begin
      new.id := public.uuid7();
      new.at := clock_timestamp();
      new.actor_kind := said->'actor'->>'kind';
      new.actor_id := said->'actor'->>'id';
      new.actor_name := said->'actor'->>'name';
      new.verb := said->>'verb';
      new.subject_kind := said->'subject'->>'kind';
      new.subject_id := said->'subject'->>'id';
      new.body := jsonb_build_object(
        'v', 1, 'seq', new.seq, 'id', new.id,
        'at', to_char(new.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'actor', said->'actor', 'verb', new.verb, 'subject', said->'subject',
        'before', said->'before', 'after', said->'after', 'reason', coalesce(said->>'reason', ''),
        'request_id', coalesce(current_setting('ops.request_id', true), ''))::text;
      new.leaf := sha256('\\x00'::bytea || convert_to(new.body, 'UTF8'));
      return new;
    end $$;
    create trigger journal_entries_stamp before insert on journal_entries
      for each row execute function journal_stamp();

    create function journal_enqueue() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
    begin
      insert into public.journal_pending (seq, leaf) select seq, leaf from fresh;
      return null;
    end $$;
    create trigger journal_entries_enqueue after insert on journal_entries referencing new table as fresh
      for each statement execute function journal_enqueue();
"""

UNSTAMP = """
    drop trigger journal_entries_enqueue on journal_entries;
    drop trigger journal_entries_stamp on journal_entries;
    drop function journal_enqueue();
    drop function journal_stamp();
"""

# Sealing, in two steps of one transaction with the signature made in between. The application may call these and may
# not touch the tables behind them; what it says in a checkpoint is held against the tree.
SEALING = """
    insert into journal_tree (id, size, edge) values (1, 0, '{}');

    create function journal_root(edge bytea[]) returns bytea language plpgsql immutable strict
    set search_path = pg_catalog, pg_temp as $$
    declare
      reached bytea := edge[cardinality(edge)];
    begin
      for i in reverse cardinality(edge) - 1 .. 1 loop
        reached := sha256('\\x01'::bytea || edge[i] || reached);
      end loop;
      return coalesce(reached, sha256(''));
    end $$;

    create function journal_seal(most integer, out sealed integer, out size bigint, out root bytea, out at timestamptz)
    language plpgsql security definer
    -- The statistics of a queue that fills and empties are always wrong: never let them choose a scan of everything.
    set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
    declare
      right_edge bytea[];
      depth integer;
      subtree bytea;
      place bigint;
      height integer;
    begin
      sealed := 0;
      if not exists (select from public.journal_pending) then return; end if;
      -- One sealer at a time; the next statement's snapshot is taken after the wait.
      select t.size, t.edge into size, right_edge from public.journal_tree t where t.id = 1 for update;
      depth := cardinality(right_edge);
      for subtree in
        with due as (
          select max(first.seq) as last
          from (select p.seq from public.journal_pending p order by p.seq limit most) first
        ), gone as (
          delete from public.journal_pending p where p.seq <= (select last from due) returning p.seq, p.leaf
        ), placed as (
          insert into public.journal_leaves (index, seq, hash)
          select journal_seal.size + row_number() over (order by gone.seq) - 1, gone.seq, gone.leaf from gone
          returning index, hash
        )
        select hash from placed order by index
      loop
        -- RFC 6962: a new leaf closes one perfect subtree for every trailing one bit of the old size.
        place := size;
        height := 0;
        while place & 1 = 1 loop
          subtree := sha256('\\x01'::bytea || right_edge[depth] || subtree);
          depth := depth - 1;
          place := place >> 1;
          height := height + 1;
          if height % 8 = 0 then
            insert into public.journal_nodes (level, index, hash) values (height, place, subtree);
          end if;
        end loop;
        depth := depth + 1;
        right_edge[depth] := subtree;
        size := size + 1;
        sealed := sealed + 1;
      end loop;
      if sealed = 0 then return; end if;
      right_edge := right_edge[1:depth];
      root := public.journal_root(right_edge);
      at := clock_timestamp();
      update public.journal_tree t set (size, edge) = row (journal_seal.size, right_edge) where t.id = 1;
    end $$;
    revoke all on function journal_seal(integer) from public;

    create function journal_checkpoint(signed text) returns void language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
    declare
      line text[] := string_to_array(signed, chr(10));
      tree public.journal_tree;
      reached bytea;
    begin
      select * into tree from public.journal_tree where id = 1 for update;
      reached := public.journal_root(tree.edge);
      if (line[2], line[3]) is distinct from (tree.size::text, encode(reached, 'base64')) then
        raise exception 'the checkpoint does not say what the tree is: % leaves, root %',
            tree.size, encode(reached, 'base64')
          using errcode = 'check_violation', constraint = 'journal_checkpoints_true', table = 'journal_checkpoints';
      end if;
      insert into public.journal_checkpoints (size, root, note, at)
      values (tree.size, reached, signed, substr(line[4], 4)::timestamptz);
    end $$;
    revoke all on function journal_checkpoint(text) from public;
"""

UNSEALING = """
    drop function journal_checkpoint(text);
    drop function journal_seal(integer);
    drop function journal_root(bytea[]);
"""

# What AppendOnly cannot say: a pending row leaves by being sealed, and the tree only grows, to a size that is signed.
GUARDS = """
    create trigger journal_pending_kept before update or truncate on journal_pending
      for each statement execute function refuse_change();

    create function journal_guard_pending() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
    begin
      if exists (
        select from gone left join public.journal_leaves placed on placed.seq = gone.seq where placed.seq is null
      ) then
        raise exception 'journal_pending: a row leaves only by being sealed'
          using errcode = 'check_violation', constraint = 'journal_pending_sealed', table = 'journal_pending';
      end if;
      return null;
    end $$;
    create trigger journal_pending_sealed after delete on journal_pending referencing old table as gone
      for each statement execute function journal_guard_pending();

    create trigger journal_tree_kept before insert or delete or truncate on journal_tree
      for each statement execute function refuse_change();

    create function journal_guard_tree() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
    begin
      if new.id is distinct from old.id or new.size <= old.size then
        raise exception 'journal_tree only grows: it has % leaves', old.size
          using errcode = 'check_violation', constraint = 'journal_tree_grows', table = 'journal_tree';
      end if;
      if not exists (
        select from public.journal_checkpoints c where c.size = new.size and c.root = public.journal_root(new.edge)
      ) then
        raise exception 'journal_tree has no signed checkpoint for its % leaves', new.size
          using errcode = 'check_violation', constraint = 'journal_tree_signed', table = 'journal_tree';
      end if;
      return null;
    end $$;
    create constraint trigger journal_tree_signed after update on journal_tree deferrable initially deferred
      for each row execute function journal_guard_tree();
"""

UNGUARD = """
    drop trigger journal_tree_signed on journal_tree;
    drop function journal_guard_tree();
    drop trigger journal_tree_kept on journal_tree;
    drop trigger journal_pending_sealed on journal_pending;
    drop function journal_guard_pending();
    drop trigger journal_pending_kept on journal_pending;
"""

# What CaptureDirectSql puts on a business table. It runs as the owner, for a person at psql has no right to write here.
CAPTURE = f"""
    {service_test(settings.DB_APP_ROLE)};

    create function journal_capture() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
    declare
      was jsonb := to_jsonb(old);
      now jsonb := to_jsonb(new);
      subject text;
      concealed text[] := string_to_array(tg_argv[1], ',');
    begin
      select string_agg(coalesce(was, now)->>key.name, ',' order by key.place) into subject
      from unnest(string_to_array(tg_argv[0], ',')) with ordinality as key (name, place);
      if tg_op = 'UPDATE' then
        if was = now then return null; end if;
        select jsonb_object_agg(pair.key, pair.value), jsonb_object_agg(pair.key, now->pair.key)
          into was, now
          from jsonb_each(was) pair where pair.value is distinct from now->pair.key;
      end if;
      insert into public.journal_entries (body) values (jsonb_build_object(
        'actor', jsonb_build_object('kind', 'database', 'id', session_user, 'name', session_user),
        'verb', 'direct_sql',
        'subject', jsonb_build_object('kind', tg_table_name, 'id', subject),
        'before', (select jsonb_object_agg(key, case when key = any(concealed) then '"(hidden)"' else value end)
                   from jsonb_each(was)),
        'after', (select jsonb_object_agg(key, case when key = any(concealed) then '"(hidden)"' else value end)
                  from jsonb_each(now)))::text);
      return null;
    end $$;

    create function journal_refuse_truncate() returns trigger language plpgsql as $$
    begin
      raise exception 'TRUNCATE on % would leave no trace of the rows it takes; use DELETE', tg_table_name
        using errcode = 'check_violation', constraint = tg_table_name || '_direct_truncate', table = tg_table_name;
    end $$;
"""

UNCAPTURE = """
    drop function journal_refuse_truncate();
    drop function journal_capture();
    drop function ops_is_service();
"""


class Migration(migrations.Migration):
    """Tables first, then their rules."""

    initial = True

    dependencies = [("core", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Entry",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField(editable=False, unique=True)),
                ("at", models.DateTimeField(editable=False)),
                ("actor_kind", models.TextField(editable=False)),
                ("actor_id", models.TextField(editable=False)),
                ("actor_name", models.TextField(editable=False)),
                ("verb", models.TextField(editable=False)),
                ("subject_kind", models.TextField(editable=False)),
                ("subject_id", models.TextField(editable=False)),
                ("body", models.TextField(editable=False)),
                ("leaf", models.BinaryField()),
            ],
            options={
                "verbose_name": "journal entry",
                "verbose_name_plural": "journal entries",
                "db_table": "journal_entries",
                "permissions": [
                    ("verify_journal", "Can verify the journal"),
                    ("seal_journal", "Can seal the journal"),
                    ("export_journal", "Can export the journal"),
                ],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["at", "seq"], name="journal_by_time"),
                    models.Index(fields=["subject_kind", "subject_id"], name="journal_by_subject"),
                    models.Index(fields=["actor_id"], name="journal_by_actor"),
                    models.Index(fields=["verb"], name="journal_by_verb"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Pending",
            fields=[
                ("seq", models.BigIntegerField(primary_key=True, serialize=False)),
                ("leaf", models.BinaryField()),
            ],
            options={"db_table": "journal_pending", "default_permissions": ()},
        ),
        migrations.CreateModel(
            name="Leaf",
            fields=[
                ("index", models.BigIntegerField(primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField(unique=True)),
                ("hash", models.BinaryField()),
            ],
            options={"db_table": "journal_leaves", "default_permissions": ()},
        ),
        migrations.CreateModel(
            name="Node",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "level", "index", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("level", models.SmallIntegerField()),
                ("index", models.BigIntegerField()),
                ("hash", models.BinaryField()),
            ],
            options={"db_table": "journal_nodes", "default_permissions": ()},
        ),
        migrations.CreateModel(
            name="Tree",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("size", models.BigIntegerField()),
                (
                    "edge",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BinaryField(), size=None),
                ),
            ],
            options={"db_table": "journal_tree", "default_permissions": ()},
        ),
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("size", models.BigIntegerField(primary_key=True, serialize=False)),
                ("root", models.BinaryField()),
                ("note", models.TextField()),
                ("at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "checkpoint",
                "verbose_name_plural": "checkpoints",
                "db_table": "journal_checkpoints",
                "default_permissions": ("view",),
            },
        ),
        migrations.RunSQL(STAMP, UNSTAMP),
        migrations.RunSQL(SEALING, UNSEALING),
        migrations.RunSQL(GUARDS, UNGUARD),
        AppendOnly("journal_entries"),
        AppendOnly("journal_leaves"),
        AppendOnly("journal_nodes"),
        AppendOnly("journal_checkpoints"),
        migrations.RunSQL(CAPTURE, UNCAPTURE),
    ]
