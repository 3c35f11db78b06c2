"""Actions: what a button of the admin does. A GET shows what would happen, a POST calls one service, once.

An action says when it is offered, what stands in its way now, what it asks to be confirmed, and which service it
calls. It decides nothing: a POST goes to the service whatever the page believed, and the service's refusal is shown.
The form carries a key that is good for one effect, so that pressing twice is pressing once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast
from uuid import uuid4

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse, HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from opsconsole.core.actors import Actor
from opsconsole.core.admin.display import word
from opsconsole.core.admin.pages import Section
from opsconsole.core.errors import DomainError
from opsconsole.core.idempotency import Answer, RequestKey, fingerprint
from opsconsole.core.texts import Text

Row = TypeVar("Row")

MAX_REASON = 2000


class ActionForm(forms.Form):
    """What every action asks for: the one-time key, and where it says so, something typed as a confirmation."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    required_css_class = "ops-required"

    def __init__(self, *args: Any, typed: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("key", uuid4())
        self.typed = typed
        if typed:
            self.fields["typed"] = forms.CharField(
                label=_("Type %(text)s to confirm") % {"text": typed},
                widget=forms.TextInput({"autocomplete": "off", "inputmode": "text"}),
            )

    def clean_typed(self) -> str:
        """What was typed; raises ValidationError for anything but what was asked for.

        Blanks count as a page shows them: two are one, and one that does not break is like any other.
        """
        said: str = self.cleaned_data["typed"]
        if said.split() != self.typed.split():
            raise forms.ValidationError(_("Type exactly %(text)s.") % {"text": self.typed})
        return said

    def say_sent_before(self) -> None:
        """Say that it was sent already, saying something else, and give it another key, so that it can be meant."""
        self.add_error(None, _("This form was sent before, and that was done. To do this as well, send it again."))
        sent = cast(QueryDict, self.data).copy()
        sent["key"] = str(uuid4())
        self.data = sent

    def show(self, error: DomainError) -> None:
        """Put a refusal where it belongs: at its field, or above the form."""
        self.add_error(None, explain(error))
        for name, problems in _flatten(error.fields.get("errors")):
            for problem in problems:
                if name in self.fields:
                    self.add_error(name, problem)
                else:
                    self.add_error(None, _("%(name)s: %(problem)s") % {"name": word(name), "problem": problem})


class RevisionForm(ActionForm):
    """Another content for a row; `changed` names what was typed otherwise than it was shown.

    The row may have moved since: who types another name does not put back the price that was shown beside it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.show_hidden_initial = name in self.initial and not field.widget.is_hidden

    def clean(self) -> dict[str, Any]:
        """With `changed`."""
        cleaned = super().clean() or self.cleaned_data
        return {**cleaned, "changed": [name for name in self.changed_data if self.fields[name].show_hidden_initial]}


def _reason(**options: Any) -> forms.CharField:
    return forms.CharField(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("It goes into the journal."),
        max_length=MAX_REASON,
        widget=forms.Textarea({"rows": 3}),
        **options,
    )


class ReasonForm(ActionForm):
    """A reason that must be given."""

    reason = _reason()


class OptionalReasonForm(ActionForm):
    """A reason that may be given."""

    reason = _reason(required=False)


@dataclass(frozen=True, slots=True)
class Press(Generic[Row]):
    """A button that was pressed: by whom, on what, what the form said, and the key that is good for one effect."""

    actor: Actor
    row: Row
    data: dict[str, Any]
    key: RequestKey


class Action(Generic[Row]):
    """A transition as a button: of one row, or with None for a row, of a list."""

    name: str
    label: Text
    submit: Text = ""  # what the form's own button says, where that is not the label
    icon: str = ""
    group: Text = ""  # buttons of one group stand behind one button of this name, each with its question
    tone: str = "plain"  # plain; primary: the next thing to do; danger; go: the next thing to do, and dangerous
    sends_itself: bool = False  # a field of its form sends it: there is no other button
    downloads: bool = False  # the answer is a file: the page stays, and its form can be sent again
    permission: str
    form: type[ActionForm] = ActionForm

    def allowed(self, actor: Actor, _row: Row) -> bool:
        """Whether the actor holds the right; without it there is no button, and the page answers 403."""
        return actor.may(self.permission)

    def offered(self, _actor: Actor, _row: Row) -> bool:
        """Whether the button has any sense here; a button that has none is not shown at all."""
        return True

    def obstacle(self, _actor: Actor, _row: Row) -> Text:
        """Why it cannot be pressed now; empty when it can."""
        return ""

    def question(self, row: Row) -> Text:
        """What will happen, in a sentence, with the count and the sum where there are any."""
        raise NotImplementedError

    def sections(self, _actor: Actor, _row: Row) -> Sequence[Section]:
        """What whoever confirms should have before their eyes."""
        return ()

    def typed(self, _row: Row) -> str:
        """What must be typed as a confirmation; empty for nothing."""
        return ""

    def initial(self, _row: Row) -> dict[str, Any]:
        """What the form begins with."""
        return {}

    def make_form(self, _actor: Actor, row: Row, data: Any = None, files: Any = None) -> ActionForm:
        """The form, empty or as it was sent."""
        return self.form(data, files, initial=self.initial(row), typed=self.typed(row))

    def perform(self, press: Press[Row]) -> Answer | FileResponse:
        """Call the service, once under the key; an answer made by `done` or `refused`, or the file asked for."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Button:
    """An action as it stands on a page: `obstacle` says why it cannot be pressed now."""

    action: Action[Any]
    url: str
    obstacle: Text = ""
    note: Text = ""  # what stands below its name where it is one of a group


def done(message: Text, *, to: str) -> Answer:
    """It happened: what to say, and the page to go on to."""
    return Answer(200, {"message": str(message), "to": to})


def refused(error: DomainError, *, to: str) -> Answer:
    """It did not happen, though something else was written: what to say, and the page that shows it."""
    return Answer(error.status, {"message": explain(error), "to": to})


def then(message: Callable[[Any], Text], to: Callable[[Any], str]) -> Callable[[Any], Answer]:
    """How a service's result becomes an answer."""
    return lambda result: done(message(result), to=to(result))


def request_key(request: HttpRequest, actor: Actor, action: str, data: Mapping[str, Any]) -> RequestKey:
    """The form's key with what it belongs to: this person, this action, this content."""
    said = {name: _digested(value) for name, value in data.items() if name != "key"}
    return RequestKey(
        scope=f"{actor.id} POST {action}",
        key=str(data["key"]),
        fingerprint=fingerprint(path=request.path, body=said),
    )


def _digested(value: Any) -> Any:
    """A file by what is in it, anything else as it is."""
    if not isinstance(value, UploadedFile):
        return value
    running = hashlib.sha256()
    for chunk in value.chunks():
        running.update(chunk)
    value.seek(0)
    return running.hexdigest()


def explain(error: DomainError) -> str:
    """A refusal as one text: its sentence, and the reasons it lists."""
    reasons = error.fields.get("drift") or ()
    return " ".join([str(error.told), *map(str, reasons)])


def _flatten(errors: Any) -> list[tuple[str, list[str]]]:
    if not isinstance(errors, Mapping):
        return []
    flat: list[tuple[str, list[str]]] = []
    for name, problems in errors.items():
        if isinstance(problems, Mapping):
            flat += _flatten(problems)
        else:
            flat.append((str(name), [str(problem) for problem in problems]))
    return flat
