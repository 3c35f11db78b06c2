"""Runs a command on PostgreSQL and Redis as a Linux distribution ships them, over TCP, with passwords.

    tools/foreign_servers.py [--pooler] COMMAND [ARGUMENT ...]

Starts the machine's own PostgreSQL and Redis in a temporary folder on free ports, makes the roles by
deploy/roles.sql, and tells the command by DATABASE_URL and the others; with --pooler the application's URL leads
through pgbouncer in transaction mode. Nothing of them is left afterwards. Exits as the command does.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSTALLED = Path("/usr/lib/postgresql")  # Debian's place for them, one folder a version
PATIENCE = 60.0  # seconds for a server to answer
PR_SET_PDEATHSIG = 1
ROLES = ("ops_app", "ops_owner", "operator")

_libc = ctypes.CDLL(None)


def main() -> int:
    """Start, run, stop."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pooler", action="store_true", help="the application goes through pgbouncer")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run on them")
    options = parser.parse_args()
    if not options.command:
        parser.error("which command?")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    with Machine.started(pooler=options.pooler) as machine:
        say(f"{machine.versions()} are up")
        try:
            return subprocess.call(options.command, cwd=ROOT, env=os.environ | machine.environment)  # noqa: S603
        except KeyboardInterrupt:
            return 128 + signal.SIGINT


