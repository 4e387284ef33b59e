"""How a model is batched and placed: the `triton` block of its model.yaml over what suits its kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kindred_kit.errors import ModelInvalid
from kindred_kit.models import ModelManifest

Target = str
"""A runtime that executes a model: `tensorrt`, `onnxruntime` or `python` (ONNX Runtime in Triton's python backend)."""
TARGETS: tuple[Target, ...] = ("tensorrt", "onnxruntime", "python")
PRECISIONS = ("fp16", "fp32")
_MAX_BATCH_SIZE = 1024
_MAX_QUEUE_DELAY_US = 1_000_000


@dataclass(frozen=True)
class Serving:
    """`target`: the runtime of the config.pbtxt that is kept in the model folder. `precision`: of a TensorRT plan.

    `queue_delay_us`: how long a request may wait for others to share a batch with, in microseconds; `queue_reason`
    says why so long. `preferred_batch_sizes`: a batch of such a size goes at once.
    """

    target: Target
    max_batch_size: int
    preferred_batch_sizes: tuple[int, ...]
    queue_delay_us: int
    queue_reason: str
    instances: int
    precision: str

    @classmethod
    def of(cls, model: ModelManifest) -> Serving:
        """Raises ModelInvalid for a value that Triton would refuse or that would stall its queue."""
        said: dict[str, Any] = dict(model.raw.get("triton") or {})
        usual = _TEXT if model.kind == "text_encoder" else _IMAGE
        try:
            serving = cls(
                target=str(said.pop("target", "onnxruntime")),
                max_batch_size=int(said.pop("max_batch_size", usual.max_batch_size)),
                preferred_batch_sizes=tuple(map(int, said.pop("preferred_batch_sizes", ()))),
                queue_delay_us=int(said.pop("queue_delay_us", usual.queue_delay_us)),
                queue_reason=" ".join(str(said.pop("queue_reason", usual.queue_reason)).split()),
                instances=int(said.pop("instances", 1)),
                precision=str(said.pop("precision", "fp16")),
            )
        except (TypeError, ValueError) as error:
            raise ModelInvalid(f"model {model.name}: its `triton` block is not readable: {error}") from error
        if problem := serving._problem(list(said)):
            raise ModelInvalid(f"model {model.name}: in its `triton` block {problem}")
        return serving

    @property
    def preferred(self) -> tuple[int, ...]:
        """Those said, else a quarter of the largest batch and the largest: sizes that a plan is tuned for."""
        return self.preferred_batch_sizes or tuple(sorted({max(1, self.max_batch_size // 4), self.max_batch_size}))

    def _problem(self, unknown: list[str]) -> str:
        if unknown:
            return f"{', '.join(unknown)} means nothing"
        if self.target not in TARGETS:
            return f"target is none of {', '.join(TARGETS)}"
        if self.precision not in PRECISIONS:
            return f"precision is none of {', '.join(PRECISIONS)}"
        if not 1 <= self.max_batch_size <= _MAX_BATCH_SIZE:
            return f"max_batch_size is not between 1 and {_MAX_BATCH_SIZE}"
        if not all(1 <= size <= self.max_batch_size for size in self.preferred_batch_sizes):
            return "a preferred batch size is larger than max_batch_size"
        if not 0 <= self.queue_delay_us <= _MAX_QUEUE_DELAY_US:
            return f"queue_delay_us is not between 0 and {_MAX_QUEUE_DELAY_US}"
        return "" if 1 <= self.instances <= 64 else "instances is not between 1 and 64"


@dataclass(frozen=True)
class _Usual:
    max_batch_size: int
    queue_delay_us: int
    queue_reason: str


_TEXT = _Usual(
    64, 2_000, "a person waits for a query: no longer than a fraction of its pass, enough for a burst to meet"
)
_IMAGE = _Usual(
    16, 5_000, "most images are ingested, where a full batch counts for more than 5 ms; decoding one takes as long"
)
