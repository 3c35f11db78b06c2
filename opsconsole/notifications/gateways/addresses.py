"""Which addresses may be spoken to: https in production, and no machine of ours unless a setting allows its network.

A name is resolved once and the connection goes to the address that was checked, so that a name server cannot say one
thing to the check and another to the connection.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import Told

MAX_URL = 2000
MAX_ADDRESSES = 20
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\.?|[0-9a-fA-F:.]+")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forbidden(Told):
    """This address is not spoken to."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a POST goes."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """The host as HTTP names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def parse(url: str) -> Target:
    """The target that a URL names; raises Forbidden with a sentence for one that is never spoken to."""
    if len(url) > MAX_URL or not url.isascii() or any(ord(sign) <= ord(" ") or sign == "\\" for sign in url):
        raise Forbidden(
            format_lazy(_("A URL has at most {most} printable ASCII characters and no blanks."), most=MAX_URL)
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Forbidden(format_lazy(_("This is no URL: {error}."), error=str(error))) from error
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise Forbidden(_("The URL must be https://host[:port]/path."))
    if parts.scheme == "http" and not settings.NOTIFICATIONS_ALLOW_HTTP:
        raise Forbidden(_("The URL must be https: what is told must not be read on the way."))
    if parts.username or parts.password or parts.fragment:
        raise Forbidden(_("The URL must have no user, no password and no fragment."))
    if not _HOST.fullmatch(parts.hostname) or port == 0:
        raise Forbidden(_("The URL names no host."))
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(tls, parts.hostname, port or (443 if tls else 80), path)
    literal = _literal(target.host)
    if literal is not None:
        _permit(literal)
    return target


def resolve(target: Target) -> list[str]:
    """The addresses of the target's host, all of them permitted.

    Raises Forbidden when any is not, and OSError when the name is not known.
    """
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        _permit(ipaddress.ip_address(address.partition("%")[0]))
    return addresses


def parse_mailboxes(text: str) -> list[str]:
    """The e-mail addresses in a text, parted by commas or lines; raises Forbidden for what is none."""
    addresses = [part.strip() for part in re.split(r"[,\n;]", text) if part.strip()]
    if not 0 < len(addresses) <= MAX_ADDRESSES:
        raise Forbidden(format_lazy(_("There must be 1 to {most} e-mail addresses."), most=MAX_ADDRESSES))
    for address in addresses:
        try:
            validate_email(address)
        except ValidationError as error:
            raise Forbidden(format_lazy(_("{address} is no e-mail address."), address=address)) from error
    return addresses


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _permit(address: Address) -> None:
    """Raise Forbidden for an address inside, unless a setting allows its network."""
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
    allowed: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network] = settings.NOTIFICATIONS_ALLOWED_NETWORKS
    if any(inner in network for network in allowed if network.version == inner.version):
        return
    if not inner.is_global or inner.is_multicast or inner.is_reserved:
        raise Forbidden(
            format_lazy(
                _("{address} is an address inside; NOTIFICATIONS_ALLOWED_NETWORKS does not name it."),
                address=str(address),
            )
        )