@dataclass
class Machine:
    """The servers in a folder of theirs, and how to reach them."""

    folder: Path
    account: dict[str, int | list[int]]
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)

    @classmethod
    @contextlib.contextmanager
    def started(cls, *, pooler: bool) -> Iterator[Machine]:
        """All of them answering; ended and removed when the block ends."""
        folder = Path(tempfile.mkdtemp(prefix="ops-foreign-"))
        machine = cls(folder, account())
        if machine.account:
            os.chown(folder, int(str(machine.account["user"])), int(str(machine.account["group"])))
        try:
            machine.start_postgres()
            machine.start_redis()
            if pooler:
                machine.start_pooler()
            yield machine
        finally:
            machine.stop()
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """What the console reads."""
        direct, application = self.ports["postgres"], self.ports.get("pgbouncer", self.ports["postgres"])
        urls = {
            "DATABASE_URL": self.url("ops_app", application),
            "DATABASE_OWNER_URL": self.url("ops_owner", direct),
            "DATABASE_OPERATOR_URL": self.url("operator", direct),
            "DATABASE_SUPERUSER_URL": self.url("postgres", direct, "postgres"),
            "REDIS_URL": f"redis://:{self.password}@127.0.0.1:{self.ports['redis']}/0",
        }
        if "pgbouncer" in self.ports:
            urls |= {"OPS_PGBOUNCER": "1", "DATABASE_DIRECT_URL": self.url("ops_app", direct)}
        return urls

    def url(self, role: str, port: int, database: str = "molam_connect") -> str:
        """A libpq URL."""
        return f"postgresql://{role}:{self.password}@127.0.0.1:{port}/{database}"

    def versions(self) -> str:
        """What they call themselves."""
        programs = [postgres("postgres"), program("redis-server")]
        programs += [program("pgbouncer")] if "pgbouncer" in self.ports else []
        said = [subprocess.check_output([each, "--version"], text=True).splitlines()[0] for each in programs]  # noqa: S603
        return ", ".join(said)

    # PostgreSQL

    def start_postgres(self) -> None:
        """A cluster that asks everybody for a password, with the console's roles."""
        data, port = self.folder / "postgres", self.port("postgres")
        secret = self.file("password", self.password)
        self.run(
            postgres("initdb"),
            *(f"--pgdata={data}", "--username=postgres", f"--pwfile={secret}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions", "--no-sync"),
        )
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
            "fsync": "off",  # it lives for one command
        }
        self.launch(postgres("postgres"), "-D", data, *(f"--{name}={value}" for name, value in settings.items()))
        superuser = self.url("postgres", port, "postgres")
        wait_for("PostgreSQL", lambda: psql(superuser, "--command=select 1").returncode == 0)
        script = psql(superuser, "--set=tests=1", f"--file={ROOT / 'deploy' / 'roles.sql'}")
        if script.returncode:
            sys.exit(f"deploy/roles.sql failed:\n{script.stderr}")
        for role in ROLES:
            psql(superuser, f"--command=alter role {role} password '{self.password}'").check_returncode()

    # pgbouncer

    def start_pooler(self) -> None:
        """pgbouncer in transaction mode before every database."""
        users = self.file("users.txt", f'"ops_app" "{self.password}"\n')
        file = self.file(
            "pgbouncer.ini",
            f"""
            [databases]
            * = host=127.0.0.1 port={self.ports["postgres"]}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {self.port("pgbouncer")}
            unix_socket_dir =
            auth_type = scram-sha-256
            auth_file = {users}
            pool_mode = transaction
            default_pool_size = 20
            max_client_conn = 400
            logfile =
            pidfile =
            """.replace("            ", ""),
        )
        self.launch(program("pgbouncer"), "--quiet", file)
        wait_for("pgbouncer", lambda: psql(self.environment["DATABASE_URL"], "--command=select 1").returncode == 0)

    # Redis

    def start_redis(self) -> None:
        """A Redis with a password."""
        port = self.port("redis")
        options = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.folder]
        self.launch(program("redis-server"), *options, "--requirepass", self.password)

        def answers() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as line:
                line.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                return line.recv(64).startswith(b"+")
            return False

        wait_for("Redis", answers)

    # Processes and files

    def port(self, server: str) -> int:
        """A free port, for this server from now on."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.ports[server] = probe.getsockname()[1]
        return self.ports[server]

    def file(self, name: str, content: str) -> Path:
        """A file that the servers' account alone may read."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(content)
        if self.account:
            os.chown(path, int(str(self.account["user"])), int(str(self.account["group"])))
        return path

    def run(self, *command: object) -> None:
        """Run to its end as the servers' account; what failed is said."""
        done = subprocess.run(  # noqa: S603
            [str(word) for word in command], cwd="/", check=False, capture_output=True, text=True, **self.account
        )  # type: ignore[call-overload] # the account's three arguments have three types
        if done.returncode:
            sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")

    def launch(self, *command: object) -> None:
        """Start a server as that account; it ends with us, however we end."""
        log = (self.folder / "servers.log").open("ab")
        with log:
            self.processes.append(
                subprocess.Popen(  # noqa: S603
                    [str(word) for word in command],
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for the command and for us
                    preexec_fn=end_with_parent,  # noqa: PLW1509 - it calls prctl and nothing else
                    **self.account,
                )  # type: ignore[call-overload] # as above
            )

    def stop(self) -> None:
        """End them, the youngest first; what hangs is killed."""
        for process in reversed(self.processes):
            process.send_signal(signal.SIGINT)  # PostgreSQL: without waiting for clients
        for process in reversed(self.processes):
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def account() -> dict[str, int | list[int]]:
    """Who runs the servers: we; for root, which PostgreSQL refuses, the account `postgres`."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        sys.exit("Root runs the servers as the account postgres, and there is none: make test-deps")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def end_with_parent() -> None:
    """For `preexec_fn`, which runs once the account is switched (that would undo it): what we start ends with us."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def postgres(name: str) -> Path:
    """A program of the newest PostgreSQL that is installed."""
    found = sorted(INSTALLED.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    return found[-1] if found else program(name)


def program(name: str) -> Path:
    """Where a program lies."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        sys.exit(f"{name} is not installed: make test-deps")
    return Path(found)


def psql(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """psql on that database."""
    options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", *arguments]
    return subprocess.run(  # noqa: S603
        [program("psql"), *options, url], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    """Return when it holds; exit when it does not in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not answer in {PATIENCE:g} s")
        time.sleep(0.05)


def say(text: str) -> None:
    print(f"foreign servers: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
