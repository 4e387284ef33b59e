"""The Triton adapter beyond the port's contract: what it does with a server's trouble, time and memory."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY
from support.paths import MODELS
from support.tiny_models import DOUBLE, double_folder
from support.triton_server import TritonServer, triton_server

from kindred_kit.adapters.triton_inference import TritonInference, TritonLimits
from kindred_kit.errors import DeadlineExceeded, InvalidArgument, SpaceMismatch, Unavailable
from kindred_kit.inference import InferenceSettings, open_inference
from kindred_kit.models import ModelManifest, ModelSet
from kindred_kit.ports.inference import all_ready
from kindred_kit.triton import write_model

ONE = {"x": np.ones((1, 2), np.float32)}
SLOW = """
import time
_execute = TritonPythonModel.execute
def _slowly(self, requests):
    time.sleep(0.4)
    return _execute(self, requests)
TritonPythonModel.execute = _slowly
"""


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """`double`, 0.4 s a batch."""
    folder = tmp_path_factory.mktemp("slow")
    written = write_model(ModelManifest.load(double_folder(folder / "models")), "python", folder / "repository")
    with (written.folder / "1" / "model.py").open("a") as file:
        file.write(SLOW)
    with triton_server(folder / "repository", folder / "log") as server:
        yield server


@asynccontextmanager
async def asking(url: str, space: str = "", **limits: Any) -> AsyncIterator[TritonInference]:
    # a busy machine is no reason to give up
    inference = TritonInference(url, {DOUBLE: space}, TritonLimits(**{"deadline_s": 120.0, **limits}))
    yield inference
    await inference.aclose()


async def test_a_deadline_ends_the_wait(slow_server: TritonServer) -> None:
    async with asking(slow_server.url, deadline_s=0.1) as inference:
        with pytest.raises(DeadlineExceeded, match="double did not answer in"):
            await inference.infer(DOUBLE, ONE)


async def test_calls_past_the_bound_wait_their_turn(slow_server: TritonServer) -> None:
    from tritonclient.grpc.aio import InferenceServerClient

    async with InferenceServerClient(slow_server.url) as client, asking(slow_server.url, in_flight=1) as inference:
        await inference.infer(DOUBLE, ONE)  # after what another test has left in the queue
        await asyncio.sleep(0.3)  # the server counts an answer after it was sent
        before = (await client.get_inference_statistics(DOUBLE)).model_stats[0].execution_count
        await asyncio.gather(*(inference.infer(DOUBLE, ONE) for _ in range(4)))
        await asyncio.sleep(0.3)
        # one at a time: they never met in a batch
        assert (await client.get_inference_statistics(DOUBLE)).model_stats[0].execution_count - before == 4


async def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    async with asking("127.0.0.1:9") as inference:
        assert not await inference.is_ready(DOUBLE)
        with pytest.raises(Unavailable):
            await inference.infer(DOUBLE, ONE)
        with pytest.raises(Unavailable, match="KINDRED_TRITON_URL"):
            await inference.check()


async def test_a_model_that_is_not_loaded_is_unavailable_and_then_answers(slow_server: TritonServer) -> None:
    async with asking(slow_server.url) as inference:
        slow_server.unload(DOUBLE)
        assert not await inference.is_ready(DOUBLE)
        with pytest.raises(Unavailable, match="not loaded"):
            await inference.infer(DOUBLE, ONE)
        slow_server.load(DOUBLE)
        assert await inference.is_ready(DOUBLE)
        await inference.infer(DOUBLE, ONE)


async def test_a_batch_over_the_largest_is_refused(slow_server: TritonServer) -> None:
    async with asking(slow_server.url) as inference:
        with pytest.raises(InvalidArgument, match="batch-size must be <= 16"):
            await inference.infer(DOUBLE, {"x": np.zeros((17, 2), np.float32)})


async def test_a_model_of_another_space_is_not_asked(server: TritonServer) -> None:
    inference = TritonInference(server.url, {"lite_text": "other-2"})
    tokens = {"input_ids": np.ones((1, 8), np.int64), "attention_mask": np.ones((1, 8), np.int64)}
    with pytest.raises(SpaceMismatch, match=r"lite-1-\w+.*other-2"):
        await inference.check()
    with pytest.raises(Unavailable, match="other-2"):
        await inference.infer("lite_text", tokens)
    assert not await inference.is_ready("lite_text")
    await inference.aclose()


@pytest.mark.parametrize("there", [True, False])
async def test_detectors_that_the_server_does_not_have_are_left_out(
    server: TritonServer, models: ModelSet, tmp_path: Path, there: bool
) -> None:
    known = ModelSet({**models.models, DOUBLE: ModelManifest.load(double_folder(tmp_path))})
    settings = InferenceSettings(inference="triton", triton_url=server.url if there else "127.0.0.1:9")
    async with AsyncExitStack() as stack:
        kept, inference = await open_inference(stack, known, "lite", settings)
        assert set(kept.models) == (set(models.models) if there else set(known.models))
        assert await all_ready(inference, models.models) == there


async def test_a_server_without_the_models_of_the_profile_is_named(server: TritonServer) -> None:
    settings = InferenceSettings(inference="triton", triton_url=server.url)
    async with AsyncExitStack() as stack:
        with pytest.raises(Unavailable, match=r"has no clip_image, clip_text, yolov7; .* --profile clip"):
            await open_inference(stack, ModelSet.load(MODELS), "clip", settings, must_answer=True)


async def test_a_reload_under_load_fails_no_request(server: TritonServer, triton: TritonInference) -> None:
    rng = np.random.default_rng(5)
    done, stop = 0, asyncio.Event()

    async def client() -> None:
        nonlocal done
        while not stop.is_set():
            ids = rng.integers(1000, 20_000, (1, 8))
            outputs = await triton.infer("lite_text", {"input_ids": ids, "attention_mask": np.ones_like(ids)})
            assert np.isfinite(outputs["embedding"]).all()
            done += 1

    clients = [asyncio.create_task(client()) for _ in range(8)]
    for _ in range(2):
        before = done
        os.utime(server.repository / "lite_text" / "1" / "model.py")  # a file that is older is not loaded anew
        await asyncio.to_thread(server.load, "lite_text")
        assert done > before  # answered by the old one while the new one was loaded
    stop.set()
    await asyncio.gather(*clients)


async def test_more_tokens_than_the_model_has_places_for(triton: TritonInference) -> None:
    tokens = {"input_ids": np.ones((1, 4000), np.int64), "attention_mask": np.ones((1, 4000), np.int64)}
    with pytest.raises(InvalidArgument, match="lite_text does not take"):
        await triton.infer("lite_text", tokens)


async def test_large_batches_go_through_shared_memory(server: TritonServer, triton: TritonInference) -> None:
    from tritonclient.grpc.aio import InferenceServerClient

    rng = np.random.default_rng(3)
    batch = {
        "encoder_image": rng.integers(0, 256, (4, 320, 320, 3), np.uint8),
        "detector_image": rng.integers(0, 256, (4, 512, 512, 3), np.uint8),
    }
    async with InferenceServerClient(server.url) as client:
        shared = await triton.infer("lite_image", batch)
        assert len((await client.get_system_shared_memory_status()).regions) == 1
        again = await triton.infer("lite_image", batch)
        assert len((await client.get_system_shared_memory_status()).regions) == 1
        # a server that has forgotten the region, as after a restart
        await client.unregister_system_shared_memory()
        forgotten = await triton.infer("lite_image", batch)
        parts = [await triton.infer("lite_image", {k: v[n : n + 1] for k, v in batch.items()}) for n in range(4)]
        await triton.aclose()
        assert len((await client.get_system_shared_memory_status()).regions) == 0
    for outputs in (again, forgotten, {k: np.concatenate([part[k] for part in parts]) for k in shared}):
        np.testing.assert_allclose(shared["embedding"], outputs["embedding"], atol=1e-5)


async def test_tritons_own_times_are_in_our_histogram(slow_server: TritonServer) -> None:
    def sample(part: str, kind: str) -> float:
        labels = {"model": DOUBLE, "part": part}
        return REGISTRY.get_sample_value(f"kindred_triton_duration_seconds_{kind}", labels) or 0.0

    before = {(part, kind): sample(part, kind) for part in ("queue", "compute") for kind in ("count", "sum")}
    async with asking(slow_server.url, statistics_interval_s=0.05) as inference:
        for _ in range(3):
            await inference.infer(DOUBLE, ONE)
        for _ in range(100):
            await asyncio.sleep(0.05)
            if sample("compute", "count") - before["compute", "count"] == 3:
                break
    assert sample("queue", "count") - before["queue", "count"] == 3
    assert sample("compute", "count") - before["compute", "count"] == 3
    assert sample("compute", "sum") - before["compute", "sum"] > 3 * 0.4 * 0.9
