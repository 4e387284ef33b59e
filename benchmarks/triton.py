"""`make bench-triton`: what Triton's dynamic batching gains and what a call to it costs, on this machine's CPUs.

Each figure is a ratio within one run: rounds of the two sides take turns, the median counts.
"""

import argparse
import asyncio
import importlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred_kit.adapters.onnx_inference import OnnxInference
from kindred_kit.adapters.triton_inference import TritonInference
from kindred_kit.models import ModelSet
from kindred_kit.ports.inference import Inference, Tensors
from kindred_kit.triton import write_model

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 7
CLIENTS = 16
TEXT, IMAGE = "lite_text", "lite_image"
_WORDS = 16
"""Tokens of a text: a query of a few words, padded as the embedder pads it."""


@dataclass(frozen=True)
class Batching:
    """Requests/s of `CLIENTS` clients that send one text at a time; outputs compared over all of them."""

    batched: float
    alone: float
    ratio: float
    largest_difference: float


@dataclass(frozen=True)
class Overhead:
    """Milliseconds of one call at batch 1, median; `in_process` with one thread, as the adapter runs it."""

    model: str
    triton_ms: float
    in_process_ms: float


def texts(count: int) -> list[dict[str, NDArray[Any]]]:
    """Random tokens, each text once: nothing is answered from a cache."""
    rng = np.random.default_rng(11)
    mask = np.ones((1, _WORDS), np.int64)
    return [{"input_ids": rng.integers(1000, 20_000, (1, _WORDS)), "attention_mask": mask} for _ in range(count)]


def image() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(12)
    sides = {"encoder_image": 320, "detector_image": 512}
    return {name: rng.integers(0, 256, (1, side, side, 3), np.uint8) for name, side in sides.items()}


def write_repository(models: ModelSet, folder: Path) -> None:
    """The shipped models, each a second time as NAME_alone with batching off; no response cache."""
    for name in (TEXT, IMAGE):
        write_model(models.get(name), "python", folder)
        config = folder / name / "config.pbtxt"
        uncached = config.read_text().replace("response_cache {\n  enable: true\n}\n", "")
        config.write_text(uncached)
        alone = folder / alone_of(name)
        (alone / "1").mkdir(parents=True)
        for file in (folder / name / "1").iterdir():
            (alone / "1" / file.name).hardlink_to(file)
        start, end = uncached.index("dynamic_batching {"), uncached.index("parameters {")
        (alone / "config.pbtxt").write_text((uncached[:start] + uncached[end:]).replace(name, alone_of(name)))


def alone_of(name: str) -> str:
    return f"{name}_alone"


async def requests_per_s(
    inference: Inference, model: str, requests: list[dict[str, NDArray[Any]]]
) -> tuple[float, NDArray[np.float32]]:
    """Of `CLIENTS` clients that work the list off together; and the embeddings in its order."""
    answers: list[NDArray[Any]] = [np.empty(0)] * len(requests)
    waiting = iter(range(len(requests)))

    async def client() -> None:
        for position in waiting:
            answers[position] = (await inference.infer(model, requests[position]))["embedding"]

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return len(requests) / (time.perf_counter() - started), np.concatenate(answers)


async def batching(triton: Inference, requests_a_round: int) -> Batching:
    requests = texts(requests_a_round)
    with_batches, without, difference = [], [], 0.0
    for _ in range(ROUNDS):
        rate, batched = await requests_per_s(triton, TEXT, requests)
        with_batches.append(rate)
        rate, alone = await requests_per_s(triton, alone_of(TEXT), requests)
        without.append(rate)
        difference = max(difference, float(np.abs(batched - alone).max()))
    ratio = statistics.median(one / other for one, other in zip(with_batches, without, strict=True))
    return Batching(statistics.median(with_batches), statistics.median(without), ratio, difference)


async def overhead(triton: Inference, here: Inference, model: str, request: Tensors) -> Overhead:
    """With batching off: a single request would wait in the queue for company that never comes."""
    times: dict[str, list[float]] = {"triton": [], "here": []}

    async def timed(side: str, call: Callable[[], Awaitable[Any]]) -> None:
        started = time.perf_counter()
        await call()
        times[side].append((time.perf_counter() - started) * 1000)

    for _ in range(ROUNDS * 10):
        await timed("triton", lambda: triton.infer(alone_of(model), request))
        await timed("here", lambda: here.infer(model, request))
    return Overhead(model, statistics.median(times["triton"]), statistics.median(times["here"]))


@asynccontextmanager
async def both(models: ModelSet) -> AsyncIterator[tuple[TritonInference, OnnxInference]]:
    server_of = importlib.import_module("support.triton_server").triton_server  # the tests' way to start the binary
    with tempfile.TemporaryDirectory() as folder:
        write_repository(models, Path(folder) / "repository")
        with server_of(Path(folder) / "repository", Path(folder) / "log") as server:
            served = [models.get(TEXT), models.get(IMAGE)]
            spaces = {name: model.space for model in served for name in (model.name, alone_of(model.name))}
            triton = TritonInference(server.url, spaces)
            here = OnnxInference({model.name: model.onnx_path for model in served})
            try:
                yield triton, here
            finally:
                await triton.aclose()
                await here.aclose()


async def measure(requests_a_round: int) -> dict[str, Any]:
    models = ModelSet.load(ROOT / "triton_models")
    async with both(models) as (triton, here):
        costs = [await overhead(triton, here, TEXT, texts(1)[0]), await overhead(triton, here, IMAGE, image())]
        gain = await batching(triton, requests_a_round)
    return {"batching": asdict(gain), "overhead": [asdict(cost) for cost in costs]}


def main() -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=320, help="texts a round and side")
    found = asyncio.run(measure(parser.parse_args().requests))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
