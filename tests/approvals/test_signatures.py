"""Keys and signatures, made by the real openssl and forged in every way at hand."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.approvals import signatures
from opsconsole.approvals.errors import SignatureInvalid, SignerKeyMalformed

REQUEST = UUID("0199d3a5-5c1e-7c3f-9a51-0f6f1f1f2a10")
DIGEST = "ab" * 32
TEXT = signatures.signing_text(request_id=REQUEST, digest=DIGEST, decision="approve")

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command")


def openssl(*arguments: str) -> bytes:
    return subprocess.run([OPENSSL, *arguments], check=True, capture_output=True).stdout


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def test_the_text_is_documented_to_the_byte() -> None:
    assert TEXT.encode() == (
        b"opsconsole approval v1\nrequest: 0199d3a5-5c1e-7c3f-9a51-0f6f1f1f2a10\n"
        b"digest: " + b"ab" * 32 + b"\ndecision: approve\n"
    )
    again = signatures.signing_text(request_id=REQUEST, digest=DIGEST, decision="approve", nth=2)
    assert again == TEXT + "round: 2\n"


@needs_openssl
def test_openssl_makes_what_we_verify(tmp_path: Path) -> None:
    private, text = tmp_path / "key.pem", tmp_path / "text"
    openssl("genpkey", "-algorithm", "ed25519", "-out", str(private))
    pem = openssl("pkey", "-in", str(private), "-pubout").decode()
    der = openssl("pkey", "-in", str(private), "-pubout", "-outform", "DER")
    text.write_text(TEXT)
    made = openssl("pkeyutl", "-sign", "-rawin", "-inkey", str(private), "-in", str(text))

    raw = signatures.parse_public_key(pem)
    assert signatures.fingerprint(raw) == hashlib.sha256(der).hexdigest()
    stored = base64.b64encode(raw).decode()
    signature = signatures.parse_signature(base64.b64encode(made).decode())
    assert signatures.verifies(public_key=stored, signature=signature, text=TEXT)
    assert not signatures.verifies(public_key=stored, signature=signature, text=TEXT.replace("approve", "reject"))


def test_the_key_is_read_as_pem_and_as_base64(key: Ed25519PrivateKey) -> None:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert signatures.parse_public_key(f"\n {pem} \n") == signatures.parse_public_key(public(key))


def test_every_flipped_bit_is_noticed(key: Ed25519PrivateKey) -> None:
    good = key.sign(TEXT.encode())
    assert signatures.verifies(public_key=public(key), signature=base64.b64encode(good).decode(), text=TEXT)
    for bit in range(len(good) * 8):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        forged = base64.b64encode(bytes(bad)).decode()
        assert not signatures.verifies(public_key=public(key), signature=forged, text=TEXT), bit


def test_another_key_another_text(key: Ed25519PrivateKey) -> None:
    signature = base64.b64encode(key.sign(TEXT.encode())).decode()
    other = public(Ed25519PrivateKey.generate())
    assert not signatures.verifies(public_key=other, signature=signature, text=TEXT)
    assert not signatures.verifies(public_key=public(key), signature=signature, text=TEXT.rstrip("\n"))
    assert not signatures.verifies(public_key=public(key), signature=signature, text=TEXT.replace("ab", "ac", 1))


def test_a_private_key_is_refused_and_not_repeated(key: Ed25519PrivateKey) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(SignerKeyMalformed, match="private key") as refused:
        signatures.parse_public_key(pem)
    assert pem.splitlines()[1] not in str(refused.value) + repr(refused.value.fields)


def test_another_kind_of_key_is_refused() -> None:
    pem = generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(SignerKeyMalformed, match="another kind"):
        signatures.parse_public_key(pem.decode())


# The encodings of the points whose order divides 8 (the eight canonical ones, and two with y >= p).
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


@pytest.mark.parametrize("encoding", SMALL_ORDER)
def test_a_key_that_fits_signatures_nobody_made_is_refused(encoding: str) -> None:
    with pytest.raises(SignerKeyMalformed):
        signatures.parse_public_key(base64.b64encode(bytes.fromhex(encoding)).decode())


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.b64encode(raw).decode())))
def test_any_text_is_a_key_or_malformed(text: str) -> None:
    try:
        raw = signatures.parse_public_key(text)
    except SignerKeyMalformed:
        return
    assert len(raw) == signatures.KEY_BYTES


@given(st.text().map(lambda body: f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----"))
def test_any_pem_is_a_key_or_malformed(text: str) -> None:
    with pytest.raises(SignerKeyMalformed):
        signatures.parse_public_key(text)


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.b64encode(raw).decode())))
def test_any_text_is_a_signature_or_invalid(text: str) -> None:
    try:
        parsed = signatures.parse_signature(text)
    except SignatureInvalid:
        return
    assert len(base64.b64decode(parsed)) == signatures.SIGNATURE_BYTES


@given(st.text(), st.text())
def test_stored_rubbish_verifies_nothing(public_key: str, signature: str) -> None:
    assert not signatures.verifies(public_key=public_key, signature=signature, text=TEXT)
