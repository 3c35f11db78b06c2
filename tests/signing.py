"""Keys that people have already, without the change by which others agree to them (tests/identity/test_signer_keys)."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opsconsole.approvals import keys, passkeys
from opsconsole.approvals.models import SignerKey
from opsconsole.approvals.passkeys import NewPasskey
from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from tests.approvals.authenticator import Authenticator


@operation
def give_key(*, name: str, public_key: str, actor: Actor) -> SignerKey:
    """The actor's, from now on."""
    assert actor.user is not None
    return keys.add_ed25519_key(user=actor.user, name=name, public_key=public_key, actor=actor)


@operation
def give_passkey(*, name: str, passkey: NewPasskey, actor: Actor) -> SignerKey:
    """The actor's, from now on."""
    assert actor.user is not None
    return keys.add_passkey(user=actor.user, name=name, passkey=passkey, actor=actor)


def new_public_key() -> str:
    """The public half of a key that nobody will sign with."""
    return base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()


def registration(user: User, device: Authenticator) -> dict[str, Any]:
    """The console's question to this person, and what the device answers: what a form of the admin sends."""
    options, asked = passkeys.ask_to_register(user, [])
    return {"asked": asked, "passkey": device.create(options)}


def read_registration(user: User, device: Authenticator) -> NewPasskey:
    """The passkey that the device makes for this person, as it is kept; raises PasskeyRefused."""
    said = registration(user, device)
    return passkeys.read_registration(credential=said["passkey"], token=said["asked"], user=user)
