"""Where the servers put themselves, for which account, and whom they refuse."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from psycopg.conninfo import conninfo_to_dict
from redis import Redis as Client

from opsconsole import embedded
from opsconsole.embedded import places
from opsconsole.embedded.places import Binaries, EmbeddedError, Places
from tests.embedded.acting import OrdinaryUser, main_process, query


def test_urls_touch_nothing_and_say_the_same_to_everybody(tmp_path: Path) -> None:
    var = tmp_path / "a b, 100%"
    urls = embedded.urls(var)

    assert not var.exists()
    assert urls == embedded.urls(var)
    host = parse_qs(urlsplit(urls.operator).query)["host"][0]
    assert conninfo_to_dict(urls.operator) == {
        "user": "operator",
        "dbname": "molam_connect",
        "host": host,
        "port": "5432",
    }
    path = Client.from_url(urls.redis).connection_pool.connection_kwargs["path"]
    assert path == f"{host}/redis.sock" == unquote(urlsplit(urls.redis).path)


def test_the_state_folder_is_opsconsoles_own_unless_named(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPS_VAR", raising=False)
    assert embedded.var_folder() == Path(embedded.__file__).parents[2] / "var"
    monkeypatch.setenv("OPS_VAR", str(tmp_path))
    assert embedded.var_folder() == tmp_path


@pytest.mark.parametrize(
    ("environment", "started"),
    [
        ({}, {"postgres": True, "redis": True}),
        ({"DATABASE_URL": "postgresql://db/x", "OPS_ENV": "local"}, {"postgres": False, "redis": True}),
        ({"REDIS_URL": "redis://cache"}, {"postgres": True, "redis": False}),
        ({"DATABASE_URL": "postgresql://db/x", "REDIS_URL": "redis://cache", "OPS_ENV": "local"}, None),
        ({"DATABASE_URL": "postgresql://db/x"}, None),
        ({"OPS_ENV": "production"}, None),
    ],
)
def test_only_what_is_not_configured_is_embedded(monkeypatch, environment, started) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "OPS_ENV"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    asked: list[dict[str, bool]] = []
    monkeypatch.setattr("opsconsole.embedded.keeping.start", lambda _var, **which: asked.append(which))

    embedded.start_missing()
    assert asked == ([] if started is None else [started])


def test_a_long_path_has_its_sockets_elsewhere(new_var) -> None:
    var = new_var("/".join(["a-rather-long-name-of-a-folder"] * 4))
    servers = embedded.start(var)

    sockets = Places(var).sockets
    assert sockets.parent == Path("/tmp")
    assert sockets.stat().st_mode & 0o777 == 0o700
    assert query(servers.urls.operator, "select current_user") == "operator"
    assert Client.from_url(servers.urls.redis).ping()
    assert servers.release()


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match="cannot make the state folder"):
        embedded.start(tmp_path / "file" / "var")


def test_sockets_in_somebody_elses_folder_are_refused(root: None, new_var) -> None:
    var = new_var()
    (var / "run").mkdir(parents=True)
    os.chown(var / "run", 54321, 54321)

    with pytest.raises(EmbeddedError, match="belongs to uid 54321"):
        embedded.start(var)
    assert not (var / "postgres").exists()


def test_root_hands_the_servers_to_an_account_without_rights(root: None, var: Path) -> None:
    servers = embedded.start(var)

    owners = {Path(f"/proc/{main_process(var, server)}").stat().st_uid for server in ("postgres", "redis")}
    assert owners == {Places(var).account.uid}
    assert pwd.getpwuid(owners.pop()).pw_name in ("postgres", "nobody")
    servers.release()


def test_an_ordinary_account_runs_them_itself_and_root_joins(root: None, new_var) -> None:
    var = new_var()
    nobody = pwd.getpwnam("nobody")
    os.chown(var.parent, nobody.pw_uid, nobody.pw_gid)
    user = OrdinaryUser(var, nobody)
    met = user.joined()
    assert Path(f"/proc/{main_process(var, 'postgres')}").stat().st_uid == nobody.pw_uid
    assert var.stat().st_uid == nobody.pw_uid

    servers = embedded.start(var)
    assert servers.postgres.instance() == met
    user.leave()
    assert not user.stopped_them()
    assert servers.release()

    servers = embedded.start(var)  # by root alone now, still as the account that owns the data
    assert Path(f"/proc/{main_process(var, 'redis')}").stat().st_uid == nobody.pw_uid
    assert query(servers.urls.database, "select 1") == 1
    servers.release()


def test_a_folder_closed_to_the_account_keeps_links_only(root: None, new_var, monkeypatch) -> None:
    var, elsewhere = new_var(), new_var("elsewhere")
    var.parent.chmod(0o700)
    monkeypatch.setattr(places, "CLOSED_VAR_DATA", elsewhere)
    monkeypatch.setattr(Binaries, "runnable_by", lambda *_: False)  # as where the packages are closed off too

    servers = embedded.start(var)
    query(servers.urls.owner, "create table facts (id int)")
    data = (var / "postgres").resolve()
    assert data.is_relative_to(elsewhere)
    program = os.fsdecode(Path(f"/proc/{main_process(var, 'postgres')}/cmdline").read_bytes()).split("\0")[0]
    assert Path(program).is_relative_to(data.parent / "binaries")
    assert Places(var).sockets.parent == Path("/tmp")
    assert servers.release()

    servers = embedded.start(var)
    assert query(servers.urls.owner, "select count(*) from facts") == 0
    assert servers.release()

    shutil.rmtree(var)  # a fresh start is a fresh database
    servers = embedded.start(var)
    assert query(servers.urls.owner, "select to_regclass('facts') is null")
    assert servers.release()
