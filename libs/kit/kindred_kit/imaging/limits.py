"""What an image may cost before a byte of it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from kindred_kit.errors import ImageEmpty, ImageTooLarge, ImageTooManyPixels


@dataclass(frozen=True)
class ImageLimits:
    """Upper bounds of an encoded image.

    `max_bytes` is the encoded size; `max_pixels` is width x height of the first frame. 120 megapixels are 360 MB of
    RGB. Measured peak of `decode` as a multiple of that: JPEG 1, PNG 2.5, AVIF 3, PNG with alpha 4, WebP 5.5 to 6.5
    (libwebp keeps two RGBA canvases). Bound the thread pool that decodes accordingly.
    """

    max_bytes: int = 50 * 10**6
    max_pixels: int = 120 * 10**6

    def check_bytes(self, data: bytes) -> None:
        """Raise `ImageEmpty` or `ImageTooLarge`."""
        if not data:
            raise ImageEmpty("the image has no bytes")
        if len(data) > self.max_bytes:
            raise ImageTooLarge(f"the image has {len(data):,} bytes, more than the {self.max_bytes:,} allowed")

    def check_pixels(self, width: int, height: int) -> None:
        """Raise `ImageTooManyPixels`; sides in pixels."""
        if width * height > self.max_pixels:
            raise ImageTooManyPixels(
                f"the image has {width} x {height} = {width * height:,} pixels,"
                f" more than the {self.max_pixels:,} allowed"
            )
