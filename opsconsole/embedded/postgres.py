"""The embedded PostgreSQL: a cluster in a folder, one socket, no TCP."""

import contextlib
import os
import shlex
import shutil
import signal
from pathlib import Path

import psycopg

from opsconsole.embedded.places import (
    APP_ROLE,
    DATABASE,
    PORT,
    ROOT,
    SUPERUSER,
    Binaries,
    EmbeddedError,
    owner_name,
    private,
    urls,
)
from opsconsole.embedded.processes import Lifeline, command_line, log_tail, run, send, shorten_log
from opsconsole.embedded.server import Server

MEGABYTE = 1024 * 1024
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  where PostgreSQL shares memory between parallel workers


class Postgres(Server):
    """One cluster, with the roles and the database of deploy/roles.sql."""

    name = "PostgreSQL"
    folder = "postgres"
    patience = 300

    @property
    def socket(self) -> Path:
        return self.places.postgres_socket

    def answers(self) -> bool:
        """Whether the application can log in, which is the last thing that roles.sql grants."""
        return self._admits(APP_ROLE, DATABASE)

    def start(self) -> None:
        super().start()
        psql = Binaries.installed().postgres("psql")
        roles = ROOT / "deploy" / "roles.sql"
        superuser = urls(self.places.var).superuser
        options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--set=tests=1"]
        run(psql, *options, f"--file={roles}", superuser)

    def instance(self) -> str:
        """Names the running instance: another after each start, empty when there is none."""
        try:
            lines = self._pid_file.read_text().splitlines()
        except OSError:
            return ""
        return " ".join(line.strip() for line in lines[0:3:2])  # its pid and its start

    @property
    def _pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    def _admits(self, role: str, database: str) -> bool:
        try:
            psycopg.connect(
                host=str(self.places.sockets), port=PORT, user=role, dbname=database, connect_timeout=3
            ).close()
        except psycopg.OperationalError:
            return False
        return True

    def _talks(self) -> bool:
        return self._admits(SUPERUSER, "postgres")

    def _ask_to_stop(self) -> bool:
        """A fast shutdown, asked of the main process; the others, told by their titles, do not know it."""
        main = [pid for pid in self._processes() if not command_line(pid)[0].startswith("postgres: ")]
        return send(main, signal.SIGINT)

    def _launch(self, lifeline: Lifeline) -> None:
        self._forget_the_dead()
        self._create()
        shorten_log(self.log)
        options = shlex.join(f"--{name}={value}" for name, value in self._settings().items())
        try:
            run(
                self.places.binaries.postgres("pg_ctl"),
                *("start", "--silent", "--wait", f"--timeout={self.patience}"),
                *(f"--pgdata={self.data}", f"--log={self.log}", f"--options={options}"),
                account=self.places.account,
                pass_fds=[lifeline.fd],
            )
        except EmbeddedError as failure:
            raise EmbeddedError(f"PostgreSQL does not start: {failure}\n{log_tail(self.log)}") from failure

    def _forget_the_dead(self) -> None:
        """Removes the files by which PostgreSQL would take a process that has an old pid now for itself."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(self._pid_file.read_text().split()[0])
            program, *arguments = command_line(pid)
            if Path(program).name == "postgres" and str(self.data) in " ".join(arguments):
                raise EmbeddedError(f"process {pid}, not started by us, serves {self.data}: end it first")
        for dead in (self._pid_file, self.socket, self.socket.with_name(f"{self.socket.name}.lock")):
            dead.unlink(missing_ok=True)

    def _create(self) -> None:
        """Makes the cluster beside its place and moves it there complete: a half-made one never counts."""
        account, data = self.places.account, self.data
        if (data / "PG_VERSION").exists():
            if data.stat().st_uid != account.uid:
                raise EmbeddedError(
                    f"{data} belongs to {owner_name(data.stat().st_uid)}: "
                    "run as that account or as root, or set OPS_VAR to a folder of your own"
                )
            return
        fresh = data.with_name(f"{data.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        private(fresh, account)
        run(
            self.places.binaries.postgres("initdb"),
            *(f"--pgdata={fresh}", f"--username={SUPERUSER}", "--no-instructions"),
            # Who reaches the socket is the account itself or root: nobody else may enter its folder.
            *("--auth-local=trust", "--auth-host=reject"),
            *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            account=account,
        )
        fresh.rename(data)

    def _settings(self) -> dict[str, str]:
        """Sized for this machine: large buffers and rare checkpoints are worth 30 % on bulk work."""
        buffers = max(32, min(1024, memory() // MEGABYTE // 8))
        log_size = max(256, min(4096, shutil.disk_usage(self.data).free // MEGABYTE // 8))
        settings = {
            "cluster_name": self.tag,
            "unix_socket_directories": str(self.places.sockets),
            "unix_socket_permissions": "0700",
            "listen_addresses": "",
            "port": str(PORT),
            "shared_buffers": f"{buffers}MB",
            "max_wal_size": f"{log_size}MB",
            "checkpoint_timeout": "15min",
            "max_connections": "200",
            "jit": "off",
            "autovacuum_naptime": "10s",  # a demo imports and pays thousands within a minute of its start
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
        }
        if not SHARED_MEMORY.exists() or shutil.disk_usage(SHARED_MEMORY).total < 256 * MEGABYTE:
            settings["dynamic_shared_memory_type"] = "sysv"  # a container, most likely, with 64 MB there
        return settings


def memory() -> int:
    """Bytes this process may use: the machine's, or the container's limit if that is less."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            sizes.append(int(Path(limit).read_text()))
    return min(sizes)
