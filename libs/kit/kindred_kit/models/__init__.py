"""Model folders: what a model is (model.yaml), how pixels become its input, how its boxes become detections."""

from kindred_kit.models.boxes import FoundBox, read_boxes, suppress
from kindred_kit.models.classes import class_key, closest_classes
from kindred_kit.models.manifest import Head, ImageInput, ModelManifest, ModelSet
from kindred_kit.models.pixels import PreparedImage, prepare_image

__all__ = [
    "FoundBox",
    "Head",
    "ImageInput",
    "ModelManifest",
    "ModelSet",
    "PreparedImage",
    "class_key",
    "closest_classes",
    "prepare_image",
    "read_boxes",
    "suppress",
]
