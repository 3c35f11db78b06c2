"""The product's own source, as trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (ROOT / "opsconsole", ROOT / "loyalty")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Module:
    """A module: its dotted name, its path inside the package, its text and its tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def rooms(self) -> tuple[str, ...]:
        """The names on the way to it, the app's left out: `("services", "drafts")`."""
        parts = self.name.split(".")
        return tuple(parts[2:] if parts[0] == "opsconsole" else parts[1:])


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the product, migrations left out."""
    found = []
    for path in sorted(path for package in PACKAGES for path in package.rglob("*.py")):
        if "migrations" in path.parts:
            continue
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text()
        found.append(Module(name, path.relative_to(ROOT), text, ast.parse(text)))
    return tuple(found)


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every string of a tree that is not a docstring alone, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an expression; empty for anything else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{dotted(value)}.{name}"
        case ast.Call(func=func):
            return f"{dotted(func)}()"
        case _:
            return ""


def decorated_with(name: str) -> Iterator[tuple[Module, ast.FunctionDef]]:
    """Every function that bears this decorator."""
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef) and name in {
                dotted(mark).removesuffix("()").rpartition(".")[2] for mark in node.decorator_list
            }:
                yield module, node
