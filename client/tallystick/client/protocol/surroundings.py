"""What of this machine may lie behind a connection that did not come about: a proxy of the environment, or its clock.

gRPC reads the variables itself, in lower case alone: of grpc_proxy, https_proxy and http_proxy the first that is set, unless the
host is one of no_grpc_proxy or, where that is not set, of no_proxy. An empty one says "no proxy".
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cryptography import x509

from tallystick.contract.durations import in_words

_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPTIONS = ("no_grpc_proxy", "no_proxy")
_NOT_READ = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "all_proxy")
_SECONDS = 3.0
"""How long a server is asked for its certificate, after it was found wanting."""


def about_proxy(target: str, environment: Mapping[str, str] | None = None) -> str:
    """What the environment's proxy has to do with a target that was not reached, and what to do; "" if nothing.

    A proxy's address may hold a password, and is not told."""
    variables = os.environ if environment is None else environment
    host = host_of(target)
    named = next((name for name in _PROXIES if name in variables), None)
    if named is None or not variables[named]:
        unread = next((name for name in _NOT_READ if variables.get(name)), None)
        if named is not None or unread is None:
            return ""
        return f"{unread} is set, which gRPC does not read: if the way is through a proxy, set https_proxy"
    if not _is_usable(variables[named]):
        return f"the proxy that {named} names was not used: gRPC knows proxies of the form http://host:port alone"
    excepting = next((name for name in _EXCEPTIONS if name in variables), None)
    if excepting is not None and _is_excepted(host, variables[excepting]):
        return ""
    return (
        f"the connection goes through the proxy that {named} names: let that proxy CONNECT to {target}, or set"
        f" no_grpc_proxy={host} to go round it"
    )


def host_of(target: str) -> str:
    """The host of host:port, without the brackets of an IPv6 address."""
    return target.rpartition(":")[0].strip("[]")


def _is_usable(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
    except ValueError:
        return False
    return parts.scheme == "http" and bool(parts.hostname)


def _is_excepted(host: str, exceptions: str) -> bool:
    """As gRPC decides: an entry is the end of a name, or a network that has the address."""
    for entry in filter(None, exceptions.split(",")):
        if host.lower().endswith(entry.strip().lower()):
            return True
        try:
            if "/" in entry and ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False


def about_clock(target: str, now: datetime | None = None) -> str:
    """What the certificate of a server that was not trusted says of this machine's clock; "" if they agree, or nobody says."""
    certificate = _certificate_of(target)
    if certificate is None:
        return ""
    clock = now or datetime.now(UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if clock < begins:
        return (
            f"the server's certificate is valid from {begins:%Y-%m-%d %H:%M} UTC on, and this machine's clock says"
            f" {clock:%Y-%m-%d %H:%M} UTC: it is {in_words(begins - clock)} behind at the least; set it"
        )
    if clock > ends:
        return (
            f"the server's certificate was valid until {ends:%Y-%m-%d %H:%M} UTC, and this machine's clock says"
            f" {clock:%Y-%m-%d %H:%M} UTC, {in_words(clock - ends)} later: set the clock or, if it is right, tell the operator"
        )
    return ""


def _certificate_of(target: str) -> x509.Certificate | None:
    """As the server shows it to anybody. Nothing is sent to it, and nothing is believed of it but what it costs to be refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, _, port = target.rpartition(":")
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), _SECONDS) as link,
            context.wrap_socket(link, server_hostname=host.strip("[]")) as wrapped,
        ):
            der = wrapped.getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(der) if der else None
    except (OSError, ValueError):
        return None
