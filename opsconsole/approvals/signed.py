"""Signed decisions: whether a stored one proves itself, and which passkeys somebody can sign the next one with."""

from __future__ import annotations

from django.conf import settings

from opsconsole.approvals import passkeys, signatures
from opsconsole.approvals.models import Decision, KeyKind, SignerKey
from opsconsole.core.models import User


def proves_itself(decision: Decision) -> bool:
    """Whether the signature of a decision verifies against its key, from nothing but what is stored.

    A decision that is not signed proves nothing. Whether the key has been revoked since is another question.
    """
    key = decision.signer_key
    if key is None or key.user_id != decision.user_id:
        return False
    text = signatures.signing_text(
        request_id=decision.request_id, digest=decision.digest, decision=decision.kind, nth=decision.nth
    )
    assertion = decision.assertion
    if key.kind == KeyKind.ED25519:
        return assertion is None and signatures.verifies(
            public_key=key.public_key, signature=decision.signature, text=text
        )
    return assertion is not None and passkeys.verifies(
        public_key=key.public_key, rp_id=key.rp_id, signature=decision.signature, assertion=assertion, text=text
    )


def passkeys_of(user: User) -> list[SignerKey]:
    """The user's passkeys that are in use and were made for this console's address, oldest first."""
    mine = SignerKey.objects.filter(user=user, kind=KeyKind.PASSKEY, revoked_at=None)
    return list(mine.filter(rp_id=settings.WEBAUTHN_RP_ID).order_by("id"))
