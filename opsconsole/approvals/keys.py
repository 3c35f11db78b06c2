"""Giving a person a signer key; joins the caller's operation, so that other apps can do it once it is agreed."""

from __future__ import annotations

import base64
from typing import Any

from django.db import IntegrityError, transaction

from opsconsole.approvals import selectors, signatures
from opsconsole.approvals.errors import SignerKeyTaken
from opsconsole.approvals.models import KeyKind, SignerKey
from opsconsole.approvals.passkeys import NewPasskey
from opsconsole.core import outbox
from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.core.operations import assert_in_operation
from opsconsole.journal.record import record


def add_ed25519_key(*, user: User, name: str, public_key: str, actor: Actor) -> SignerKey:
    """Register an Ed25519 key given as PEM or base64; raises SignerKeyMalformed, SignerKeyTaken."""
    raw = signatures.parse_public_key(public_key)
    return _add(
        user,
        name,
        actor,
        public_key=base64.b64encode(raw).decode(),
        fingerprint=signatures.fingerprint(raw),
    )


def add_passkey(*, user: User, name: str, passkey: NewPasskey, actor: Actor) -> SignerKey:
    """Register a passkey that has proved itself; raises SignerKeyTaken."""
    return _add(
        user,
        name,
        actor,
        kind=KeyKind.PASSKEY,
        public_key=passkey.public_key,
        fingerprint=passkey.fingerprint,
        credential_id=passkey.credential_id,
        rp_id=passkey.rp_id,
        sign_count=passkey.sign_count,
    )


def _add(user: User, name: str, actor: Actor, **facts: Any) -> SignerKey:
    assert_in_operation()
    print_ = facts["fingerprint"]
    try:
        with transaction.atomic():
            key = SignerKey.objects.create(user=user, name=name, created_at=selectors.database_clock(), **facts)
    except IntegrityError as error:
        raise SignerKeyTaken("This key is registered already.", fingerprint=print_) from error
    told = {"user": str(user.pk), "name": name, "fingerprint": print_}
    if key.kind == KeyKind.PASSKEY:
        told |= {"kind": key.kind, "rp_id": key.rp_id}
    record(actor, "signer_key.registered", key, after=told)
    facts = {"username": user.username, "name": name, "fingerprint": print_}
    outbox.emit("signer_key.registered", kind=SignerKey._meta.db_table, id=key.pk, data=facts)
    return key
