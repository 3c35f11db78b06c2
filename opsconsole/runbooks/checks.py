"""Items of a checklist that the system answers by itself, from figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import dedent

from opsconsole.core.texts import Text
from opsconsole.runbooks.diagnostics import Values
from opsconsole.runbooks.parameters import Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One item. Its statement answers with one row: `in_order`, and the figures that `told` names in braces.

    NULL in `in_order` means that it cannot be told yet, no row that there is nothing with these parameters. `words` are
    what people call the values of states among the figures.
    """

    name: str
    label: Text
    permission: str
    sql: str
    told: Text
    parameters: Sequence[Parameter] = ()
    words: Mapping[str, Text] = field(default_factory=dict)

    def statement(self, values: Values) -> tuple[str, Values]:
        """The statement and its parameters."""
        return dedent(self.sql).strip(), values
