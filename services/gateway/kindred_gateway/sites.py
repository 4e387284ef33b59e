"""The open mode's guard against other web sites: Host, Origin and Sec-Fetch-Site.

A page of another site can make a browser send requests to this machine. It cannot choose the Host header beyond its own
name (which defeats DNS rebinding) nor leave out Origin on an unsafe method.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from kindred_kit.errors import KindredError, Status

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")


class HostRefused(KindredError):
    code = "host_refused"
    status = Status.FORBIDDEN


class OriginRefused(KindredError):
    code = "origin_refused"
    status = Status.FORBIDDEN


@dataclass(frozen=True)
class SiteGuard:
    """`allowed_hosts`: further `name` or `name:port`, compared without case."""

    allowed_hosts: frozenset[str]

    def check(self, method: str, headers: Headers, served_port: int | None) -> None:
        """Raise HostRefused or OriginRefused. `served_port` is None where there is no port (a Unix socket, a test)."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0], served_port, default_port=80):
            raise HostRefused("the Host header does not name this server; open it as http://127.0.0.1 with its port")
        if method in _SAFE_METHODS:
            return
        if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            raise OriginRefused("a page of another site may not change anything here")
        for origin in headers.getlist("origin"):
            if not self._is_our_origin(origin, served_port):
                raise OriginRefused("a page of another site may not change anything here")

    def _is_our_origin(self, origin: str, served_port: int | None) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in {"http", "https"} or origin != f"{parts.scheme}://{parts.netloc}":
            return False
        return self._is_ours(parts.netloc, served_port, default_port=443 if parts.scheme == "https" else 80)

    def _is_ours(self, authority: str, served_port: int | None, default_port: int) -> bool:
        authority = authority.lower()
        match = _AUTHORITY.fullmatch(authority)
        if match is None:
            return False
        name, port = match[1], int(match[2] or default_port)
        if authority in self.allowed_hosts or name in self.allowed_hosts:
            return True
        return name in _LOOPBACK_NAMES and (served_port is None or port == served_port)
