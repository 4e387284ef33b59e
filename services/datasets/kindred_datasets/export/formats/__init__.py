"""COCO, YOLO and Pascal VOC: how a labelled picture is written in each, and how an export is laid out."""

from typing import Literal

from kindred_datasets.export.formats.picture import Picture

Form = Literal["coco", "yolo", "voc"]
FORMS: tuple[Form, ...] = ("coco", "yolo", "voc")

__all__ = ["FORMS", "Form", "Picture"]
