"""The embedding space that this process serves: its image tower and its text tower."""

from dataclasses import dataclass

from kindred_kit.errors import ModelInvalid
from kindred_kit.models import ModelManifest, ModelSet


@dataclass(frozen=True)
class Space:
    """Two towers whose vectors may be compared."""

    image: ModelManifest
    text: ModelManifest

    @property
    def name(self) -> str:
        return self.image.space

    @classmethod
    def of_profile(cls, models: ModelSet, profile: str) -> "Space":
        """Find the towers of a profile. Raises ModelInvalid when one is missing or they are of two spaces."""
        image = models.of_kind(profile, "image_pipeline", "image_encoder")
        text = models.of_kind(profile, "text_encoder")
        if image.space != text.space or image.dimension != text.dimension:
            raise ModelInvalid(f"{image.name} embeds into {image.space!r}, {text.name} into {text.space!r}")
        return cls(image, text)
