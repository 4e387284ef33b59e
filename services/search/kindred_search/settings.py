"""Settings of the search service."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from pydantic import Field

from kindred_kit.settings import Settings


class SearchSettings(Settings):
    """`KINDRED_*`. `label_sets`: name -> classes in the order of their ids, so that a filter knows them all."""

    database_url: str = "sqlite:///./data/catalogue.db"
    vectors_dir: Path = Path("data/vectors")
    label_sets: Mapping[str, Sequence[str]] = Field(default_factory=dict)
    calibrations_dir: Path = Path("data/calibrations")
    """What `kindred labels calibrate` wrote, `*.json`: for filters by precision."""
    calibration_files: Sequence[Path] = ()
    """Of the model folders; those of `calibrations_dir` win. Those that do not exist are left out."""
    ranked_list_ttl: timedelta = timedelta(minutes=15)
    ranked_lists: int = 1_000
    """Kept at once; a list of full depth is about 150 kB."""
    outbox_poll: timedelta = timedelta(seconds=1)
    projector_poll: timedelta = timedelta(seconds=2)
    projector_coalesce: timedelta = timedelta(milliseconds=20)
    """A single image is searchable about this long after its embedding has arrived."""
    projector_interval: timedelta = timedelta(seconds=1)
    """While many arrive, they are written this often: 8 of 25 ms of overhead an image were writes of two rows each."""
    reindex_drop_grace: timedelta = timedelta(seconds=30)
