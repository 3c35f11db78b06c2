"""Where nothing is ever sent to."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from opsconsole.notifications.gateways import addresses, http, signing
from opsconsole.notifications.gateways.addresses import Forbidden, parse, resolve
from tests.notifications.receiver import Started

INSIDE = (
    "127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "[::1]", "[fe80::1]", "[fc00::1]", "[::ffff:10.0.0.1]", "[2002:a00:1::]", "[ff02::1]", "[::]",
)  # fmt: skip


@pytest.fixture
def production(settings: Any) -> None:
    """As in production: https only, nothing inside."""
    settings.NOTIFICATIONS_ALLOW_HTTP = False
    settings.NOTIFICATIONS_ALLOWED_NETWORKS = []


@pytest.mark.parametrize("host", INSIDE)
def test_no_machine_of_ours(production: None, host: str) -> None:
    with pytest.raises(Forbidden, match="is an address inside"):
        parse(f"https://{host}/hook")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "https://", "https:///x", "//example.com", "example.com", "",
        "https://user:pw@example.com/", "https://example.com/#x", "https://exa mple.com/", "https://example.com:0/",
        "https://example.com:99999/", "https://example.com:x/", "https://[::1/", "https://exämple.com/",
        "https://example.com\\@127.0.0.1/", "https://example.com/\r\nHost: x", "https://-x/", "https://a_b/",
        "https://example.com/" + "x" * 2000, "file:///etc/passwd", "gopher://example.com/",
    ],
)  # fmt: skip
def test_what_is_no_target(production: None, url: str) -> None:
    with pytest.raises(Forbidden):
        parse(url)


def test_what_is_a_target(production: None) -> None:
    target = parse("https://hooks.example.com:8443/a/b?c=d")
    assert (target.host, target.port, target.path) == ("hooks.example.com", 8443, "/a/b?c=d")
    assert target.host_header == "hooks.example.com:8443"
    assert parse("https://93.184.216.34").path == "/"


@pytest.mark.parametrize("addresses_given", [["10.1.2.3"], ["93.184.216.34", "10.1.2.3"], ["::1"]])
def test_a_name_that_leads_inside(
    production: None, monkeypatch: pytest.MonkeyPatch, addresses_given: list[str]
) -> None:
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in addresses_given]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: entries)
    with pytest.raises(Forbidden):
        resolve(parse("https://innocent.example.com/"))
    outcome = http.post("https://innocent.example.com/", b"{}", {})
    assert outcome.permanent
    assert "inside" in outcome.error


def test_the_line_goes_to_the_address_that_was_checked(receiver: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that says something else the second time is not asked a second time."""
    asked = []

    def once(*_args: Any, **_more: Any) -> list[Any]:
        asked.append(1)
        assert len(asked) == 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", receiver.port))]

    real = socket.getaddrinfo

    def ask(host: str, *args: Any, **more: Any) -> Any:
        return once() if host == "changing.example.com" else real(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    outcome = http.post(f"http://changing.example.com:{receiver.port}/ok", b"{}", {})
    assert outcome.arrived
    assert receiver.got()[0]["headers"]["host"] == f"changing.example.com:{receiver.port}"


def test_a_setting_opens_a_network(settings: Any) -> None:
    from ipaddress import ip_network

    settings.NOTIFICATIONS_ALLOWED_NETWORKS = [ip_network("10.1.0.0/16")]
    assert parse("https://10.1.2.3/").host == "10.1.2.3"
    with pytest.raises(Forbidden):
        parse("https://10.2.2.3/")


def test_a_name_that_nobody_knows() -> None:
    outcome = http.post("https://nobody.invalid/", b"{}", {})
    assert "name is not known" in outcome.error
    assert outcome.unwell
    assert not outcome.permanent


def test_mailboxes() -> None:
    assert addresses.parse_mailboxes("a@example.com, b@example.com;\nc@example.com") == [
        "a@example.com",
        "b@example.com",
        "c@example.com",
    ]
    for text in ("", "nobody", "a@example.com, x", "a@b\r\nBcc: x@y.z", ",".join(["a@example.com"] * 21)):
        with pytest.raises(Forbidden):
            addresses.parse_mailboxes(text)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_c2hvcnQ=", "secret", "whsec_" + "A" * 100 + "=="])
def test_what_is_no_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="signing secret"):
        signing.key_of(secret)


def test_a_certificate_must_be_that_of_the_name(tmp_path: Any, settings: Any) -> None:
    import ssl

    from tests.gateways.rogue import answering, http_answer

    certificate = _self_signed(tmp_path, "localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with answering(http_answer("200 OK", "{}"), tls=tls) as (url, _requests):
        assert "certificate verify failed" in http.post(f"{url}/", b"{}", {}).error
        settings.NOTIFICATIONS_CA_FILE = str(certificate)
        assert http.post(f"{url}/", b"{}", {}).arrived
        refused = http.post(url.replace("localhost", "127.0.0.1") + "/", b"{}", {})
        assert "certificate" in refused.error


def _self_signed(folder: Any, name: str) -> Any:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path
