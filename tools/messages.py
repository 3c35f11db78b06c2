"""Brings the catalogues of locale/ up to date with the source and compiles them.

    make messages

Collecting needs GNU gettext; compiling is done by Babel, so that the committed .mo is the same on every machine.
"""

import io
import os
import sys
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "locale"
IGNORED = (".venv", "var", "tests", "bench", "sandbox_bank", "tools")


def main() -> None:
    """Collects, compiles, and says what is left to translate."""
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsconsole.settings")
    os.chdir(ROOT)
    collect()
    left = 0
    for catalogue in sorted(LOCALE.glob("*/LC_MESSAGES/*.po")):
        catalogue.with_suffix(".mo").write_bytes(compiled(catalogue))
        left += report(catalogue)
    sys.exit(1 if left else 0)


def collect() -> None:
    """Writes every message of the source into each catalogue; what the source no longer says is left out."""
    import django  # noqa: PLC0415 - settings must be named first
    from django.core.management import call_command  # noqa: PLC0415 - as above
    from django.core.management.commands.makemessages import Command  # noqa: PLC0415 - as above

    class MakeMessages(Command):
        """With the alias by which forms translate at once, and with no guesses that somebody would have to undo."""

        xgettext_options = [*Command.xgettext_options, "--keyword=now_"]
        msgmerge_options = [*Command.msgmerge_options, "--no-fuzzy-matching"]
        msgattrib_options = [*Command.msgattrib_options, "--sort-output"]

    django.setup()
    before = {path: path.read_text() for path in LOCALE.glob("*/LC_MESSAGES/*.po")}
    locales = [path.name for path in LOCALE.iterdir() if path.is_dir()]
    call_command(MakeMessages(), locale=locales, ignore_patterns=list(IGNORED), no_location=True, no_obsolete=True)
    for path, text in before.items():
        path.write_text(_keep_date(path.read_text(), text))


def compiled(catalogue: Path) -> bytes:
    """The .mo of a catalogue, byte for byte the same wherever it is made."""
    with catalogue.open("rb") as file:
        messages = read_po(file)
    out = io.BytesIO()
    write_mo(out, messages)
    return out.getvalue()


def report(catalogue: Path) -> int:
    """Prints the messages that have no translation, and returns how many they are."""
    with catalogue.open("rb") as file:
        left = [message for message in read_po(file) if message.id and (message.fuzzy or not _is_whole(message.string))]
    for message in left:
        sys.stdout.write(f"{catalogue.relative_to(ROOT)}: to translate: {message.id!r}\n")
    return len(left)


def _is_whole(string: str | list[str] | tuple[str, ...] | None) -> bool:
    return all(string) if isinstance(string, list | tuple) else bool(string)


def _keep_date(text: str, before: str) -> str:
    """The date of collecting alone is no change."""
    date = next((line for line in before.splitlines() if "POT-Creation-Date" in line), None)
    return "".join(
        f"{date}\n" if date and "POT-Creation-Date" in line else line for line in text.splitlines(keepends=True)
    )


if __name__ == "__main__":
    main()
