"""The TCP socket of `kindred serve`: loopback only, and a clear word where the port is taken."""

from __future__ import annotations

import errno
import ipaddress
import socket

from kindred_kit.errors import KindredError, Status
from kindred_standalone.errors import UsageError


class PortInUse(KindredError):
    code = "port_in_use"
    status = Status.CONFLICT


def require_loopback(host: str) -> None:
    """Raise UsageError for an address that others could reach."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UsageError(
            f"--host {host} is refused: there are no accounts yet, so whoever reaches the server could read and delete"
            " everything. Use a loopback address such as 127.0.0.1, and a tunnel (ssh -L) from elsewhere."
        )


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises PortInUse, UsageError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; else every answer waits 40 ms for an ACK
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # a server that was just stopped leaves connections in TIME_WAIT
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} of {host} is in use by another program") from error
        raise UsageError(f"can't listen on {host}:{port}: {(error.strerror or str(error)).lower()}") from error
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
