-- The database of OpsConsole and its three roles. Run by a superuser, as often as you like:
--
--     psql --set ON_ERROR_STOP=1 --file deploy/roles.sql "postgresql://postgres@db.example.com/postgres"
--
--   ops_owner  owns the database and its tables; migrations run as this role
--   ops_app    the application; owns nothing, and `migrate` grants what it needs
--   operator   people with psql: read everything, change business tables, never the journal
--
-- Set passwords afterwards with \password ops_owner and so on. The variables `tests` and `backups` let ops_owner make
-- databases: for the tests, for the trial restore of a backup.

SELECT format('CREATE ROLE %I NOLOGIN', name)
FROM unnest(ARRAY['ops_owner', 'ops_app', 'operator']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

DO $$
DECLARE
    too_mighty text;
BEGIN
    SELECT string_agg(rolname, ', ') INTO too_mighty
    FROM pg_roles
    WHERE rolname IN ('ops_owner', 'ops_app', 'operator') AND (rolsuper OR rolbypassrls OR rolreplication);
    IF too_mighty IS NOT NULL THEN
        RAISE EXCEPTION 'the journal is not safe from %: superuser, replication or bypassrls', too_mighty;
    END IF;
END
$$;

\if :{?tests}
ALTER ROLE ops_owner CREATEDB;
\endif
\if :{?backups}
ALTER ROLE ops_owner CREATEDB;
\endif

SELECT 'CREATE DATABASE molam_connect OWNER ops_owner ENCODING ''UTF8'' TEMPLATE template0'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'molam_connect')
\gexec

REVOKE ALL ON DATABASE molam_connect FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE molam_connect TO ops_app, operator;

-- Statements here are short and over sets whose size the planner must guess: compiling them costs more than running them.
ALTER ROLE ops_app SET jit = off;
ALTER ROLE ops_owner SET jit = off;

-- Whoever looks for slow queries sees those of the others, not only that there are sessions.
GRANT pg_read_all_stats TO operator;

-- A row that somebody at psql has changed and not committed keeps every purchase of its program waiting.
ALTER ROLE operator SET idle_in_transaction_session_timeout = '2min';

-- Only the owner makes objects here.
\connect molam_connect
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

ALTER ROLE ops_owner LOGIN;
ALTER ROLE operator LOGIN;
-- Last: the application can log in once everything else is in place.
ALTER ROLE ops_app LOGIN;
