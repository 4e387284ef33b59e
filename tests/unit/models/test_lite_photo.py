"""The lite models on real photos, where a package brings them."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from PIL import Image

from .test_lite_models import MODELS, image_model, manifest, run_images, run_texts, text_model

__all__ = ["image_model", "text_model"]

data = pytest.importorskip("skimage.data", reason="scikit-image brings the photos")


@pytest.fixture(scope="module")
def photos() -> dict[str, Image.Image]:
    """Both are part of scikit-image's wheel; nothing is downloaded."""
    return {name: Image.fromarray(getattr(data, name)()) for name in ("astronaut", "chelsea", "coffee", "rocket")}


def test_detects_the_cat_where_it_is(image_model: ort.InferenceSession, photos: dict[str, Image.Image]) -> None:
    labels = (MODELS / "lite_image/labels.txt").read_text().splitlines()
    found = run_images(image_model, [photos["chelsea"]])
    kept = found["scores"][0] >= manifest("lite_image")["score_threshold"]
    assert labels[found["classes"][0][0]] == "cat"
    assert kept[0]
    x_min, y_min, x_max, y_max = found["boxes"][0][0]
    assert (x_max - x_min) * (y_max - y_min) > 0.3


def test_detects_the_person(image_model: ort.InferenceSession, photos: dict[str, Image.Image]) -> None:
    found = run_images(image_model, [photos["astronaut"]])
    people = (found["classes"][0] == 0) & (found["scores"][0] >= manifest("lite_image")["score_threshold"])
    assert people.any()


def test_words_find_their_photo(
    image_model: ort.InferenceSession, text_model: ort.InferenceSession, photos: dict[str, Image.Image]
) -> None:
    images = run_images(image_model, list(photos.values()))["embedding"]
    texts = run_texts(text_model, ["a woman in an orange space suit", "a cat's face", "a cup of coffee on a table"])
    assert (texts @ images.T).argmax(1).tolist() == [0, 1, 2]


def test_a_flipped_photo_is_its_own_nearest(image_model: ort.InferenceSession, photos: dict[str, Image.Image]) -> None:
    flipped = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in photos.values()]
    both = run_images(image_model, [*photos.values(), *flipped])["embedding"]
    count = len(flipped)
    assert ((both[count:] @ both[:count].T).argmax(1) == np.arange(count)).all()
