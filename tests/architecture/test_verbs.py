"""Every verb that the code writes into the journal has words in every language."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import product

from opsconsole.changes.states import ChangeState
from opsconsole.journal import outcomes
from opsconsole.journal.admin.verbs import DIRECT_SQL, WORDS, words_of
from opsconsole.plans.states import PlanState, RunState
from opsconsole.treasury.settlement import endings
from tests.architecture.source import modules

# What writes entries, and where in its arguments the verb stands.
WRITERS = {"record": 1, "journal": 2, "_journal": 1, "_wish": 3}
# What the holes of verbs written as f-strings are filled with.
HOLES = {
    "change.": [state.value for state in ChangeState],
    "plan.": [state.value for state in PlanState],
    "run.": [state.value for state in RunState],
    "notification.channel_": ["added", "changed", "removed"],
}


def verbs_of(tree: ast.AST) -> Iterator[str]:
    """The verbs of every call of a writer, those of both branches and those that are put together."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        if (place := WRITERS.get(name)) is None or len(call.args) <= place:
            continue
        yield from spelled(call.args[place])


def spelled(verb: ast.expr) -> Iterator[str]:
    match verb:
        case ast.Constant(value=str() as text) if "." in text:
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from spelled(body)
            yield from spelled(orelse)
        case ast.Name(id=name) if isinstance(known := getattr(outcomes, name, None), str):
            yield known
        case ast.JoinedStr(values=[ast.Constant(value=str() as beginning), _hole]):
            yield from map("".join, product([beginning], HOLES[beginning]))


def recorded() -> dict[str, str]:
    return {verb: module.name for module in modules() for verb in verbs_of(module.tree)} | {
        f"{what}.{end.word}": endings.__name__
        for what in ("payouts", "sweeps")
        for end in (endings._SETTLED, *endings._ENDS.values())
    }


def test_every_verb_of_the_code_has_words() -> None:
    found = recorded()
    assert {"plan.staged", "plan.rolled_back", "journal.broken", "run.pause_asked", "approval.rejected"} <= set(found)
    assert {verb: module for verb, module in found.items() if verb not in WORDS} == {}


def test_no_words_for_verbs_that_nobody_writes() -> None:
    sources = "\n".join(module.text for module in modules() if not module.name.endswith(".verbs"))
    found = recorded()
    written = {*found, DIRECT_SQL}  # triggers write that one
    assert [verb for verb in WORDS if verb not in written and f'"{verb}"' not in sources] == []


def test_a_verb_without_words_is_shown_as_it_is() -> None:
    assert words_of("plan.staged") == "plan staged"
    assert words_of("somebody.else") == "somebody.else"
    assert words_of(DIRECT_SQL) == "changed by direct SQL"
