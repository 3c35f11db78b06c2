"""What every process reads through before it starts: a runbook that names what is not there helps nobody at night."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from string import Formatter
from typing import Any, Final

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.urls import NoReverseMatch, reverse

from opsconsole.core.texts import english
from opsconsole.runbooks import library
from opsconsole.runbooks.actions import ActionLink
from opsconsole.runbooks.checks import Check
from opsconsole.runbooks.diagnostics import Diagnostic, Shown
from opsconsole.runbooks.domains import Domain, registered
from opsconsole.runbooks.library import LANGUAGES, Edition
from opsconsole.runbooks.markdown import Part, Unreadable
from opsconsole.runbooks.parameters import RESERVED, Parameter, ParameterForm, filled_in, lacking, united

FILE, TRANSLATION, NAME, REGISTRATION = "runbooks.E001", "runbooks.E002", "runbooks.E003", "runbooks.E004"
_HOLE: Final = re.compile(r"%\((\w+)\)s")


def proofread(**_anything: Any) -> list[CheckMessage]:
    """Everything that is wrong with the runbooks, for Django's system checks."""
    found: list[CheckMessage] = []
    editions: dict[str, tuple[Domain, dict[str, Edition]]] = {}
    for domain in registered():
        found += registrations(domain)
        read, broken = _read(domain)
        found += broken
        for id, mine in read.items():
            if id in editions:
                found.append(Error(f"{id}: two domains have a runbook of this name.", id=NAME))
            editions[id] = domain, mine
    for id, (domain, mine) in editions.items():
        found += [Error(f"{id}: {problem}", id=code) for code, problem in _problems(id, domain, mine, editions)]
    return found


def _read(domain: Domain) -> tuple[dict[str, dict[str, Edition]], list[CheckMessage]]:
    read: dict[str, dict[str, Edition]] = {}
    broken: list[CheckMessage] = []
    try:
        for path, id, language in library.files(domain):
            try:
                read.setdefault(id, {})[language] = library.edition(path, id, language)
            except Unreadable as error:
                broken.append(Error(f"{path.name}: {error}.", id=FILE))
    except Unreadable as error:
        broken.append(Error(f"{domain.name}: {error}.", id=FILE))
    if not read and not broken:
        broken.append(Error(f"{domain.name}: there is no runbook in {domain.folder}.", id=FILE))
    return read, broken


