"""The French catalogue is whole, typographically consistent, compiled, and names everything that the source says."""

from __future__ import annotations

import ast
import io
import re
import shutil
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import unfold
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils.translation import gettext, ngettext, override
from django.utils.translation.trans_real import translation

from tests.architecture.source import ROOT, modules
from tools import messages

FRENCH = ROOT / "locale" / "fr" / "LC_MESSAGES" / "django.po"
CALLS = {"_": 0, "now_": 0, "gettext": 0, "gettext_lazy": 0, "gettext_noop": 0, "ngettext": 0, "ngettext_lazy": 0}
IN_CONTEXT = {"pgettext": 1, "pgettext_lazy": 1}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")
# What of unfold no page of ours shows: forms over rows, and Django's own password form.
NOT_SHOWN = ("Raw passwords are not stored", "After you")


def catalogue() -> Catalog:
    return read_po(io.BytesIO(FRENCH.read_bytes()))


def entries() -> Iterator[tuple[Message, list[str], list[str]]]:
    """Each message with what it says in English and in French; two of each where it has a plural."""
    for message in catalogue():
        if message.id:
            sources = [message.id] if isinstance(message.id, str) else list(message.id)
            texts = [message.string] if isinstance(message.string, str) else list(message.string)
            yield message, sources, texts


def holes(text: str) -> Counter[str]:
    named = [f"{{{name}}}" for _text, name, _form, _conversion in string.Formatter().parse(text) if name is not None]
    return Counter(PLACEHOLDER.findall(text)) + Counter(named)


def test_nothing_is_untranslated_or_fuzzy() -> None:
    bad = [message.id for message, _sources, texts in entries() if message.fuzzy or not all(texts)]
    assert bad == []
    assert not catalogue().obsolete
    assert len(list(entries())) > 1000


def test_placeholders_are_those_of_the_source() -> None:
    for _message, sources, texts in entries():
        try:
            wanted = holes(sources[-1])
        except ValueError:  # a brace that is no placeholder
            assert Counter(PLACEHOLDER.findall(sources[-1])) == Counter(PLACEHOLDER.findall(texts[-1])), sources
            continue
        for text in texts:
            assert holes(text) == wanted, (sources, text)


def test_plurals_have_both_forms() -> None:
    assert catalogue().num_plurals == 2
    for _message, sources, texts in entries():
        assert len(texts) == len(sources), sources
    with override("fr"):
        said = [
            ngettext("%(count)s item", "%(count)s items", count) % {"count": count} for count in (0, 1, 2, 1_000_000)
        ]
    assert said == ["0 élément", "1 élément", "2 éléments", "1000000 éléments"]


def test_typography_is_french() -> None:
    """Typographic apostrophes, and spaces that do not break before tall punctuation and inside guillemets."""
    wrong = re.compile(r"\w'\w|\w [:;?!»](\s|$)|« |[“”]")
    assert [text for _message, _sources, texts in entries() for text in texts if wrong.search(text)] == []


def test_the_compiled_catalogue_is_current() -> None:
    """The .mo is committed, since a fresh machine has no msgfmt."""
    assert FRENCH.with_suffix(".mo").read_bytes() == messages.compiled(FRENCH)
    with FRENCH.with_suffix(".mo").open("rb") as file:
        assert read_mo(file).get("Plans that wait").string == "Plans en attente"
    with override("fr"):
        assert gettext("Roll back") == "Retour arrière"


def test_every_call_of_the_source_is_in_the_catalogue() -> None:
    """Also those that xgettext does not see: inside f-strings."""
    known = {(message.context, sources[0]) for message, sources, _texts in entries()}
    missing = []
    for module in modules():
        for call in ast.walk(module.tree):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
                continue
            name = call.func.id
            place = CALLS.get(name, IN_CONTEXT.get(name))
            if place is None:
                continue
            said = call.args[place]
            assert isinstance(said, ast.Constant), f"{module.name}:{call.lineno}: {ast.unparse(call)} hides its message"
            context = ast.literal_eval(call.args[0]) if name in IN_CONTEXT else None
            if (context, said.value) not in known:
                missing.append(f"{module.name}:{call.lineno}: {said.value!r}")
    assert missing == []


@pytest.mark.skipif(shutil.which("xgettext") is None, reason="needs GNU gettext")
def test_collecting_again_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates included: a message that is new, or no longer said, would make a difference."""
    copied = tmp_path / "locale"
    shutil.copytree(ROOT / "locale", copied)
    monkeypatch.setattr(messages, "LOCALE", copied)
    monkeypatch.setattr(settings, "LOCALE_PATHS", [copied])
    for folder in ("opsconsole", "loyalty", "templates"):  # it writes into the folder `locale` beside what it reads
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    messages.collect()
    again = read_po(io.BytesIO((copied / "fr" / "LC_MESSAGES" / "django.po").read_bytes()))
    before = {(message.context, str(message.id)) for message in catalogue()}
    now = {(message.context, str(message.id)) for message in again}
    assert (now - before, before - now) == (set(), set()), "run `make messages`"


def test_unfold_speaks_french() -> None:
    """It brings no French: each message of its templates is Django's or is among ours."""
    found = set()
    for path in (Path(unfold.__file__).parent / "templates").rglob("*.html"):
        if "crispy" not in str(path):
            found |= set(re.findall(r"{%\s*trans(?:late)?\s+['\"]([^'\"]+)['\"]", path.read_text()))
    assert len(found) > 50
    french = translation("fr")._catalog
    assert [said for said in sorted(found) if not french.get(said) and not said.startswith(NOT_SHOWN)] == []
