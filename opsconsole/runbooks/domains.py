"""Domains: each brings a folder of runbooks, and what their live parts are, when its app is ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opsconsole.core.texts import Text
from opsconsole.runbooks.actions import ActionLink
from opsconsole.runbooks.checks import Check
from opsconsole.runbooks.diagnostics import Diagnostic


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to call: `key` names them in OPS_ESCALATION_CONTACTS, `reach` is what is known without it."""

    key: str
    role: Text
    then: Text  # who comes next
    reach: str = ""


@dataclass(frozen=True, slots=True)
class Domain:
    """Everything that the runbooks of one domain may name."""

    name: str
    title: Text
    folder: Path
    diagnostics: Sequence[Diagnostic] = ()
    actions: Sequence[ActionLink] = ()
    checks: Sequence[Check] = ()
    contacts: Sequence[Contact] = field(default_factory=tuple)

    def diagnostic(self, name: str) -> Diagnostic | None:
        """The diagnostic of this name."""
        return next((one for one in self.diagnostics if one.name == name), None)

    def action(self, name: str) -> ActionLink | None:
        """The action of this name."""
        return next((one for one in self.actions if one.name == name), None)

    def check(self, name: str) -> Check | None:
        """The check of this name."""
        return next((one for one in self.checks if one.name == name), None)


_domains: dict[str, Domain] = {}


def register(domain: Domain) -> None:
    """Put the runbooks of a domain on the shelf."""
    _domains[domain.name] = domain


def registered() -> list[Domain]:
    """All of them, in the order in which they came."""
    return list(_domains.values())
