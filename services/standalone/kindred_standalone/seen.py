"""Which images a run has met: the same photo twice is a duplicate, not a second image."""

from __future__ import annotations


class Seen:
    """Digests of one run; about 100 bytes of memory an image."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def again(self, image_id: str) -> bool:
        """Whether these bytes were met before; from now on they have been."""
        digest = bytes.fromhex(image_id)
        if digest in self._digests:
            return True
        self._digests.add(digest)
        return False
