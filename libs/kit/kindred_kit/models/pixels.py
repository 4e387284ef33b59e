"""Pixels -> the image tensors of a model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred_kit.imaging import Letterbox, resize_center_crop, resize_letterbox, resize_stretch
from kindred_kit.models.manifest import ImageInput


@dataclass(frozen=True)
class PreparedImage:
    """Input tensors for a batch of one, uint8 [1, height, width, 3] each, and the letterboxes that map boxes back."""

    tensors: dict[str, NDArray[np.uint8]]
    letterboxes: dict[str, Letterbox]


def prepare_image(pixels: NDArray[np.uint8], inputs: Sequence[ImageInput]) -> PreparedImage:
    """RGB uint8 [h, w, 3] -> the inputs of a model. Cast, normalise and transpose are the graph's work."""
    tensors: dict[str, NDArray[np.uint8]] = {}
    letterboxes: dict[str, Letterbox] = {}
    for image_input in inputs:
        name, width, height = image_input.name, image_input.width, image_input.height
        if image_input.fit == "stretch":
            resized = resize_stretch(pixels, width, height)
        elif image_input.fit == "center_crop":
            resized = resize_center_crop(pixels, width)
        else:
            resized, letterboxes[name] = resize_letterbox(pixels, width, height, image_input.pad_value)
        tensors[name] = resized[np.newaxis]
    return PreparedImage(tensors, letterboxes)
