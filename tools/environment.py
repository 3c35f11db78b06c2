"""Makes .venv and installs one requirements file into it, unless that was done already.

    python3 tools/environment.py requirements.txt

Runs on the machine's own Python, with nothing installed. A stamp in .venv holds the hash of what was installed.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
OLDEST = (3, 11)
NEWER = ("python3.14", "python3.13", "python3.12", "python3.11")


def main() -> None:
    """Exits with one clear line if the environment cannot be made."""
    if sys.version_info < OLDEST:
        use_newer_python()
    wanted = ROOT / sys.argv[1]
    if is_stamped(wanted):
        return
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # `make up` and `make test` may come at once
        if is_stamped(wanted):
            return
        make_venv()
        install(wanted)
        for file in files_of(wanted):
            stamp(file).write_text(fingerprint(file))


def use_newer_python() -> NoReturn:
    """Starts again under a newer Python of this machine."""
    for name in NEWER:
        if found := shutil.which(name):
            os.execv(found, [found, *sys.argv])  # noqa: S606  no shell wanted
    stop(
        f"Python {OLDEST[0]}.{OLDEST[1]} or later is needed, this is {sys.version.split()[0]}.",
        "Name another with `make PYTHON=/path/to/python3 ...`.",
    )


def make_venv() -> None:
    """Makes .venv; one that does not work, or is too old, is made anew."""
    if works():
        return
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        stop(
            f"{sys.executable} lacks {' and '.join(missing)}, so it cannot make a virtual environment.",
            f"On Debian or Ubuntu, as root: apt-get install python{version}-venv",
        )
    say(f"making .venv with Python {sys.version.split()[0]}")
    shutil.rmtree(VENV, ignore_errors=True)
    call(sys.executable, "-m", "venv", str(VENV))


def works() -> bool:
    """Whether .venv has a Python that is new enough, and pip."""
    question = f"import sys, pip; sys.exit(sys.version_info < {OLDEST})"
    try:
        return subprocess.run([PYTHON, "-c", question], check=False, capture_output=True).returncode == 0  # noqa: S603
    except OSError:
        return False


def install(wanted: Path) -> None:
    """Installs the file's packages, in the versions it pins."""
    say(f"installing {wanted.name} into .venv, which takes a minute or two the first time")
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-warn-script-location"]
    call(str(PYTHON), "-m", "pip", "install", *options, "--requirement", str(wanted))


def files_of(wanted: Path) -> list[Path]:
    """The file and those it includes by `-r`."""
    names = [line.split()[1] for line in wanted.read_text().splitlines() if line.startswith("-r ")]
    return [wanted, *(wanted.parent / name for name in names)]


def fingerprint(wanted: Path) -> str:
    """The hash of all that decides what is installed."""
    parts = [str(VENV), *(file.read_text() for file in files_of(wanted))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def stamp(wanted: Path) -> Path:
    return VENV / f"installed-{wanted.name}"


def is_stamped(wanted: Path) -> bool:
    try:
        return os.access(PYTHON, os.X_OK) and stamp(wanted).read_text() == fingerprint(wanted)
    except FileNotFoundError:
        return False


def call(*command: str) -> None:
    """Runs a command that speaks for itself."""
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:  # noqa: S603  our own commands
        stop(f"`{' '.join(command)}` failed; see above.")


def say(text: str) -> None:
    print(f"opsconsole: {text}", flush=True)


def stop(*lines: str) -> NoReturn:
    sys.exit("\n".join(f"opsconsole: {line}" for line in lines))


if __name__ == "__main__":
    main()
