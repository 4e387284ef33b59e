"""Pascal VOC (host.robots.ox.ac.uk/pascal/VOC, devkit): pixels counted from 1, first and last included.

The left edge of the first pixel is xmin 1, the right edge of the last is xmax = width: readers take 1 from xmin and
ymin alone. Corners have decimals where they need them, as in VOC2012 itself: whole pixels move small boxes too far.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

from kindred_datasets.domain import Label
from kindred_datasets.export.formats.picture import Picture, PixelBox

_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def annotation(picture: Picture) -> str:
    """The XML file of a picture; its path is split into folder and file name."""
    return "\n".join(
        [
            "<annotation>",
            f"  <folder>{xml_text(os.path.dirname(picture.path))}</folder>",
            f"  <filename>{xml_text(os.path.basename(picture.path))}</filename>",
            "  <source><database>Kindred</database></source>",
            f"  <size><width>{picture.width}</width><height>{picture.height}</height><depth>3</depth></size>",
            "  <segmented>0</segmented>",
            *(_object(label, picture.pixel_box(label)) for label in picture.labels),
            "</annotation>",
            "",
        ]
    )


def dataset_meta(classes: Sequence[str]) -> str:
    """Datumaro's list of classes, without which it and CVAT know the twenty of VOC alone; any name fits in, unlike in
    a labelmap.txt."""
    return json.dumps({"labels": [_NOT_XML.sub("?", name) for name in classes]}, indent=1) + "\n"


def xml_text(text: str) -> str:
    """Escaped; characters that XML 1.0 cannot hold become `?`."""
    return escape(_NOT_XML.sub("?", text))


def _object(label: Label, box: PixelBox) -> str:
    corners = {"xmin": box.x_min + 1, "ymin": box.y_min + 1, "xmax": box.x_max, "ymax": box.y_max}
    bounds = "".join(f"<{name}>{_number(value)}</{name}>" for name, value in corners.items())
    # Datumaro and CVAT keep what stands in `attributes`
    attributes = {"score": f"{label.score:.4f}", "source": label.source, "agreement": str(label.agreement)}
    kept = "".join(
        f"<attribute><name>{name}</name><value>{xml_text(value)}</value></attribute>"
        for name, value in {**attributes, "model": label.model, "label_set": label.label_set}.items()
    )
    return "\n".join(
        [
            "  <object>",
            f"    <name>{xml_text(label.class_name)}</name>",
            "    <pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>",
            f"    <bndbox>{bounds}</bndbox>",
            f"    <score>{label.score:.4f}</score>",
            f"    <attributes>{kept}</attributes>",
            "  </object>",
        ]
    )


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
