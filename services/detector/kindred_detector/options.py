"""What a caller may ask of a detection."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kindred_detector.views import Augmentation
from kindred_kit.errors import InvalidArgument, UnknownLabel
from kindred_kit.models import ModelManifest, class_key, closest_classes
from kindred_kit.models.runs import Run

DEFAULT_DETECTIONS, MAX_DETECTIONS = 100, 300
MAX_MODELS = 3


@dataclass(frozen=True)
class DetectOptions:
    """`score_threshold` and `nms_iou` 0..1, None: the model's own; `classes` are names to keep, none: all.

    `models` are names, none: the profile's; several are fused, as are the looks of an augmentation.
    """

    score_threshold: float | None = None
    max_detections: int = DEFAULT_DETECTIONS
    classes: Collection[str] = ()
    nms_iou: float | None = None
    augmentation: Augmentation = Augmentation()  # noqa: RUF009  frozen
    models: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise InvalidArgument for what no model could do."""
        for name in ("score_threshold", "nms_iou"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise InvalidArgument(f"{name} must be within 0..1", pointer=f"/{name}")
        if not 1 <= self.max_detections <= MAX_DETECTIONS:
            raise InvalidArgument(f"max_detections must be within 1..{MAX_DETECTIONS}", pointer="/max_detections")
        self.augmentation.check()

    def chosen(self, models: Mapping[str, ModelManifest], default: ModelManifest) -> list[ModelManifest]:
        """The models asked for, of one label set. Raises InvalidArgument."""
        if not self.models:
            return [default]
        if len(self.models) > MAX_MODELS or len(set(self.models)) != len(self.models):
            raise InvalidArgument(f"at most {MAX_MODELS} different models", pointer="/models")
        for name in self.models:
            if name not in models:
                raise InvalidArgument(
                    f"no model {name[:80]!r} that detects; there are {', '.join(models)}", pointer="/models"
                )
        chosen = [models[name] for name in self.models]
        sets = sorted({model.label_set for model in chosen})
        if len(sets) > 1:
            raise InvalidArgument(
                f"models of label sets {' and '.join(sets)} can't be fused: ask for each alone", pointer="/models"
            )
        return chosen

    def run(self, models: Sequence[ModelManifest]) -> Run:
        """How labels that `models` make are known."""
        names = tuple(f"{model.name}/{model.version}" for model in models)
        return Run(names, self.augmentation.flip, tuple(self.augmentation.scales))

    def class_ids(self, model: ModelManifest, models: Iterable[ModelManifest]) -> frozenset[int] | None:
        """Ids of `classes`, None for all. Raises UnknownLabel, naming the closest classes of all `models`."""
        if not self.classes:
            return None
        ids = {class_key(name): class_id for class_id, name in enumerate(model.classes)}
        for name in self.classes:
            if class_key(name) not in ids:
                close = closest_classes(name, [known for other in models for known in other.classes])
                hint = f"; did you mean {', '.join(close)}?" if close else ""
                raise UnknownLabel(f"label set {model.label_set} has no class {name[:80]!r}{hint}", pointer="/classes")
        return frozenset(ids[class_key(name)] for name in self.classes)
