"""Approvals as operations: the generic door's decisions, the signer keys, and what the sweeper does."""

from __future__ import annotations

import base64
from uuid import UUID

from django.db import IntegrityError, transaction

from opsconsole.approvals import access, kernel, moves, selectors, signatures
from opsconsole.approvals.errors import SignerKeyRevoked, SignerKeyTaken
from opsconsole.approvals.models import Request, SignerKey
from opsconsole.approvals.states import DecisionKind
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import record


@operation
def decide_request(*, request_id: UUID, approved: bool, comments: str, signature: str, actor: Actor) -> Request:
    """Approve the request, or reject it, which ends it; raises what `kernel.decide` does."""
    request = access.request_for(actor, request_id)
    kind = DecisionKind.APPROVE if approved else DecisionKind.REJECT
    return kernel.decide(request, kind=kind, reason=comments, signature=signature, actor=actor)


@operation
def revoke_decision(*, request_id: UUID, comments: str, actor: Actor) -> Request:
    """Take back the actor's own approval, until it is used; raises NothingToRevoke."""
    request = access.request_for(actor, request_id)
    return kernel.decide(request, kind=DecisionKind.REVOKE, reason=comments, actor=actor)


@operation
def comment_on_request(*, request_id: UUID, comments: str, actor: Actor) -> Request:
    """Add a comment, which decides nothing."""
    request = access.request_for(actor, request_id)
    return kernel.decide(request, kind=DecisionKind.COMMENT, reason=comments, actor=actor)


@operation
def register_signer_key(*, name: str, public_key: str, actor: Actor) -> SignerKey:
    """Register the actor's own Ed25519 public key, as PEM or base64 of its 32 bytes.

    Raises SignerKeyMalformed, and SignerKeyTaken for a key that anybody has registered before.
    """
    actor.require("approvals.register_signerkey")
    raw = signatures.parse_public_key(public_key)
    print_ = signatures.fingerprint(raw)
    try:
        with transaction.atomic():
            key = SignerKey.objects.create(
                user=moves.person(actor),
                name=name,
                public_key=base64.b64encode(raw).decode(),
                fingerprint=print_,
                created_at=selectors.database_clock(),
            )
    except IntegrityError as error:
        raise SignerKeyTaken("This key is registered already.", fingerprint=print_) from error
    record(actor, "signer_key.registered", key, after={"user": actor.id, "name": name, "fingerprint": print_})
    return key


@operation
def revoke_signer_key(*, key_id: UUID, actor: Actor) -> SignerKey:
    """End the use of the actor's own key; approvals signed with it that are not used yet stop counting."""
    key = access.own_key(actor, key_id)
    if key.revoked_at is not None:
        raise SignerKeyRevoked("The key was revoked before.", revoked_at=key.revoked_at)
    key.revoked_at = selectors.database_clock()
    key.save(update_fields=["revoked_at"])
    record(actor, "signer_key.revoked", key, before={"revoked_at": None}, after={"revoked_at": key.revoked_at})
    return key


@operation
def expire_request(*, request_id: UUID, actor: Actor) -> bool:
    """End a live request whose time to live is over; False when it is not."""
    return kernel.expire(request_id=request_id, actor=actor)


@operation
def recount_request(*, request_id: UUID, actor: Actor) -> bool:
    """Reopen an approved request whose quorum no longer stands; False when it does."""
    return kernel.recount(request_id=request_id, actor=actor)
