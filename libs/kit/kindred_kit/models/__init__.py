"""Model folders: what a model is (model.yaml), how pixels become its input, how its boxes become detections."""

from kindred_kit.models.boxes import FoundBox, read_boxes, suppress
from kindred_kit.models.classes import class_key, closest_classes
from kindred_kit.models.manifest import Head, ImageInput, ModelManifest, Tokens
from kindred_kit.models.model_set import ModelSet, pull_command
from kindred_kit.models.pixels import PreparedImage, prepare_image
from kindred_kit.models.source import Preparation, Source
from kindred_kit.models.store import ModelStore

__all__ = [
    "FoundBox",
    "Head",
    "ImageInput",
    "ModelManifest",
    "ModelSet",
    "ModelStore",
    "Preparation",
    "PreparedImage",
    "Source",
    "Tokens",
    "class_key",
    "closest_classes",
    "prepare_image",
    "pull_command",
    "read_boxes",
    "suppress",
]
