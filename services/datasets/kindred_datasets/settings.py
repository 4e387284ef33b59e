"""Settings of the data set service."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from kindred_kit.imaging import ImageLimits
from kindred_kit.settings import Settings

BUILD_DEADLINE = timedelta(minutes=2)
"""Of a call to another service: a build waits for its turn among those who search, and nobody looks at it."""


class DatasetSettings(Settings):
    """`KINDRED_*`: where jobs are kept, how they are shared among replicas, how long data sets live."""

    datasets_database_url: str = "sqlite:///./data/datasets.db"
    datasets_work_dir: Path = Path("data/work")
    """Archives grow here until they are whole. On the disk of a local object store they are not copied once more."""
    datasets_replica: str = ""
    """Name of this replica. One that keeps its name over a restart goes on at once, others when the lease is over."""
    dataset_builds: int = Field(default=1, ge=1)
    """Data sets built at a time."""
    dataset_ttl: timedelta = timedelta(days=7)
    """A finished or failed data set is kept for this long."""
    dataset_lease: timedelta = timedelta(seconds=30)
    """Without a sign of life for this long another replica takes a build over."""
    dataset_poll: timedelta = timedelta(seconds=1)
    dataset_sweep: timedelta = timedelta(minutes=10)
    """How often what has expired is removed."""
    dataset_concurrency: int = Field(default=4, ge=1)
    """Given photos embedded, and images compared, at a time."""
    public_url: str = ""
    """Put before the paths of image links; empty: paths alone."""
    max_image_bytes: int = 50_000_000
    max_image_pixels: int = 120_000_000

    @property
    def limits(self) -> ImageLimits:
        return ImageLimits(self.max_image_bytes, self.max_image_pixels)
