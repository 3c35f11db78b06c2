"""Who starts the servers, who joins them, who stops them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from redis import Redis as Client

from opsconsole import embedded
from opsconsole.embedded.processes import has_ended
from tests.embedded.acting import ROOT, User, main_process, nothing_runs, processes, query
from tests.faults.processes import wait_for

CYCLE = """
import sys
from pathlib import Path
import psycopg
from opsconsole import embedded
for turn in range(6):
    servers = embedded.start(Path(sys.argv[1]))
    with psycopg.connect(servers.urls.owner) as connection:
        connection.execute("insert into turns default values")
    servers.release()
"""

# Joins; then its main thread ends alone, as when it is killed on a busy machine, and its locks live for a second more.
DYING = """
import ctypes, json, os, platform, sys, threading, time
from pathlib import Path
from opsconsole import embedded
servers = embedded.start(Path(sys.argv[1]))
threading.Thread(target=lambda: (sys.stdin.read(), time.sleep(1), os._exit(0))).start()
print(json.dumps(servers.postgres.instance()), flush=True)
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
"""


def test_cold_start_gives_the_database_its_roles_and_no_network(new_var: Callable[..., Path]) -> None:
    var = new_var()
    servers = embedded.start(var)

    roles = {
        name: query(getattr(servers.urls, name), "select current_user || ' in ' || current_database()")
        for name in ("database", "owner", "operator")
    }
    assert roles == {
        "database": "ops_app in molam_connect",
        "owner": "ops_owner in molam_connect",
        "operator": "operator in molam_connect",
    }
    assert query(servers.urls.superuser, "show listen_addresses") == ""
    assert query(servers.urls.superuser, "show jit") == "off"
    assert query(servers.urls.operator, "show idle_in_transaction_session_timeout") == "2min"
    mighty = "select string_agg(rolname, ' ') from pg_roles where rolsuper and rolcanlogin"
    assert query(servers.urls.superuser, mighty) == "postgres"
    assert query(servers.urls.database, "select upper('né')") == "NÉ"
    assert (var / "run").stat().st_mode & 0o777 == 0o700
    client = Client.from_url(servers.urls.redis)
    assert client.config_get("port") | client.config_get("appendonly") == {"port": "0", "appendonly": "yes"}
    client.close()

    assert servers.release()
    assert nothing_runs(var)


def test_only_the_owner_makes_tables(var: Path) -> None:
    servers = embedded.start(var)
    query(servers.urls.owner, "create table ours (id int)")
    query(servers.urls.owner, "create database test_ours")
    query(servers.urls.owner, "drop database test_ours")

    for url in (servers.urls.database, servers.urls.operator):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(url, "create table theirs (id int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(url, "create database theirs")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(url, "set role ops_owner")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(url, "select count(*) from ours")

    assert query(servers.urls.superuser, "select count(*) from pg_database where datname = 'theirs'") == 0
    servers.release()


def test_processes_that_come_at_once_share_one_server_and_one_of_them_stops_it(new_var) -> None:
    var = new_var()
    users = [User(var) for _ in range(8)]

    met = {user.joined() for user in users}
    assert len(met) == 1
    assert met == {_instance(var)}
    assert len(processes(var, "redis")) == 1

    for user in users:
        user.leave()
    assert sorted(user.stopped_them() for user in users) == [False] * 7 + [True]
    assert nothing_runs(var)


def test_who_leaves_first_leaves_the_servers_to_the_others(var: Path) -> None:
    first, second = embedded.start(var), embedded.start(var)

    assert not first.release()
    assert query(second.urls.database, "select 1") == 1
    assert not first.release(), "a share is given back once"
    assert second.release()
    assert nothing_runs(var)


def test_coming_and_going_never_meets_a_server_that_is_being_stopped(var: Path) -> None:
    servers = embedded.start(var)
    query(servers.urls.owner, "create table turns (id serial)")
    servers.release()
    crowd = [
        subprocess.Popen([sys.executable, "-c", CYCLE, str(var)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [process.communicate(timeout=150)[1] for process in crowd] == ["", "", ""]

    assert nothing_runs(var)
    servers = embedded.start(var)
    assert query(servers.urls.owner, "select count(*) from turns") == 18
    servers.release()


def test_a_killed_user_leaves_the_servers_to_the_next_who_stops_them(var: Path) -> None:
    user = User(var)
    met = user.joined()
    user.kill()
    assert query(embedded.urls(var).database, "select 1") == 1

    servers = embedded.start(var)
    assert servers.postgres.instance() == met
    assert servers.release()
    assert nothing_runs(var)


def test_a_user_that_is_dying_does_not_keep_the_servers_up(var: Path) -> None:
    """The children of a killed process learn of its death, and leave, before its last thread is gone."""
    servers = embedded.start(var)
    user = User(var, program=DYING)
    user.joined()
    wait_for("its main thread to be gone", lambda: has_ended(user.process.pid))
    user.leave()
    assert servers.release()
    assert nothing_runs(var)


def test_kept_servers_stay_until_they_are_given_up(var: Path) -> None:
    servers = embedded.start(var)
    embedded.keep(var)
    assert not servers.release()
    assert query(embedded.urls(var).operator, "select 1") == 1

    servers = embedded.start(var)
    embedded.unkeep(var)
    assert servers.release()
    assert nothing_runs(var)


def test_keeping_ends_with_the_servers_that_were_kept(var: Path) -> None:
    servers = embedded.start(var)
    embedded.keep(var)
    servers.postgres.stop()
    servers.ensure()

    assert servers.release()
    assert nothing_runs(var)


def test_a_forked_child_does_not_stop_the_servers_of_its_parent(var: Path) -> None:
    servers = embedded.start(var)
    child = os.fork()
    if child == 0:
        os._exit(1 if servers.release() else 0)
    assert os.waitpid(child, 0)[1] == 0
    assert query(servers.urls.database, "select 1") == 1
    assert servers.release()


def test_two_folders_have_two_servers(var: Path, new_var) -> None:
    other = new_var("другая, 100% odd 'var'")
    here, there = embedded.start(var), embedded.start(other)
    query(here.urls.owner, "create table here (id int)")
    query(there.urls.owner, "create table there (id int)")

    assert query(here.urls.owner, "select to_regclass('there') is null")
    assert query(there.urls.owner, "select to_regclass('here') is null")
    Client.from_url(here.urls.redis).set("place", "here")
    assert Client.from_url(there.urls.redis).get("place") is None
    assert main_process(var, "redis") != main_process(other, "redis")

    assert here.release()
    assert query(there.urls.database, "select 1") == 1
    assert there.release()


def _instance(var: Path) -> str:
    servers = embedded.start(var)
    try:
        return servers.postgres.instance()
    finally:
        servers.release()
