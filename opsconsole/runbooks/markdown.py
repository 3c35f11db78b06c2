"""Runbooks are Markdown, without HTML: what a file can say is what these tokens can be.

Beside Markdown's own there are lines `::diagnostic NAME parameter=value` and `::action NAME`, and in a checklist
`- [ ] text ::check NAME`. Each becomes a live part at its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

PartKind = Literal["diagnostic", "action", "check"]

_LINE: Final = re.compile(r"::(diagnostic|action) +([a-z0-9][a-z0-9-]*)((?: +[a-z_]+=\S+)*) *$")
_TASK: Final = re.compile(r"\[ \] +(.*?)(?:\s+::check +([a-z0-9][a-z0-9-]*))?\s*$", re.DOTALL)
SECTION: Final = "h2"
# A card's own heading is an h3; what stands below it in the text is one less.
_LOWER: Final = {"h3": "h4", "h4": "h5"}
RUNBOOK: Final = "runbook:"
PAGE: Final = "/"
OUTSIDE: Final = "https://"


class Unreadable(ValueError):
    """A file says what no runbook can say; the message names the line."""


@dataclass(frozen=True, slots=True)
class Part:
    """A live part, by its kind and name, with the parameters that the text presets."""

    kind: PartKind
    name: str
    presets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the text below its heading; the first one may have none."""

    anchor: str
    title: str
    html: SafeString


Place = Callable[[int], SafeString]  # what stands at the place of the part with this number


@dataclass(frozen=True, slots=True)
class Text:
    """A text that was read once, to be put on many pages."""

    tokens: Sequence[Token]
    parts: tuple[Part, ...]
    runbooks: tuple[str, ...]  # those that it leads to

    def sections(self, place: Place, leads_to: Callable[[str], str]) -> list[Section]:
        """Its sections, with what `place` gives for each part; `leads_to` is the address of another runbook."""
        env = {"place": place, "leads_to": leads_to}
        anchors: dict[str, int] = {}
        found = []
        for title, tokens in _cut(self.tokens):
            html = mark_safe(_reader().renderer.render(tokens, _reader().options, env))  # noqa: S308 - by rules of ours
            if title or html.strip():
                found.append(Section(_anchor(title, anchors), title, html))
        return found


def read(source: str) -> Text:
    """The text of a file; raises Unreadable."""
    tokens = _reader().parse(source)
    parts: list[Part] = []
    runbooks: list[str] = []
    for token in tokens:
        if "part" in token.meta:
            token.meta["number"] = len(parts)
            parts.append(token.meta["part"])
        if token.type == "heading_open" and (token.level or token.tag not in (SECTION, *_LOWER)):
            raise Unreadable(f"line {_line(token)}: headings are ##, ### and ####, inside of nothing")
        for child in token.children or ():
            if child.type == "link_open":
                runbooks += _linked(str(child.attrs.get("href", "")), token)
    return Text(tokens, tuple(parts), tuple(runbooks))


def _linked(href: str, token: Token) -> list[str]:
    if href.startswith(RUNBOOK):
        return [href.removeprefix(RUNBOOK)]
    if not href.startswith((PAGE, OUTSIDE)) or href.startswith(PAGE * 2):
        raise Unreadable(f"line {_line(token)}: a link leads to runbook:ID, to a page of the console or to https://")
    return []


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 0


@cache
def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "html_block", "html_inline"])
    reader.block.ruler.before("paragraph", "part", _part_line, {"alt": ["paragraph", "list", "blockquote"]})
    reader.core.ruler.before("inline", "tasks", _tasks)
    for name, rule in _RULES.items():
        reader.add_render_rule(name, _adapted(rule))
    return reader


# --- reading --------------------------------------------------------------------------------------------------------


def _part_line(state: StateBlock, start: int, _end: int, silent: bool) -> bool:  # noqa: FBT001 - markdown-it's form
    line = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
    if not line.startswith("::"):
        return False
    found = _LINE.match(line)
    if found is None:
        raise Unreadable(f"line {start + 1}: {line!r} is neither ::diagnostic NAME name=value nor ::action NAME")
    if silent:
        return True
    kind, name, presets = found.groups()
    token = state.push("part", "", 0)
    given = dict(one.split("=", 1) for one in presets.split())
    token.meta = {"part": Part("diagnostic" if kind == "diagnostic" else "action", name, given)}
    token.map = [start, start + 1]
    state.line = start + 1
    return True


