"""Refusals are told in the viewer's language: their sentences are given lazily, wherever a viewer can meet them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

from tests.architecture.source import FUNCTIONS, Module, modules

ROOT_OF_ALL = ("opsconsole.core.errors", "Told")
# What only a shell, a program or the installation meets says it in English: modules, and functions by their full name.
ENGLISH_ONLY = frozenset(
    {
        "loyalty.importing.files.PurchaseFile",
        "opsconsole.console.caller",
        "opsconsole.console.management.commands.demo",
        "opsconsole.console.management.commands.seed_demo",
        "opsconsole.core.commands",
        "opsconsole.core.http",
        "opsconsole.core.importing",
        "opsconsole.core.lines.LineFile",
        "opsconsole.core.pagination",
        "opsconsole.core.rotation",
        "opsconsole.identity.api",
        "opsconsole.identity.management.commands.issue_token",
        "opsconsole.identity.services",
        "opsconsole.identity.tokens.create_first_people",
        "opsconsole.identity.tokens.invite_user",
        "opsconsole.journal.management.commands.journal",
        "opsconsole.monitoring.alertmanager",
        "opsconsole.notifications.management.commands.notify_test",
        "opsconsole.plans.leases",
        "opsconsole.plans.management.commands.plan_evidence",
        "opsconsole.treasury.api",
        "opsconsole.treasury.gateways.credit_transfer",
        "opsconsole.treasury.gateways.iso20022",
        "opsconsole.treasury.ledger",
        "opsconsole.treasury.management.commands.import_bank_file",
        "opsconsole.treasury.plan_types.sentences.disagreements",
    }
)
# Translated when they are called: inside an operation that is English, whoever looks.
AT_ONCE = frozenset({"gettext", "ngettext", "pgettext", "npgettext"})


@cache
def refusals() -> frozenset[tuple[str, str]]:
    """Module and name of every class of errors whose sentence people are told."""
    bases = {
        (module.name, node.name): [origin(module, base) for base in node.bases]
        for module in modules()
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
    }
    found = {ROOT_OF_ALL}
    while more := {one for one, parents in bases.items() if one not in found and found & set(parents)}:
        found |= more
    return frozenset(found)


@cache
def imported(module: Module) -> dict[str, tuple[str, str]]:
    """What the names of a module stand for, where another module has them."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def origin(module: Module, name: ast.expr) -> tuple[str, str]:
    """The module and the name of what an expression stands for: `Denied`, `errors.Denied`."""
    known = imported(module)
    match name:
        case ast.Name(id=text):
            return known.get(text, (module.name, text))
        case ast.Attribute(value=ast.Name(id=holder), attr=text):
            return (".".join(known.get(holder, (module.name, holder))), text)
        case _:
            return ("", "")


def calls(module: Module) -> Iterator[tuple[str, ast.AST, ast.Call]]:
    """Each call that makes a refusal, with the full name and the tree of the function that it stands in."""

    def walk(node: ast.AST, where: str, scope: ast.AST) -> Iterator[tuple[str, ast.AST, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            inside = f"{where}.{child.name}" if isinstance(child, (*FUNCTIONS, ast.ClassDef)) else where
            if isinstance(child, ast.Call) and origin(module, child.func) in refusals():
                yield inside, scope, child
            yield from walk(child, inside, child if isinstance(child, FUNCTIONS) else scope)

    yield from walk(module.tree, module.name, module.tree)


def sentences(scope: ast.AST, call: ast.Call) -> Iterator[ast.expr]:
    """What a refusal tells people: its sentence, and what it says beneath each field."""
    given = [*call.args[:1]]
    for keyword in call.keywords:
        if keyword.arg == "errors" and isinstance(keyword.value, ast.Dict):
            for problems in keyword.value.values:
                given += problems.elts if isinstance(problems, ast.List | ast.Tuple) else [problems]
    for said in given:
        yield from assigned(scope, said.id) if isinstance(said, ast.Name) else [said]


def assigned(scope: ast.AST, name: str) -> Iterator[ast.expr]:
    """What a function gives one of its names."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            yield node.value


def is_fixed(module: Module, said: ast.expr) -> bool:
    """Whether a text has its language already: a literal, one put together, or one that is translated at once."""
    match said:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.BinOp(left=left, right=right) | ast.IfExp(body=left, orelse=right):
            return isinstance(said, ast.BinOp) or is_fixed(module, left) or is_fixed(module, right)
        case ast.Call(func=ast.Attribute(attr="format" | "join")) | ast.Call(func=ast.Name(id="str")):
            return True
        case ast.Call(func=func, args=[first, *_rest]) if origin(module, func)[1] == "format_lazy":
            return isinstance(first, ast.JoinedStr) or is_fixed(module, first) and not isinstance(first, ast.Constant)
        case ast.Call(func=func):
            return origin(module, func)[0] == "django.utils.translation" and origin(module, func)[1] in AT_ONCE
        case _:
            return False


def fixed() -> list[tuple[str, str]]:
    """Every refusal whose words are fixed: the function that makes it, and where that is."""
    return [
        (where, f"{module.path}:{said.lineno}: {ast.unparse(said)}")
        for module in modules()
        for where, scope, call in calls(module)
        for said in sentences(scope, call)
        if is_fixed(module, said)
    ]


def exempt(where: str) -> str | None:
    """The member of ENGLISH_ONLY that covers a function."""
    return next((name for name in ENGLISH_ONLY if where == name or where.startswith(f"{name}.")), None)


def test_every_refusal_on_a_page_is_told_in_the_language_of_whoever_looks() -> None:
    assert len(refusals()) > 50
    assert [place for where, place in fixed() if exempt(where) is None] == []


def test_what_is_english_only_still_is() -> None:
    assert {exempt(where) for where, _place in fixed()} - {None} == ENGLISH_ONLY


def test_what_counts_as_fixed() -> None:
    source = """
from django.utils.text import format_lazy
from django.utils.translation import gettext as now_, gettext_lazy as _, ngettext_lazy
from opsconsole.core.errors import Denied, Invalid
Denied("No.")
Denied(f"No, {name}.")
Denied("No, %s." % name)
Denied("No, {}.".format(name))
Denied(now_("No."))
Denied(_("No, %(name)s.") % {"name": name})
Denied(format_lazy(f"{name}: no."))
Invalid(_("No."), errors={"name": ["is taken"]})
def refuse():
    said = "No."
    raise Denied(said)
Denied(_("No."))
Denied(error.told)
Denied(format_lazy(_("No, {name}."), name=name))
Denied(format_lazy(ngettext_lazy("{n} no.", "{n} noes.", n), n=n))
Invalid(_("No."), errors={"name": [_("is taken")], **others})
"""
    module = Module("opsconsole.example", __file__, source, ast.parse(source))  # type: ignore[arg-type] # a name will do
    found = [any(is_fixed(module, said) for said in sentences(scope, call)) for _where, scope, call in calls(module)]
    assert found == [True] * 9 + [False] * 5
