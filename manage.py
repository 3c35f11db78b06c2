#!/usr/bin/env python3
"""Runs a management command, on embedded servers where no others are configured."""

import gc
import os
import signal
import sys
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent

# Commands that look at the code only. They leave the servers alone, so they work anywhere.
SERVERLESS = {
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "findstatic",
    "help",
    "makemessages",
    "startapp",
    "version",
}


def needs_servers(arguments: list[str]) -> bool:
    """Whether this command line talks to PostgreSQL or Redis."""
    if not arguments or {"-h", "--help", "--version"} & set(arguments):
        return False
    return arguments[0] not in SERVERLESS or "--database" in arguments


def main() -> None:
    """Joins the servers, runs the command, and leaves them however the command ends."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsconsole.settings")
    gc.disable()  # until everything is loaded: the app `console` turns it on again
    arguments = sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP, and so do we then
            signal.signal(number, _end)

    from opsconsole import embedded

    try:
        servers = embedded.start_missing() if needs_servers(arguments) else None
    except embedded.EmbeddedError as problem:
        sys.exit(f"opsconsole: {problem}")
    try:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        if servers:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            servers.release()


def _end(number: int, _frame: FrameType | None) -> None:
    """As if the command had called exit, so that `finally` is heeded."""
    sys.exit(128 + number)


def _own_python() -> None:
    """Goes on under .venv when started by a Python without the dependencies, as in `./manage.py`."""
    python = ROOT / ".venv" / "bin" / "python"
    if Path(sys.prefix) != python.parent.parent and python.exists():
        os.execv(python, [str(python), *sys.argv])  # noqa: S606  no shell wanted


if __name__ == "__main__":
    try:
        import django  # noqa: F401  only to see whether it is there
    except ImportError:
        _own_python()
        sys.exit("opsconsole: Django is not installed; `make up` sets everything up in .venv")
    main()
