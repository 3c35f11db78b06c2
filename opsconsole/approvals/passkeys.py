"""WebAuthn passkeys (W3C WebAuthn Level 2) as the second way to sign an approval.

The challenge of an assertion is the SHA-256 of the very text that an Ed25519 signature is over (see `signatures`), so
what is stored of it proves offline what was signed: authenticator data, client data and signature, with the public
key and the relying party's id that stand at the key. The authenticator must have verified its user. No nonce of the
server is needed: the text names the request, its digest and the how manieth approval of this person it is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.core import signing
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from webauthn import generate_registration_options, verify_authentication_response, verify_registration_response
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    generate_challenge,
    options_to_json_dict,
    parse_client_data_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from opsconsole.approvals.errors import PasskeyRefused, SignatureInvalid
from opsconsole.core.errors import Told
from opsconsole.core.models import User
from opsconsole.core.texts import Text

SALT: Final = "opsconsole.approvals.passkeys"
REGISTER_WITHIN: Final = 600  # seconds between seeing the page and touching the authenticator
MOST: Final = {"id": 1400, "client_data_json": 8000, "authenticator_data": 4000, "signature": 2000}  # characters
_WRONG = (WebAuthnException, InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError)


class _OtherPage(Told, ValueError):
    """The page that asked the authenticator is none of ours."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an authenticator answered: four values, each in base64url without padding."""

    id: str
    client_data_json: str
    authenticator_data: str
    signature: str

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Self:
        """From `PublicKeyCredential.toJSON()` with our names or the standard's; raises SignatureInvalid."""
        response = value.get("response")
        if not isinstance(response, Mapping):
            raise SignatureInvalid(_("The passkey's answer has no `response`."))
        return cls(
            id=_text(value, "id"),
            client_data_json=_text(response, "client_data_json", "clientDataJSON"),
            authenticator_data=_text(response, "authenticator_data", "authenticatorData"),
            signature=_text(response, "signature"),
        )

    def stored(self) -> dict[str, str]:
        """What a decision keeps beside the signature."""
        return {"authenticator_data": self.authenticator_data, "client_data_json": self.client_data_json}

    @property
    def signature_stored(self) -> str:
        """The signature as a decision keeps it, in base64 like one of Ed25519."""
        return base64.b64encode(base64url_to_bytes(self.signature)).decode()

    def as_credential(self) -> dict[str, Any]:
        """The form that the library reads."""
        return {
            "id": self.id,
            "rawId": self.id,
            "type": "public-key",
            "response": {
                "clientDataJSON": self.client_data_json,
                "authenticatorData": self.authenticator_data,
                "signature": self.signature,
            },
        }


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A passkey that has proved itself, as it is stored."""

    credential_id: str
    public_key: str  # base64 of the COSE key (RFC 9052)
    fingerprint: str
    sign_count: int
    rp_id: str


def challenge_of(text: str) -> bytes:
    """The challenge whose signature is a signature over the text."""
    return hashlib.sha256(text.encode()).digest()


def check(assertion: Assertion, *, challenge: bytes, public_key: str, rp_id: str, sign_count: int) -> int:
    """The counter of a genuine assertion, made here and now; raises SignatureInvalid for any other.

    The person was verified by the authenticator, on a page of ours, and the counter has not gone back, which it does
    in a copied authenticator.
    """
    _require_our_page(assertion)
    return _verified(assertion, challenge=challenge, public_key=public_key, rp_id=rp_id, sign_count=sign_count)


def verifies(*, public_key: str, rp_id: str, signature: str, assertion: Mapping[str, Any], text: str) -> bool:
    """Whether a stored decision is what the owner of the passkey signed: this text, nothing else.

    Needs no database, no settings and no authenticator. `signature` is base64, as a decision keeps it.
    """
    try:
        given = Assertion(
            id=bytes_to_base64url(b"stored"),
            client_data_json=str(assertion["client_data_json"]),
            authenticator_data=str(assertion["authenticator_data"]),
            signature=bytes_to_base64url(base64.b64decode(signature, validate=True)),
        )
        _verified(given, challenge=challenge_of(text), public_key=public_key, rp_id=rp_id, sign_count=0)
    except (SignatureInvalid, *_WRONG):
        return False
    return True


def ask_to_register(user: User, known: Iterable[str]) -> tuple[dict[str, Any], str]:
    """What `navigator.credentials.create` takes, and a token by which the answer is known to be to this question."""
    challenge = generate_challenge()
    options = generate_registration_options(
        rp_id=settings.WEBAUTHN_RP_ID,
        rp_name="OpsConsole",
        user_id=user.pk.bytes,
        user_name=user.username,
        user_display_name=user.get_full_name() or user.username,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in known],
    )
    asked = {"challenge": bytes_to_base64url(challenge), "user": str(user.pk)}
    return options_to_json_dict(options), signing.dumps(asked, salt=SALT)


def read_registration(*, credential: Mapping[str, Any], token: str, user: User) -> NewPasskey:
    """The passkey that answered `ask_to_register`, which was asked of this user; raises PasskeyRefused."""
    try:
        asked = signing.loads(token, salt=SALT, max_age=REGISTER_WITHIN)
    except signing.BadSignature as problem:
        raise PasskeyRefused(
            _("The page was open for too long, or is not of this console; open it again.")
        ) from problem
    if asked["user"] != str(user.pk):
        raise PasskeyRefused(_("This registration was begun by somebody else."))
    try:
        made = verify_registration_response(
            credential=dict(credential),
            expected_challenge=base64url_to_bytes(asked["challenge"]),
            expected_rp_id=settings.WEBAUTHN_RP_ID,
            expected_origin=_origin_if_ours(str(credential["response"]["clientDataJSON"])),
            require_user_verification=True,
        )
        fingerprint = _fingerprint(made.credential_public_key)
    except _WRONG as problem:
        raise PasskeyRefused(
            format_lazy(_("The passkey cannot be registered: {why}"), why=_sentence(problem))
        ) from problem
    return NewPasskey(
        credential_id=bytes_to_base64url(made.credential_id),
        public_key=base64.b64encode(made.credential_public_key).decode(),
        fingerprint=fingerprint,
        sign_count=made.sign_count,
        rp_id=settings.WEBAUTHN_RP_ID,
    )


def _verified(assertion: Assertion, *, challenge: bytes, public_key: str, rp_id: str, sign_count: int) -> int:
    try:
        client = parse_client_data_json(base64url_to_bytes(assertion.client_data_json))
        if client.cross_origin or not _belongs(client.origin, rp_id):
            raise SignatureInvalid(
                _("The passkey was used on a page that is not of this console."), origin=client.origin
            )
        done = verify_authentication_response(
            credential=assertion.as_credential(),
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=client.origin,
            credential_public_key=base64.b64decode(public_key, validate=True),
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except _WRONG as problem:
        raise SignatureInvalid(
            format_lazy(_("The passkey's signature does not verify: {why}"), why=_sentence(problem))
        ) from problem
    return done.new_sign_count


def _fingerprint(cose: bytes) -> str:
    """SHA-256 over the key's DER form, as that of an Ed25519 key is."""
    key = decoded_public_key_to_cryptography(decode_credential_public_key(cose))
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _require_our_page(assertion: Assertion) -> None:
    try:
        _origin_if_ours(assertion.client_data_json)
    except _WRONG as problem:
        raise SignatureInvalid(
            format_lazy(_("The passkey's signature does not verify: {why}"), why=_sentence(problem))
        ) from problem


