"""What people say to a request: approve, reject, revoke, comment. Both doors come here, through `kernel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import access, moves, passkeys, quorum, selectors, signatures
from opsconsole.approvals.errors import (
    AlreadyApproved,
    AlreadyComplete,
    DigestMismatch,
    NoOpenSlot,
    NotAnApprover,
    NothingToRevoke,
    ReasonMissing,
    SeparationOfDuties,
    SignatureInvalid,
    SignatureRequired,
)
from opsconsole.approvals.models import Decision, KeyKind, Request, SignerKey
from opsconsole.approvals.passkeys import Assertion
from opsconsole.approvals.states import DecisionKind, Outcome, RequestState
from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.core.operations import assert_in_operation


def decide(
    request: Request,
    *,
    kind: DecisionKind,
    actor: Actor,
    reason: str = "",
    signature: str | Assertion = "",
    digest: str | None = None,
) -> Request:
    """Say something to a request in the caller's operation; the subject follows by its hooks.

    Approve and reject may be signed, by key or passkey, and a given signature must verify; reject and comment take
    a reason. `digest`, where the caller says what they looked at, must be the request's. Answers with the request as
    it is then. Raises NotFound, Denied (SeparationOfDuties, NotAnApprover), Conflict (RequestEnded, RequestExpired,
    AlreadyApproved, AlreadyComplete, NoOpenSlot, NothingToRevoke, DigestMismatch), Invalid (ReasonMissing) and
    RuleBroken (SignatureRequired, SignatureInvalid).
    """
    assert_in_operation()
    request = access.request_to_decide(actor, request.pk)
    said = Said(request, moves.person(actor), actor, reason, signature)
    if kind is DecisionKind.COMMENT:
        return _comment(said)
    if kind is not DecisionKind.REVOKE:
        _require_a_say(said, kind)
    moves.require_open(request)
    if digest is not None and digest != request.digest:
        raise DigestMismatch(_("The content has changed since you saw it."), current=request.digest, digest=digest)
    match kind:
        case DecisionKind.APPROVE:
            return _approve(said)
        case DecisionKind.REJECT:
            return _reject(said)
        case DecisionKind.REVOKE:
            return _revoke(said)


@dataclass(frozen=True, slots=True)
class Said:
    """Somebody's word on a request that is locked."""

    request: Request
    user: User
    actor: Actor
    reason: str
    signature: str | Assertion


def _require_a_say(said: Said, kind: DecisionKind) -> None:
    if kind is DecisionKind.APPROVE and str(said.user.pk) in said.request.barred:
        said_no = _("You asked for this or had a hand in it; other people must approve it.")
        open_ = selectors.tally(said.request).quorum
        if not open_.complete:
            still = format_lazy(_("Still needed: {slots}."), slots=moves.wanted(open_))
            raise SeparationOfDuties(format_lazy("{said} {still}", said=said_no, still=still))
        raise SeparationOfDuties(said_no)
    asked = said.request.terms.roles
    if selectors.roles_of(said.user).isdisjoint(asked):
        raise NotAnApprover(
            format_lazy(_("This takes one of the roles {roles}."), roles=", ".join(asked)), roles=list(asked)
        )


def _approve(said: Said) -> Request:
    request, me = said.request, str(said.user.pk)
    counted = selectors.tally(request)
    if counted.approval_of(said.user.pk) is not None:
        raise AlreadyApproved(_("You have approved this already."), request=str(request.pk))
    if request.state is RequestState.APPROVED:
        if counted.quorum.complete:
            raise AlreadyComplete(_("Everybody who must agree has agreed."), request=str(request.pk))
        moves.reopen(request, said.actor, counted)
    approvers = {**counted.approvers, me: selectors.roles_of(said.user)}
    reached = quorum.count(request.terms.slots, approvers, request.barred)
    if not reached.seats(me):
        raise NoOpenSlot(
            format_lazy(_("Still needed: {slots}."), slots=moves.wanted(counted.quorum)),
            open=moves.slots(counted.quorum),
        )
    decision = _signed(said, DecisionKind.APPROVE, nth=selectors.nth_approval(request, said.user.pk))
    before = request.status
    if reached.complete:
        request.move_to(RequestState.APPROVED)
        request.decided_at = request.decided_at or decision.at
        request.save(update_fields=["status", "decided_at"])
    _journal(said, "approval.approved", decision, reached, before)
    moves.follow(request, Outcome.APPROVED if reached.complete else Outcome.PROGRESSED, said.actor)
    return request


