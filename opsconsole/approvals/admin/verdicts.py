"""The buttons on a request: approve, reject, revoke, comment. Other apps put theirs on the same forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, cast

from django import forms
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import quorum, selectors, services
from opsconsole.approvals.admin.content import content_of
from opsconsole.approvals.admin.inbox import on_to_the_next
from opsconsole.approvals.admin.panel import approvals_panel, has_approved, why_not_approve
from opsconsole.approvals.admin.passkeys import PasskeyField, sign_with
from opsconsole.approvals.errors import DigestMismatch
from opsconsole.approvals.models import Request
from opsconsole.approvals.serializers import signature_in
from opsconsole.approvals.states import LIVE, OPEN
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import (
    MAX_REASON,
    Action,
    ActionForm,
    OptionalReasonForm,
    Press,
    ReasonForm,
    then,
)
from opsconsole.core.admin.pages import Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text


class ApproveForm(ActionForm):
    """The digest that the approver saw, a comment, and a signature where they want to give one."""

    digest = forms.CharField(widget=forms.HiddenInput, max_length=64)
    comment = forms.CharField(
        label=_("Comment"), required=False, max_length=MAX_REASON, widget=forms.Textarea({"rows": 2})
    )
    signature = forms.CharField(
        label=_("Signature"),
        required=False,
        max_length=200,
        help_text=_("Base64 of your Ed25519 signature over the text to sign; needed only where the policy says so."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "class": "ops-mono"}),
    )

    passkey = PasskeyField(
        _("Approve and sign with a passkey"),
        required=False,
        label=_("Passkey"),
        help_text=_("Your authenticator signs the same text, after it has verified you."),
    )
    wants_signature = False

    def ask_for_signature(self, request: Request | None, actor: Actor) -> Self:
        """Offer the passkeys of the approver, if they have any; insist on a signature where the policy does."""
        options = None
        if request is not None and actor.user is not None:
            self.wants_signature = request.terms.signature_required
            options = sign_with(actor.user, selectors.text_to_sign(request, actor))
        if options is None:
            del self.fields["passkey"]
            self.fields["signature"].required = self.wants_signature
        else:
            self.fields["passkey"].widget.options = options
        return self

    def clean(self) -> dict[str, Any]:
        """One signature, by key or by passkey, where the policy wants one."""
        said = super().clean() or self.cleaned_data
        if self.wants_signature and not (said.get("signature") or said.get("passkey")):
            self.add_error("signature", now_("The policy asks for a signature, by key or by passkey."))
        return said


class CommentForm(ActionForm):
    """Something to say."""

    comment = forms.CharField(label=_("Comment"), max_length=MAX_REASON, widget=forms.Textarea({"rows": 3}))


def require_seen(seen: str, now: str) -> None:
    """Raise DigestMismatch when the content is no longer what the approver's page showed.

    Called on the service's result, inside its transaction: nothing is then written.
    """
    if seen != now:
        raise DigestMismatch(_("The content has changed since you saw it; look at it again."), digest=seen, current=now)


class Approve(Action[Request]):
    """Agree."""

    name = "approve"
    label = _("Approve")
    icon = "check"
    tone = "primary"
    permission = "approvals.decide_request"
    form = ApproveForm

    def offered(self, _actor: Actor, row: Request) -> bool:
        """While people can decide."""
        return row.status in OPEN

    def obstacle(self, actor: Actor, row: Request) -> Text:
        """Why this person cannot."""
        return ended(row) or why_not_approve(row, actor)

    def question(self, row: Request) -> Text:
        """What is agreed to."""
        return now_("Approve “%(title)s”, exactly as it is shown here?") % {"title": row.title}

    def sections(self, actor: Actor, row: Request) -> Sequence[Section]:
        """The panel, with the text to sign, and all that is agreed to."""
        return [approvals_panel(row, actor, linked=True), *content_of(row)]

    def initial(self, row: Request) -> dict[str, Any]:
        """What is approved."""
        return {"digest": row.digest}

    def make_form(self, actor: Actor, row: Request, data: Any = None, files: Any = None) -> ActionForm:
        """With a signature, where the policy asks for one."""
        return cast(ApproveForm, super().make_form(actor, row, data, files)).ask_for_signature(row, actor)

    def perform(self, press: Press[Request]) -> Answer:
        """Approve it, if it is still what was seen."""

        def render(request: Request) -> Answer:
            require_seen(press.data["digest"], request.digest)
            return on_to_the_next(_approved(request), request, press.actor)

        return services.decide_request.once(
            press.key,
            render,
            request_id=press.row.pk,
            approved=True,
            comments=press.data["comment"],
            signature=signature_in(press.data),
            actor=press.actor,
        )


class Reject(Action[Request]):
    """Refuse for good."""

    name = "reject"
    label = _("Reject")
    icon = "block"
    tone = "danger"
    permission = "approvals.decide_request"
    form = ReasonForm

    def offered(self, _actor: Actor, row: Request) -> bool:
        """While people can decide."""
        return row.status in OPEN

    def obstacle(self, actor: Actor, row: Request) -> Text:
        """Why this person cannot."""
        return ended(row) or why_not_reject(row, actor)

    def question(self, row: Request) -> Text:
        """What ends."""
        return now_("Reject “%(title)s” for good? It cannot be approved any more.") % {"title": row.title}

    def perform(self, press: Press[Request]) -> Answer:
        """Reject it."""
        return services.decide_request.once(
            press.key,
            lambda request: on_to_the_next(now_("Rejected."), request, press.actor),
            request_id=press.row.pk,
            approved=False,
            comments=press.data["reason"],
            signature="",
            actor=press.actor,
        )


class Revoke(Action[Request]):
    """Take back one's own approval."""

    name = "revoke"
    label = _("Take back my approval")
    icon = "undo"
    permission = "approvals.decide_request"
    form = OptionalReasonForm

    def offered(self, actor: Actor, row: Request) -> bool:
        """While this person's approval stands and was not used."""
        return row.status in OPEN and has_approved(row, actor)

    def question(self, row: Request) -> Text:
        """What is taken back."""
        return now_("Take back your approval of “%(title)s”?") % {"title": row.title}

    def perform(self, press: Press[Request]) -> Answer:
        """Take it back."""
        return services.revoke_decision.once(
            press.key,
            then(lambda _request: now_("Your approval is taken back."), display.row_url),
            request_id=press.row.pk,
            comments=press.data["reason"],
            actor=press.actor,
        )


