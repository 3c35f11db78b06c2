"""States and their transitions, said once: the model moves by the table, and a database trigger refuses the rest."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import Conflict


class States(models.TextChoices):
    """Choices that know which of them may follow which; subclasses define `transitions` and `initial`."""

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Each state with the states that may follow it; a state that is missing is final."""
        raise NotImplementedError(f"{cls.__name__} does not say its transitions")

    @classmethod
    def starts(cls) -> frozenset[str]:
        """The states a row may be born in."""
        raise NotImplementedError(f"{cls.__name__} does not say where it starts")

    @classmethod
    def pairs(cls) -> list[str]:
        """The transitions as `from>to`, sorted: what the trigger in the database holds."""
        return sorted(f"{was}>{now}" for was, following in cls.table().items() for now in following)

    @property
    def following(self) -> frozenset[str]:
        """The states that may come after this one."""
        return self.table().get(self.value, frozenset())

    @property
    def is_final(self) -> bool:
        """Nothing comes after this one."""
        return not self.following


class WrongState(Conflict):
    """The object is in another state than this needs."""

    code = "wrong_state"


class Stateful(models.Model):
    """A model whose `status` moves by a table of transitions."""

    states: ClassVar[type[States]]
    status: models.TextField[str, str]

    class Meta:
        abstract = True

    @property
    def state(self) -> States:
        """The status as its choice."""
        return self.states(self.status)

    def move_to(self, state: States) -> Self:
        """Set the next state; raises WrongState when the table does not lead there. The caller saves."""
        if state.value not in self.state.following:
            again = state == self.state
            raise WrongState(
                format_lazy(
                    _("The {name} is {state} already.")
                    if again
                    else _("The {name} is {state}; it cannot become {wanted}."),
                    name=self._meta.verbose_name,
                    state=self.state.label,
                    wanted=state.label,
                ),
                status=self.status,
                wanted=state.value,
            )
        self.status = state.value
        return self