def _tasks(state: StateCore) -> None:
    """Make items of a list that begin with `[ ]` items of a checklist."""
    tokens: list[Token] = []
    for place, token in enumerate(state.tokens):
        before = [one.type for one in state.tokens[max(place - 2, 0) : place]]
        task = _TASK.match(token.content) if before == ["list_item_open", "paragraph_open"] else None
        if task is None or token.type != "inline":
            tokens.append(token)
            continue
        text, check = task.groups()
        token.content = text
        state.tokens[place - 2].attrJoin("class", "ops-task")
        opening, closing = Token("task_open", "", 1), Token("task_close", "", -1)
        if check:
            opening.meta["computed"] = True
            closing.meta["part"] = Part("check", check)
        tokens += [opening, token, closing]
    state.tokens = tokens


# --- rendering ------------------------------------------------------------------------------------------------------


def _cut(tokens: Sequence[Token]) -> list[tuple[str, list[Token]]]:
    """The tokens of each section with its title, the heading left out."""
    found: list[tuple[str, list[Token]]] = [("", [])]
    heading = False
    for token in tokens:
        if token.tag == SECTION:
            heading = token.type == "heading_open"
        elif heading:
            found.append((_plain(token), []))
        else:
            found[-1][1].append(token)
    return found


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or ())


def _anchor(title: str, taken: dict[str, int]) -> str:
    wanted = slugify(title) or "top"
    taken[wanted] = taken.get(wanted, 0) + 1
    return wanted if taken[wanted] == 1 else f"{wanted}-{taken[wanted]}"


Rule = Callable[[Token, Mapping[str, Any]], str]  # the HTML of a token


def _fixed(html: str) -> Rule:
    return lambda _token, _env: html


def _heading(token: Token, _env: Mapping[str, Any]) -> str:
    tag = _LOWER[token.tag]
    return f"<{tag}>" if token.nesting == 1 else f"</{tag}>\n"


def _code(token: Token, _env: Mapping[str, Any]) -> str:
    return f'<pre class="ops-pre" tabindex="0"><code>{escape(token.content)}</code></pre>\n'


def _code_inline(token: Token, _env: Mapping[str, Any]) -> str:
    return f'<code class="ops-code">{escape(token.content)}</code>'


def _cell(token: Token, _env: Mapping[str, Any]) -> str:
    """A cell; where it stands is said by a class, not by a style."""
    right = ' class="ops-right"' if "right" in str(token.attrs.get("style", "")) else ""
    scope = ' scope="col"' if token.tag == "th" else ""
    return f"<{token.tag}{scope}{right}>"


def _link(token: Token, env: Mapping[str, Any]) -> str:
    href = str(token.attrs["href"])
    if href.startswith(RUNBOOK):
        href = env["leads_to"](href.removeprefix(RUNBOOK))
    outside = ' rel="noreferrer"' if href.startswith(OUTSIDE) else ""
    return f'<a class="ops-link" href="{escape(href)}"{outside}>'


def _part(token: Token, env: Mapping[str, Any]) -> str:
    return str(env["place"](token.meta["number"]))


def _task_open(token: Token, _env: Mapping[str, Any]) -> str:
    return "<span>" if token.meta.get("computed") else '<label><input type="checkbox" data-tick> <span>'


def _task_close(token: Token, env: Mapping[str, Any]) -> str:
    return f"</span> {_part(token, env)}" if "part" in token.meta else "</span></label>"


_RULES: Final[dict[str, Rule]] = {
    "heading_open": _heading,
    "heading_close": _heading,
    "fence": _code,
    "code_block": _code,
    "code_inline": _code_inline,
    "table_open": _fixed('<div class="ops-scroll" tabindex="0"><table class="ops-table">\n'),
    "table_close": _fixed("</table></div>\n"),
    "th_open": _cell,
    "td_open": _cell,
    "blockquote_open": _fixed('<div class="ops-notice ops-warn" role="note">\n'),
    "blockquote_close": _fixed("</div>\n"),
    "link_open": _link,
    "part": _part,
    "task_open": _task_open,
    "task_close": _task_close,
}


def _adapted(rule: Rule) -> Callable[..., str]:
    """A rule in markdown-it's form, which hands over everything that it has."""

    def rendered(_renderer: Any, tokens: Sequence[Token], place: int, _options: Any, env: Mapping[str, Any]) -> str:
        return rule(tokens[place], env)

    return rendered
