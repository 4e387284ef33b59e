"""Settings of the detector."""

from kindred_kit.imaging import ImageLimits
from kindred_kit.settings import Settings


class DetectorSettings(Settings):
    """`KINDRED_*`: limits of an image and the model profile."""

    profile: str = "lite"
    topic: str = "images.v1"
    max_image_bytes: int = 50_000_000
    max_image_pixels: int = 120_000_000
    cores: int | None = None  # None: all that the process may use

    @property
    def limits(self) -> ImageLimits:
        return ImageLimits(self.max_image_bytes, self.max_image_pixels)
