"""Pixels -> the image tensors of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred_kit.imaging import Letterbox, resize_center_crop, resize_letterbox, resize_stretch
from kindred_kit.models.manifest import ImageInput


@dataclass(frozen=True)
class PreparedImage:
    """Input tensors for a batch of one, each as its ImageInput says, and the letterboxes that map boxes back."""

    tensors: dict[str, NDArray[Any]]
    letterboxes: dict[str, Letterbox]


def prepare_image(pixels: NDArray[np.uint8], inputs: Sequence[ImageInput]) -> PreparedImage:
    """RGB uint8 [h, w, 3] -> the inputs of a model."""
    tensors: dict[str, NDArray[Any]] = {}
    letterboxes: dict[str, Letterbox] = {}
    for image_input in inputs:
        name, width, height = image_input.name, image_input.width, image_input.height
        if image_input.fit == "stretch":
            resized = resize_stretch(pixels, width, height)
        elif image_input.fit == "center_crop":
            resized = resize_center_crop(pixels, width)
        else:
            resized, letterboxes[name] = resize_letterbox(
                pixels, width, height, image_input.pad_value, centred=image_input.centred
            )
        tensors[name] = _as_wanted(resized, image_input)[np.newaxis]
    return PreparedImage(tensors, letterboxes)


def _as_wanted(pixels: NDArray[np.uint8], image_input: ImageInput) -> NDArray[Any]:
    """Cast, normalise and transpose where a graph does not do so itself, as ours do."""
    if image_input.bgr:
        pixels = pixels[:, :, ::-1]
    if image_input.planar:
        pixels = pixels.transpose(2, 0, 1)
    if image_input.scale is None:
        return np.ascontiguousarray(pixels)
    return np.ascontiguousarray(pixels, np.float32) * np.float32(image_input.scale)
