"""Where events and pictures may be sent: public internet addresses, over HTTPS.

Otherwise anyone who enters an address could make this server talk to hosts that only it can reach:
internal services, its own loopback, the cloud's metadata service. ``WEBHOOK_ALLOW_PRIVATE`` lifts
the restriction for development.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

from screening.errors import ForbiddenTarget

PORTS = (443, 8443)
MAX_LENGTH = 500
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SPECIAL = [
    # Of the special-purpose registries (IANA), but global for Python 3.11. A cloud has its metadata
    # in the first.
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("192.88.99.0/24"),
    ipaddress.ip_network("3fff::/20"),
    ipaddress.ip_network("5f00::/16"),
]
_LOCAL_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home.arpa")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def check_target(url: str, *, field: str = "target") -> None:
    """Raise ValidationError, of ``field``, for an address that nothing can be sent to.

    Makes no DNS query: the resolved address is checked at every delivery (``addresses``).
    """
    if len(url) > MAX_LENGTH or any(not "!" <= character <= "~" for character in url):
        raise ValidationError(
            {field: f"Give an address of at most {MAX_LENGTH} characters, ASCII, no spaces."}
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValidationError({field: "This is not an address."}) from None
    schemes = ("https", "http") if settings.WEBHOOK_ALLOW_PRIVATE else ("https",)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValidationError({field: "Give an address that begins with https://."})
    if parts.username is not None or parts.fragment or "\\" in url:
        raise ValidationError({field: "Leave out user name, password and fragment."})
    try:
        require_port(port or 443)
        _require_public_name(parts.hostname)
    except ForbiddenTarget as error:
        raise ValidationError({field: str(error)}) from None


def require_port(port: int) -> None:
    if not settings.WEBHOOK_ALLOW_PRIVATE and port not in PORTS:
        allowed = " or ".join(map(str, PORTS))
        raise ForbiddenTarget(f"Only port {allowed} can be used.")


def addresses(host: str, port: int) -> list[str]:
    """The IP addresses to connect to, as resolved now: connect to these, never to the name.

    Raises ForbiddenTarget if any of them is not public: a name with both kinds is suspicious.
    Raises OSError if the name cannot be resolved.
    """
    require_port(port)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    resolved = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not settings.WEBHOOK_ALLOW_PRIVATE:
        for text in resolved:
            if not is_public(ipaddress.ip_address(text)):
                raise ForbiddenTarget("This address is not on the public internet.")
    return resolved


def is_public(address: Address) -> bool:
    """Whether the address, and any IPv4 address embedded in it, is public unicast."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.is_site_local or (address.sixtofour and not is_public(address.sixtofour)):
            return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def _require_public_name(host: str) -> None:
    """Reject at once what needs no DNS: IP addresses, and names of local networks."""
    if settings.WEBHOOK_ALLOW_PRIVATE:
        return
    address = _number(host)
    name = host.rstrip(".").lower()
    local = "." not in name or name.endswith(tuple(f".{word}" for word in _LOCAL_NAMES))
    if not is_public(address) if address else local:
        raise ForbiddenTarget("This address is not on the public internet.")


def _number(host: str) -> Address | None:
    """The IP address that ``host`` spells in any form that resolvers accept: 127.1, 0x7f000001."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None
