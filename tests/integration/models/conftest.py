"""The clip profile with weights of a test's own: CLIP in its exact shape, and a YOLOv7 file of synthetic heads."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from support.pulled_models import model_folder, pulled
from support.random_clip import write_random_clip
from support.yolo_heads import Thing, empty_heads, publisher_file, put

from kindred_kit.graphs.prepare import make_ready
from kindred_kit.models import ModelManifest, ModelSet


@dataclass(frozen=True)
class ClipProfile:
    """`repository` and `store` as `kindred` takes them."""

    repository: Path
    store: Path

    @property
    def models(self) -> ModelSet:
        return ModelSet.load(self.repository, store=self.store)

    def get(self, name: str) -> ModelManifest:
        return self.models.get(name)


@pytest.fixture(scope="session")
def clip_profile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClipProfile]:
    """Prepared and ready: 1.3 GB for as long as the tests run."""
    root = tmp_path_factory.mktemp("clip_profile")
    image, text = write_random_clip(root)
    yolo = root / "yolo.onnx"
    heads = empty_heads(np.random.default_rng(0))
    put(heads, Thing((320, 320, 100, 80), class_id=15), scale=1, anchor=1)  # whoever looks sees a cat in the middle
    yolo.write_bytes(publisher_file([heads]).SerializeToString())
    profile = ClipProfile(root / "models", root / "store")
    for name, file in (("clip_image", image), ("clip_text", text), ("yolov7", yolo)):
        make_ready(pulled(model_folder(profile.repository, name, file), file, profile.store))
        file.unlink()
    yield profile
    for path in profile.store.rglob("*.onnx"):
        path.unlink()
