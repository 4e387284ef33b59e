"""Where the weights of a model come from, pinned, and what is done to them before they are served."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

GraphKind = Literal["image_tower", "text_tower", "yolo"]
Precision = Literal["published", "fp32", "fp16", "int8"]
"""Of the weights: as the publisher stores them, or another; activations are float in any case."""
PREPARATION = 1
"""Of the code in kindred_kit.graphs: a change of what it writes raises it, and models are prepared anew."""
_SLACK = 1.05
"""A size that was published rounded may be this much too small."""
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Source:
    """A publisher's file. `sha256` decides; `size_bytes` may have been published rounded (`size_is_exact`).

    Without `repository` nobody offers the file: it can only be imported.
    """

    path: str
    sha256: str
    size_bytes: int
    size_is_exact: bool = True
    host: str = ""
    repository: str = ""
    revision: str = ""

    @property
    def file_name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def largest_bytes(self) -> int:
        """No file that is longer can be it."""
        return self.size_bytes if self.size_is_exact else round(self.size_bytes * _SLACK)

    def can_have(self, size_bytes: int) -> bool:
        return size_bytes == self.size_bytes if self.size_is_exact else size_bytes <= self.largest_bytes

    @property
    def is_published(self) -> bool:
        return bool(self.repository)

    def url(self, mirror: str = "") -> str:
        """`mirror`: a base address that answers as the publisher does, such as https://mirror.example/hub."""
        base = mirror.rstrip("/") or f"https://{self.host}"
        return f"{base}/{self.repository}/resolve/{self.revision}/{self.path}"

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Source:
        """Raises KeyError, TypeError, ValueError for what is not pinned or would lead elsewhere."""
        exact = "size_bytes" in entry
        source = cls(
            path=_matching(entry["path"], r"(?!.*\.\.)[\w.-]+(/[\w.-]+)*"),
            sha256=_matching(entry["sha256"], r"[0-9a-f]{64}"),
            size_bytes=int(entry["size_bytes"]) if exact else round(float(entry["size_mb"]) * _MEGABYTE),
            size_is_exact=exact,
        )
        if "repository" not in entry:
            return source
        return replace(
            source,
            host=_matching(entry["host"], r"[a-z0-9-]+(\.[a-z0-9-]+)+"),
            repository=_matching(entry["repository"], r"(?!.*\.\.)[\w.-]+/[\w.-]+"),
            revision=_matching(entry["revision"], r"[0-9a-f]{40}"),
        )


@dataclass(frozen=True)
class Preparation:
    """How the publisher's graph becomes ours; see kindred_kit.graphs.

    Pixels 0..255 become (pixel / 255 - mean) / std. `output` names the embedding where the graph has several that could
    be it. `anchors` (width and height in px, three a stride) are those of heads that are not decoded in the file;
    `nms_iou` and `score_floor` are those of the NMS inside the graph.
    """

    graph: GraphKind
    precision: Precision = "published"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    output: str = ""
    strides: tuple[int, ...] = (8, 16, 32)
    anchors: tuple[tuple[float, ...], ...] = ()
    nms_iou: float = 0.65
    score_floor: float = 0.001

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Preparation:
        """Raises KeyError, TypeError, ValueError."""
        if unknown := set(entry) - set(cls.__dataclass_fields__):
            raise ValueError(f"prepare has no {', '.join(sorted(unknown))}")
        wanted = cls(
            graph=_known(entry["graph"], get_args(GraphKind)),
            precision=_known(entry.get("precision", "published"), get_args(Precision)),
            mean=_floats(entry.get("mean", cls.mean)),
            std=_floats(entry.get("std", cls.std)),
            output=str(entry.get("output", "")),
            strides=tuple(int(stride) for stride in entry.get("strides", cls.strides)),
            anchors=tuple(_floats(row) for row in entry.get("anchors", ())),
            nms_iou=float(entry.get("nms_iou", cls.nms_iou)),
            score_floor=float(entry.get("score_floor", cls.score_floor)),
        )
        if len(wanted.mean) != 3 or len(wanted.std) != 3 or not all(wanted.std):
            raise ValueError("mean and std have three numbers each, std none that is 0")
        if wanted.anchors and {len(row) for row in wanted.anchors} != {6}:
            raise ValueError("anchors are six numbers a stride: three widths and heights")
        return wanted


def _matching(value: Any, pattern: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
        raise ValueError(f"{value!r} is not of the form {pattern}")
    return value


def _known(value: Any, known: Sequence[Any]) -> Any:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(known)}")
    return value


def _floats(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