def _reject(said: Said) -> Request:
    request = said.request
    if not said.reason.strip():
        raise ReasonMissing(_("A rejection says why."), errors={"comments": [_("must not be blank")]})
    decision = _signed(said, DecisionKind.REJECT)
    before = request.status
    request.move_to(RequestState.REJECTED)
    request.decided_at = request.decided_at or decision.at
    request.ended_at = decision.at
    request.save(update_fields=["status", "decided_at", "ended_at"])
    _journal(said, "approval.rejected", decision, selectors.tally(request).quorum, before)
    moves.follow(request, Outcome.REJECTED, said.actor)
    return request


def _revoke(said: Said) -> Request:
    request = said.request
    approval = selectors.tally(request).approval_of(said.user.pk)
    if approval is None:
        raise NothingToRevoke(_("You have no approval here that stands."), request=str(request.pk))
    decision = _write(said, DecisionKind.REVOKE, revokes=approval)
    before, reached = request.status, selectors.tally(request).quorum
    outcome = Outcome.PROGRESSED
    if request.state is RequestState.APPROVED and not reached.complete:
        outcome = Outcome.REOPENED
        request.move_to(RequestState.PENDING).save(update_fields=["status"])
    _journal(said, "approval.revoked", decision, reached, before)
    moves.follow(request, outcome, said.actor)
    return request


def _comment(said: Said) -> Request:
    if not said.reason.strip():
        raise ReasonMissing(_("A comment says something."), errors={"comments": [_("must not be blank")]})
    decision = _write(said, DecisionKind.COMMENT)
    moves.journal(said.request, said.actor, "approval.commented", after={"decision": decision.pk}, reason=said.reason)
    return said.request


def _signed(said: Said, kind: DecisionKind, nth: int = 1) -> Decision:
    """The decision with its signature verified, and the policy's wish for one heeded."""
    request = said.request
    if said.signature:
        text = signatures.signing_text(request_id=request.pk, digest=request.digest, decision=kind.value, nth=nth)
        if isinstance(said.signature, Assertion):
            return _write(said, kind, nth=nth, **_by_passkey(said.signature, text, said.user))
        signature = signatures.parse_signature(said.signature)
        return _write(said, kind, nth=nth, signature=signature, signer_key=_key_that_made(signature, text, said.user))
    if kind is DecisionKind.APPROVE and request.terms.signature_required:
        raise SignatureRequired(_("The policy asks for a signature with each approval."), request=str(request.pk))
    return _write(said, kind, nth=nth)


def _key_that_made(signature: str, text: str, user: User) -> SignerKey:
    for key in SignerKey.objects.filter(user=user, kind=KeyKind.ED25519, revoked_at=None).order_by("id"):
        if signatures.verifies(public_key=key.public_key, signature=signature, text=text):
            return key
    raise SignatureInvalid(_("The signature does not verify against any of your keys in use."), signing_text=text)


def _by_passkey(assertion: Assertion, text: str, user: User) -> dict[str, Any]:
    """What to write of a passkey's signature; its counter goes on, under the key's lock."""
    key = (
        SignerKey.objects.select_for_update(of=("self",))
        .filter(user=user, kind=KeyKind.PASSKEY, revoked_at=None, credential_id=assertion.id)
        .first()
    )
    if key is None:
        raise SignatureInvalid(_("This is none of your passkeys in use."))
    key.sign_count = passkeys.check(
        assertion,
        challenge=passkeys.challenge_of(text),
        public_key=key.public_key,
        rp_id=key.rp_id,
        sign_count=key.sign_count,
    )
    key.save(update_fields=["sign_count"])
    return {"signature": assertion.signature_stored, "assertion": assertion.stored(), "signer_key": key}


def _write(said: Said, kind: DecisionKind, **facts: Any) -> Decision:
    return Decision.objects.create(
        request=said.request,
        user=said.user,
        kind=kind,
        digest=said.request.digest,
        reason=said.reason,
        within=None if said.user.within is None else sorted(said.user.within),
        at=selectors.database_clock(),
        **facts,
    )


def _journal(said: Said, verb: str, decision: Decision, reached: quorum.Quorum, before: str) -> None:
    after: dict[str, Any] = {
        "status": said.request.status,
        "decision": decision.pk,
        "digest": decision.digest,
        "open": moves.slots(reached),
    }
    if decision.signer_key is not None:
        after |= {"signature": decision.signature, "signer_key": decision.signer_key.fingerprint}
    if decision.assertion is not None:
        after |= {"assertion": decision.assertion}
    moves.journal(said.request, said.actor, verb, before={"status": before}, after=after, reason=said.reason)
