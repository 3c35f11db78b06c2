"""What crashes, power cuts and killed starters leave behind, and that the next start is right."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import psycopg
import pytest
from redis import Redis as Client

from opsconsole import embedded
from opsconsole.embedded.places import Places
from opsconsole.embedded.processes import has_ended
from tests.embedded.acting import User, main_process, nothing_runs, processes, query
from tests.faults.processes import wait_for


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_everything_killed_starts_again_with_what_was_committed(var: Path) -> None:
    user = User(var)
    met = user.joined()
    urls = embedded.urls(var)
    query(urls.owner, "create table survivors (id int)")
    query(urls.owner, "insert into survivors values (7)")
    Client.from_url(urls.redis).set("wake", "7")
    kill(*processes(var, "postgres"), *processes(var, "redis"))
    user.kill()
    assert Places(var).postgres_socket.exists(), "the dead server must have left its files"

    servers = embedded.start(var)
    assert servers.postgres.instance() != met
    assert query(urls.owner, "select id from survivors") == 7
    assert Client.from_url(urls.redis).get("wake") == b"7"
    assert servers.release()
    assert nothing_runs(var)


def test_a_killed_postmaster_is_revived_although_a_busy_child_outlives_it(var: Path) -> None:
    servers = embedded.start(var)
    assert servers.revive() == []
    query(servers.urls.owner, "create table outlived (id int)")
    query(servers.urls.owner, "insert into outlived values (7)")

    def stay_busy() -> None:
        with pytest.raises(psycopg.OperationalError):
            query(servers.urls.owner, "do $$ begin loop perform 1; end loop; end $$")

    busy = threading.Thread(target=stay_busy)
    busy.start()
    while query(servers.urls.superuser, "select count(*) from pg_stat_activity where query like 'do $$%'") == 0:
        time.sleep(0.02)
    main = main_process(var, "postgres")
    kill(main)
    wait_for("the main process to be gone", lambda: has_ended(main))
    assert processes(var, "postgres"), "the busy child must still run"

    assert servers.ensure() == ["PostgreSQL"]
    assert query(servers.urls.owner, "select id from outlived") == 7
    busy.join(60)
    assert not busy.is_alive()
    assert servers.release()
    assert nothing_runs(var)


def test_a_killed_redis_is_revived_with_its_keys(var: Path) -> None:
    servers = embedded.start(var)
    postgres = servers.postgres.instance()
    Client.from_url(servers.urls.redis).set("wake", "7")
    kill(main_process(var, "redis"))
    # A killed process loses its title at once, its files and locks a moment later.
    wait_for("its locks to be gone", lambda: not servers.redis.alive())

    assert servers.revive() == ["Redis"]
    assert Client.from_url(servers.urls.redis).get("wake") == b"7"
    assert servers.postgres.instance() == postgres, "the healthy one must be left alone"
    servers.release()


def test_a_redis_file_that_cannot_be_read_is_set_aside(var: Path, capsys) -> None:
    servers = embedded.start(var, postgres=False)
    Client.from_url(servers.urls.redis).set("wake", "7")
    servers.release()
    (var / "redis" / "appendonly.aof").write_bytes(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n\0\0\0\0\0\0 no command \0\0")

    servers = embedded.start(var, postgres=False)
    assert Client.from_url(servers.urls.redis).get("wake") is None
    assert "appendonly.damaged" in capsys.readouterr().err
    assert (var / "redis" / "appendonly.damaged").read_bytes().startswith(b"*2")
    servers.release()


def test_a_pid_file_that_names_a_stranger_is_taken_for_stale(var: Path) -> None:
    embedded.start(var).release()
    places = Places(var)
    account = places.account.run_as._asdict()
    with subprocess.Popen(["sleep", "60"], cwd="/", **account) as stranger:
        pid_file = var / "postgres" / "postmaster.pid"
        pid_file.write_text(f"{stranger.pid}\n{var / 'postgres'}\n1\n5432\n{places.sockets}\n\n  0 0\nready\n")
        places.postgres_socket.with_name(".s.PGSQL.5432.lock").write_text(pid_file.read_text())

        servers = embedded.start(var)
        assert servers.postgres.instance().split()[0] != str(stranger.pid)
        assert query(servers.urls.database, "select 1") == 1
        assert servers.release()
        assert stranger.poll() is None, "the stranger must not be harmed"
        stranger.kill()


def test_a_server_that_lost_its_socket_is_replaced(var: Path) -> None:
    first = embedded.start(var)
    met = first.postgres.instance(), main_process(var, "redis")
    query(first.urls.owner, "create table unreachable (id int)")
    for socket in (Places(var).postgres_socket, Places(var).redis_socket):
        socket.unlink()

    second = embedded.start(var)
    assert second.postgres.instance() != met[0]
    assert main_process(var, "redis") != met[1]
    assert query(second.urls.owner, "select count(*) from unreachable") == 0
    first.release()
    assert second.release()
    assert nothing_runs(var)


def test_a_starter_killed_at_any_moment_does_no_harm(new_var) -> None:
    var = new_var()
    for moment in (0.15, 0.25, 0.4, 0.6):
        user = User(var)
        time.sleep(moment)
        user.kill()
    (var / "postgres.new").mkdir(parents=True, exist_ok=True)  # where the machine is so slow that none came that far
    (var / "postgres.new" / "PG_VERSION").write_text("18\n")

    servers = embedded.start(var)
    assert query(servers.urls.operator, "select current_user") == "operator"
    assert servers.release()
    assert nothing_runs(var)
