"""The approvals panel: who has agreed, who is still needed, and the exact text to sign. Other apps' pages show it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import moves, selectors
from opsconsole.approvals.models import Decision, Request
from opsconsole.approvals.states import LIVE, OPEN, DecisionKind, RequestState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.pages import Fragment, Link, Table
from opsconsole.core.admin.viewing import opens
from opsconsole.core.texts import Text

PEOPLE_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class Place:
    """A place of the quorum: filled by somebody, or open to some roles, and who of the people could fill it."""

    roles: str
    user: str = ""
    people: str = ""
    at: datetime | None = None
    signed: str = ""  # with which key


def _places(request: Request, tally: selectors.Tally) -> list[Place]:
    by_person = {str(decision.user_id): decision for decision in tally.standing}
    filled = [
        Place(seat.role, decision.user.username, "", decision.at, _signed_with(decision))
        for seat in tally.quorum.filled
        for decision in [by_person[seat.person]]
    ]
    could = _could_approve(request, tally)
    still = [
        Place(roles_as_text(slot.roles), people=people_as_text(could, slot.roles))
        for slot in tally.quorum.open
        for _n in range(slot.count)
    ]
    return filled + still


def _could_approve(request: Request, tally: selectors.Tally) -> list[selectors.Person]:
    """Who may still fill a place: neither barred nor heard. Nobody once nobody can decide any more."""
    if request.status not in OPEN or tally.quorum.complete:
        return []
    heard = {str(decision.user_id) for decision in tally.standing} | set(request.barred)
    wanted = {role for slot in tally.quorum.open for role in slot.roles}
    return [person for person in selectors.people_in(wanted) if person.id not in heard]


def people_as_text(people: Iterable[selectors.Person], roles: Iterable[str]) -> str:
    """Those of the people who hold one of the roles, by name; of many, the first and how many more."""
    wanted = frozenset(roles)
    names = [person.name for person in people if not wanted.isdisjoint(person.roles)]
    shown = ", ".join(names[:PEOPLE_SHOWN])
    more = len(names) - PEOPLE_SHOWN
    return now_("%(names)s and %(count)s more") % {"names": shown, "count": more} if more > 0 else shown


def _passed(threshold: str) -> str:
    """A threshold as the terms keep it, `any_currency_sum over 1000000`, in words."""
    measure, _over, amount = threshold.partition(" over ")
    return now_("%(measure)s over %(amount)s") % {"measure": display.word(measure), "amount": amount}


def _signed_with(decision: Decision) -> str:
    key = decision.signer_key
    return f"{key.name} ({key.fingerprint[: display.HASH_SHOWN]}…)" if key else ""


def signing_command(text: str) -> str:
    """What writes the text into a file, byte for byte, and signs it: for a shell. The text ends with a line feed."""
    lines = " ".join(shlex.quote(line) for line in text.splitlines())
    return f"printf '%s\\n' {lines} > text\nopenssl pkeyutl -sign -rawin -inkey key.pem -in text | base64 -w0"


def state_of(request: Request) -> SafeString:
    """The state of a request; one that waits stands out."""
    if request.status == RequestState.PENDING:
        return display.label(request.state.label, "warn")
    return display.state_of(request)


def roles_as_text(roles: Iterable[str]) -> str:
    """Roles as alternatives."""
    alternative = now_("or")
    return f" {alternative} ".join(roles)


def slots_as_text(slots: Iterable[Mapping[str, Any]]) -> str:
    """Slots of a policy as one phrase."""
    both = now_("and")
    return f" {both} ".join(f"{slot['count']} {roles_as_text(slot['roles'])}" for slot in slots)


def approvals_panel(request: Request, actor: Actor, *, linked: bool, title: Text = "") -> Fragment:
    """The panel of one request, counted now."""
    tally = selectors.tally(request)
    can_sign = request.status in OPEN and actor.may("approvals.decide_request")
    signing_text = selectors.text_to_sign(request, actor) if can_sign else ""
    return Fragment(
        "console/sections/approvals.html",
        title or _("Approvals"),
        {
            "request_status": state_of(request),
            "places": _places(request, tally),
            "waits": request.status in OPEN,
            "objections": [
                (decision.user.username, tally.objections[decision.pk])
                for decision in tally.standing
                if decision.pk in tally.objections
            ],
            "digest": display.copyable(request.digest),
            "expires": display.moment(request.expires_at) if request.status in LIVE else "",
            "signature_required": request.terms.signature_required,
            "passed": ", ".join(_passed(threshold) for threshold in request.terms.passed),
            "executors": roles_as_text(request.executors),
            "who_executes": _who_executes(request),
            "signing_text": signing_text,
            "signing_command": signing_command(signing_text) if can_sign else "",
        },
        more=Link(display.row_url(request), _("The request, with what is approved"))
        if linked and opens(Request, request.pk)
        else None,
    )


def _who_executes(request: Request) -> str:
    """Who may carry out what is approved, by name, once that is what it waits for."""
    if request.status != RequestState.APPROVED:
        return ""
    return people_as_text(selectors.people_in(request.executors), request.executors)


def why_not_approve(request: Request, actor: Actor) -> str:
    """Why this person's approval would fill no place now; empty when it would."""
    user = actor.user
    if user is None:
        return now_("Only people approve.")
    if str(user.pk) in request.barred:
        return now_("You asked for this or had a hand in it; other people must approve it.")
    held = selectors.roles_of(user)
    if held.isdisjoint(request.terms.roles):
        return now_("This takes one of the roles %(roles)s.") % {"roles": ", ".join(request.terms.roles)}
    tally = selectors.tally(request)
    if tally.approval_of(user.pk) is not None:
        return now_("You have approved this already.")
    if tally.quorum.complete:
        return now_("Everybody who must agree has agreed.")
    if not any(slot.admits(held) for slot in tally.quorum.open):
        return now_("Still needed: %(slots)s.") % {"slots": moves.wanted(tally.quorum)}
    return ""


def has_approved(request: Request, actor: Actor) -> bool:
    """Whether this person's approval stands."""
    return actor.user is not None and selectors.tally(request).approval_of(actor.user.pk) is not None


KIND_TONES = {DecisionKind.APPROVE.value: "good", DecisionKind.REJECT.value: "bad", DecisionKind.REVOKE.value: "warn"}


def decisions_table(request: Request) -> Table:
    """Everything that was said."""
    return Table(
        _("What was said"),
        [_("who"), _("what"), _("comment"), _("signature"), _("time")],
        [
            [
                decision.user.username,
                display.label(decision.get_kind_display(), KIND_TONES.get(decision.kind, "plain")),
                decision.reason or display.NOTHING,
                _signature(decision.signer_key.fingerprint if decision.signer_key else ""),
                display.moment(decision.at),
            ]
            for decision in selectors.history(request)
        ],
        empty=_("Nobody has said anything yet."),
    )


def _signature(fingerprint: str) -> SafeString | str:
    return display.short(fingerprint) if fingerprint else display.NOTHING
