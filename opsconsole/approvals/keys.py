"""Giving a person a signer key, in the caller's operation: whoever calls this has had others agree to it.

`why` and `trace` go into the journal's entry: the reason that was given, and which change it came of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import selectors, signatures
from opsconsole.approvals.errors import SignerKeyTaken
from opsconsole.approvals.models import KeyKind, SignerKey
from opsconsole.approvals.passkeys import NewPasskey
from opsconsole.core import outbox
from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.core.operations import assert_in_operation
from opsconsole.journal.record import record


def require_new(*, fingerprint: str, credential_id: str = "") -> None:
    """Raise SignerKeyTaken for a key that anybody has registered before, also where it was revoked since."""
    same = Q(fingerprint=fingerprint) | (Q(credential_id=credential_id) if credential_id else Q())
    if SignerKey.objects.filter(same).exists():
        raise SignerKeyTaken(_("This key is registered already."), fingerprint=fingerprint)


def add_ed25519_key(
    *, user: User, name: str, public_key: str, actor: Actor, why: str = "", trace: Mapping[str, str] | None = None
) -> SignerKey:
    """Register an Ed25519 key given as PEM or base64; raises SignerKeyMalformed, SignerKeyTaken."""
    raw = signatures.parse_public_key(public_key)
    return _add(
        user,
        name,
        actor,
        why=why,
        trace=trace,
        public_key=signatures.stored(raw),
        fingerprint=signatures.fingerprint(raw),
    )


def add_passkey(
    *, user: User, name: str, passkey: NewPasskey, actor: Actor, why: str = "", trace: Mapping[str, str] | None = None
) -> SignerKey:
    """Register a passkey that has proved itself; raises SignerKeyTaken."""
    return _add(
        user,
        name,
        actor,
        why=why,
        trace=trace,
        kind=KeyKind.PASSKEY,
        public_key=passkey.public_key,
        fingerprint=passkey.fingerprint,
        credential_id=passkey.credential_id,
        rp_id=passkey.rp_id,
        sign_count=passkey.sign_count,
    )


def _add(user: User, name: str, actor: Actor, *, why: str, trace: Mapping[str, str] | None, **facts: Any) -> SignerKey:
    assert_in_operation()
    print_ = facts["fingerprint"]
    try:
        with transaction.atomic():
            key = SignerKey.objects.create(user=user, name=name, created_at=selectors.database_clock(), **facts)
    except IntegrityError as error:
        raise SignerKeyTaken(_("This key is registered already."), fingerprint=print_) from error
    after = {"user": str(user.pk), "name": name, "fingerprint": print_, **(trace or {})}
    if key.kind == KeyKind.PASSKEY:
        after |= {"kind": key.kind, "rp_id": key.rp_id}
    record(actor, "signer_key.registered", key, after=after, reason=why)
    facts = {"username": user.username, "name": name, "fingerprint": print_}
    outbox.emit("signer_key.registered", kind=SignerKey._meta.db_table, id=key.pk, data=facts)
    return key
