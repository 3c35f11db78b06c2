"""What a runbook leads to: a button or a page of the console. It stays there who may press it, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from opsconsole.core.texts import Text
from opsconsole.runbooks.diagnostics import Values
from opsconsole.runbooks.parameters import Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLink:
    """A way to an address of the admin.

    `address` is its name there, `treasury_bank_pause`. `row` says on which row it stands: the parameter that is its
    key, or a function that finds the key by the parameters, read only, and returns None where there is none. `given`
    are the fields of a form of a list that begin with a parameter. A button knows who may press it; for any other
    address `permission` says so.
    """

    name: str
    label: Text
    address: str
    parameters: Sequence[Parameter] = ()
    row: str | Callable[[Values], object | None] = ""
    given: Mapping[str, str] = field(default_factory=dict)
    permission: str = ""
    note: Text = ""  # what it does and who must agree
