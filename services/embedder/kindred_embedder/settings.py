"""Settings of the embedder."""

from kindred_kit.imaging import ImageLimits
from kindred_kit.settings import Settings


class EmbedderSettings(Settings):
    """`KINDRED_*`: limits of an image, the model profile, how many images are worked on at once."""

    profile: str = "lite"
    topic: str = "images.v1"
    group: str = "embedder-worker"
    max_image_bytes: int = 50_000_000
    max_image_pixels: int = 120_000_000
    max_texts: int = 64
    max_text_chars: int = 10_000
    thumb_side_px: int = 320
    cores: int | None = None  # None: all that the process may use

    @property
    def limits(self) -> ImageLimits:
        return ImageLimits(self.max_image_bytes, self.max_image_pixels)
