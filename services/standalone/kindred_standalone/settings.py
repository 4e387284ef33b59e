"""Settings of the command line and of the composed services: `KINDRED_*` variables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kindred_kit.inference import InferenceSettings

if TYPE_CHECKING:
    from kindred_kit.imaging import ImageLimits
    from kindred_kit.models import ModelSet


class StandaloneSettings(InferenceSettings):
    """`models_dir` is the model repository; without it, the one beside this package's source.

    `own_models_dir` holds model folders of the user's own, used beside it. Pulled weights lie in `model_store_dir`, by
    default the platform's directory for user data; `model_mirror` is a base address that stands in for the publishers'.
    """

    models_dir: Path | None = None
    own_models_dir: Path | None = None
    model_store_dir: Path | None = None
    model_mirror: str = ""
    profile: str = "lite"
    log_level: str = "error"
    log_json: bool = False
    debug: bool = False
    max_image_bytes: int = 50_000_000
    max_image_pixels: int = 120_000_000
    download_timeout_s: float = 30
    """A download of `kindred ingest` ends after this time, redirects included."""
    readers: int = 0
    """Files read and hashed at once by `kindred index`; 0: one a core, four at most."""

    @property
    def model_repository(self) -> Path:
        return self.models_dir or Path(__file__).resolve().parents[3] / "triton_models"

    def load_models(self) -> ModelSet:
        """Raises ModelInvalid."""
        from kindred_kit.models import ModelSet

        return ModelSet.load(self.model_repository, self.own_models_dir, self.model_store_dir)

    @property
    def limits(self) -> ImageLimits:
        """The same variables, and so the same limits, as the services'."""
        from kindred_kit.imaging import ImageLimits  # codecs, which a client never needs

        return ImageLimits(self.max_image_bytes, self.max_image_pixels)