def _problems(
    id: str, domain: Domain, editions: Mapping[str, Edition], others: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """What is wrong with one runbook, with the kind of problem."""
    if id == "alerts":
        yield NAME, "the alerts have that address."
    if missing := sorted(set(LANGUAGES) - editions.keys()):
        yield TRANSLATION, f"it is not written in {', '.join(missing)}."
        return
    first = editions[LANGUAGES[0]]
    for language in LANGUAGES[1:]:
        edition = editions[language]
        if edition.text.parts != first.text.parts:
            yield TRANSLATION, f"its live parts in {language} are not those in {LANGUAGES[0]}, in the same order."
        if (set(edition.alerts), edition.order) != (set(first.alerts), first.order):
            yield TRANSLATION, f"its alerts or its order in {language} are not those in {LANGUAGES[0]}."
    for part in first.text.parts:
        yield from _part(domain, part)
    for other in sorted({other for edition in editions.values() for other in edition.text.runbooks} - others.keys()):
        yield NAME, f"it leads to a runbook {other!r}, which there is not."


def _part(domain: Domain, part: Part) -> Iterator[tuple[str, str]]:
    known: Diagnostic | ActionLink | Check | None = getattr(domain, part.kind)(part.name)
    if known is None:
        yield NAME, f"{domain.name} has no {part.kind} {part.name!r}."
        return
    taken = {parameter.name for parameter in known.parameters}
    if unknown := sorted(part.presets.keys() - taken):
        yield NAME, f"the {part.kind} {part.name!r} takes no {', '.join(unknown)}."
        return
    preset = [parameter for parameter in known.parameters if parameter.name in part.presets]
    form = ParameterForm(preset, dict(part.presets), part="proof")
    for name, problems in form.errors.items():
        yield NAME, f"{part.name!r} presets {name}: {' '.join(map(str, problems))}"


# --- what a domain registers ----------------------------------------------------------------------------------------


def registrations(domain: Domain) -> list[CheckMessage]:
    """What is wrong with the diagnostics, checks and actions of a domain."""
    found: list[CheckMessage] = []
    for kind, things in (("diagnostic", domain.diagnostics), ("check", domain.checks), ("action", domain.actions)):
        names = [thing.name for thing in things]
        found += [
            Error(f"{domain.name}: the {kind} {name!r} is registered twice.", id=REGISTRATION)
            for name in sorted({name for name in names if names.count(name) > 1})
        ]
        for thing in things:
            found += [
                Error(f"{domain.name}: the {kind} {thing.name!r} {problem}.", id=REGISTRATION)
                for problem in _registration(thing)
            ]
    return found


def _registration(thing: Diagnostic | Check | ActionLink) -> Iterator[str]:
    yield from _parameters(thing.parameters)
    if thing.permission and not _is_permission(thing.permission):
        yield f"needs {thing.permission!r}, which is no permission"
    match thing:
        case Diagnostic():
            yield from _diagnostic(thing)
        case Check():
            yield from _holes(thing.sql, thing.parameters)
            if "in_order" not in thing.sql:
                yield "does not answer with in_order"
            if any(not name for _text, name, _form, _to in Formatter().parse(english(thing.told)) if name is not None):
                yield "tells a figure without its name"
        case ActionLink():
            yield from _action(thing)


def _diagnostic(diagnostic: Diagnostic) -> Iterator[str]:
    ways = [bool(diagnostic.sql), diagnostic.compose is not None, diagnostic.rows is not None]
    if ways.count(True) != 1:
        yield "has to have exactly one of sql, compose and rows"
    if diagnostic.sql:
        yield from _holes(diagnostic.sql, diagnostic.parameters)
    names = [column.name for column in diagnostic.columns]
    if not names or len(set(names)) != len(names):
        yield "has no columns, or two of one name"
    for column in diagnostic.columns:
        if column.words and column.shown is not Shown.STATE:
            yield f"has words for {column.name!r}, which is shown as no state"
        if column.of:
            try:
                apps.get_model(column.of)
            except (LookupError, ValueError):
                yield f"leads from {column.name!r} to {column.of!r}, which is no model"


def _holes(sql: str, parameters: Sequence[Parameter]) -> Iterator[str]:
    if (holes := set(_HOLE.findall(sql))) != (names := {parameter.name for parameter in parameters}):
        yield f"names {sorted(holes)} in its statement and takes {sorted(names)}"
    if "%" in _HOLE.sub("", sql).replace("%%", ""):
        yield "has a single % in its statement: write %%"


def _parameters(parameters: Sequence[Parameter]) -> Iterator[str]:
    if len(united(parameters)) != len(parameters):
        yield "takes two parameters of one name"
    for parameter in parameters:
        if parameter.name in RESERVED or not re.fullmatch(r"[a-z][a-z_]*", parameter.name):
            yield f"takes a parameter {parameter.name!r}, which no address can hold"
        if parameter.default:
            given = filled_in([parameter], {})
            form = ParameterForm([parameter], given, part="proof")
            if lacking([parameter], given) or not form.is_valid():
                yield f"begins with {parameter.default!r} for {parameter.name}, which it would refuse"


def _action(link: ActionLink) -> Iterator[str]:
    names = {parameter.name for parameter in link.parameters}
    if isinstance(link.row, str) and link.row and link.row not in names:
        yield f"stands on the row {link.row!r}, which is no parameter of it"
    if strange := sorted(set(link.given.values()) - names):
        yield f"begins a form with {', '.join(strange)}, which it does not take"
    try:
        reverse(f"admin:{link.address}", args=["1"] if link.row else [])
    except NoReverseMatch:
        yield f"leads to admin:{link.address}, which is no address" + (" of a row" if link.row else " without a row")


def _is_permission(name: str) -> bool:
    app, _dot, codename = name.partition(".")
    try:
        models = list(apps.get_app_config(app).get_models())
    except LookupError:
        return False
    return any(
        codename in (f"{action}_{model._meta.model_name}" for action in model._meta.default_permissions)
        or codename in (known for known, _said in model._meta.permissions)
        for model in models
    )