def _origin_if_ours(client_data_json: str) -> str:
    """The origin of the page that asked, if it is one of ours; raises _OtherPage."""
    origin = parse_client_data_json(base64url_to_bytes(client_data_json)).origin
    ours = settings.WEBAUTHN_ORIGINS
    if origin in ours if ours else _belongs(origin, settings.WEBAUTHN_RP_ID):
        return origin
    raise _OtherPage(format_lazy(_("the page at {origin} is not of this console."), origin=origin))


def _belongs(origin: str, rp_id: str) -> bool:
    """Whether a browser would let a page of this origin use the relying party's id."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    secure = parts.scheme == "https" or (parts.scheme == "http" and rp_id == "localhost")
    return secure and (host == rp_id or host.endswith(f".{rp_id}"))


def _text(value: Mapping[str, Any], *names: str) -> str:
    found = next((value[name] for name in names if name in value), None)
    if not isinstance(found, str) or not 0 < len(found) <= MOST[names[0]]:
        raise SignatureInvalid(format_lazy(_("The passkey's answer has no usable `{name}`."), name=names[-1]))
    try:
        base64.b64decode(found + "=" * (-len(found) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as problem:
        raise SignatureInvalid(
            format_lazy(_("`{name}` of the passkey's answer is not base64url."), name=names[-1])
        ) from problem
    return found


def _sentence(problem: Exception) -> Text:
    if isinstance(problem, Told):
        return problem.told  # ours; what the library says is in English
    text = str(problem).strip().rstrip(".") or type(problem).__name__
    return f"{text[:1].lower()}{text[1:200]}."
