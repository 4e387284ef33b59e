"""Links that open one data set to whoever has them, until they expire: no key travels with a download."""

import base64
import binascii
import hashlib
import hmac
import time

from kindred_kit.errors import KindredError, Status

_SIGNATURE_BYTES = 32


class LinkInvalid(KindredError):
    code = "link_invalid"
    status = Status.FORBIDDEN


class LinkExpired(KindredError):
    code = "link_expired"
    status = Status.FORBIDDEN


class LinkSigner:
    """Tokens are base64url of an HMAC-SHA256 (RFC 2104) and of what it signs: expiry, owner; the id is in the path."""

    def __init__(self, secret: bytes, ttl_s: int) -> None:
        self._secret = secret
        self._ttl_s = ttl_s

    def token(self, dataset_id: str, owner: str) -> tuple[str, int]:
        """The token, and the Unix time in seconds until which it is good."""
        expires = int(time.time()) + self._ttl_s
        claim = f"{expires}:{owner}".encode()
        return base64.urlsafe_b64encode(self._sign(dataset_id, claim) + claim).rstrip(b"=").decode(), expires

    def owner(self, dataset_id: str, token: str) -> str:
        """Whose data set the token opens. Raises LinkInvalid, LinkExpired."""
        try:
            raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise LinkInvalid("the link is not one of ours") from None
        signature, claim = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(dataset_id, claim)):
            raise LinkInvalid("the link is not one of ours, or of an earlier run of the server")
        expires, _, owner = claim.decode().partition(":")
        if int(expires) < time.time():
            raise LinkExpired("the link has expired; GET the data set for a new one")
        return owner

    def _sign(self, dataset_id: str, claim: bytes) -> bytes:
        return hmac.digest(self._secret, f"dataset-archive\0{dataset_id}\0".encode() + claim, hashlib.sha256)
