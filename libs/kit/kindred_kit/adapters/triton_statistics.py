"""Where the time of a call to Triton goes: its own queue and compute times as histograms of ours.

The server counts for all its clients. A process observes the mean of an interval once for each answer it got meanwhile,
so that the sums over all processes are those of the server and no call is counted twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus_client import Histogram

if TYPE_CHECKING:
    from tritonclient.grpc.aio import InferenceServerClient

TRITON_SECONDS = Histogram(
    "kindred_triton_duration_seconds",
    "Time of a request inside Triton: queue (waiting for a batch) and compute (the model and its copies)",
    ["model", "part"],
    # 0.1 ms (an idle queue) to 2.5 s
    buckets=(0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
_COMPUTE = ("compute_input", "compute_infer", "compute_output")


@dataclass(frozen=True)
class _Totals:
    """Since the server started. A cache hit is queued but not computed."""

    queued: int
    queue_ns: int
    computed: int
    compute_ns: int


class Statistics:
    def __init__(self) -> None:
        self._answers: Counter[str] = Counter()
        self._before: dict[str, _Totals] = {}

    def answered(self, model_name: str) -> None:
        self._answers[model_name] += 1

    async def follow(self, client: InferenceServerClient, interval_s: float) -> None:
        """Observe each interval until cancelled; a server that is down is asked again at the next one."""
        from tritonclient.utils import InferenceServerException

        while True:
            await asyncio.sleep(interval_s)
            with contextlib.suppress(InferenceServerException):
                await self.observe(client)

    async def observe(self, client: InferenceServerClient) -> None:
        """What happened since the last call, for models that answered this process meanwhile."""
        answers, self._answers = self._answers, Counter()
        for model_name, count in answers.items():
            answer = await client.get_inference_statistics(model_name, client_timeout=5.0)
            for stats in answer.model_stats[-1:]:
                self._record(model_name, count, _totals(stats.inference_stats))

    def _record(self, model_name: str, count: int, now: _Totals) -> None:
        before = self._before.get(model_name, _Totals(0, 0, 0, 0))
        if now.queued < before.queued:  # the server or the model has started anew
            before = _Totals(0, 0, 0, 0)
        self._before[model_name] = now
        queued, computed = now.queued - before.queued, now.computed - before.computed
        if queued:
            _observe(model_name, "queue", count, (now.queue_ns - before.queue_ns) / queued)
        if queued and computed:
            ours = round(count * computed / queued)
            _observe(model_name, "compute", ours, (now.compute_ns - before.compute_ns) / computed)


def _totals(stats: Any) -> _Totals:
    compute_ns = sum(getattr(stats, part).ns for part in _COMPUTE)
    return _Totals(stats.queue.count, stats.queue.ns, stats.compute_infer.count, compute_ns)


def _observe(model_name: str, part: str, count: int, mean_ns: float) -> None:
    histogram = TRITON_SECONDS.labels(model_name, part)
    for _ in range(count):
        histogram.observe(mean_ns / 1e9)