class Comment(Action[Request]):
    """Say something that decides nothing."""

    name = "comment"
    label = _("Comment")
    icon = "chat"
    permission = "approvals.decide_request"
    form = CommentForm

    def offered(self, _actor: Actor, row: Request) -> bool:
        """While it has not ended."""
        return row.status in LIVE

    def question(self, row: Request) -> Text:
        """To what."""
        return now_("Comment on “%(title)s”. A comment decides nothing.") % {"title": row.title}

    def perform(self, press: Press[Request]) -> Answer:
        """Add it."""
        return services.comment_on_request.once(
            press.key,
            then(lambda _request: now_("Your comment is added."), display.row_url),
            request_id=press.row.pk,
            comments=press.data["comment"],
            actor=press.actor,
        )


def ended(request: Request) -> str:
    """Why nobody can decide any more; empty while people can."""
    if request.status not in OPEN:
        return now_("The request is %(state)s.") % {"state": request.state.label}
    return ""


def why_not_reject(request: Request, actor: Actor) -> str:
    """Why this person has no say; empty when they have one."""
    if actor.user is None or selectors.roles_of(actor.user).isdisjoint(request.terms.roles):
        return now_("This takes one of the roles %(roles)s.") % {"roles": ", ".join(request.terms.roles)}
    return ""


def _approved(request: Request) -> str:
    tally = selectors.tally(request)
    if tally.quorum.complete:
        return now_("Approved: everybody who must agree has agreed.")
    still = " + ".join(quorum.in_words([slot]) for slot in tally.quorum.open)
    return now_("Approved. Still needed: %(slots)s.") % {"slots": still}
