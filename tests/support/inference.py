"""What the tests' models run on: ONNX Runtime in each process, or one real tritonserver for the whole run."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from kindred_kit.inference import InferenceSettings, open_inference
from kindred_kit.models import ModelManifest, ModelSet
from kindred_kit.ports.inference import Inference
from kindred_kit.triton import write_model
from support.paths import MODELS, SHARED
from support.triton_server import TritonServer, triton_server
from support.yolox import yolox_folder

SETTINGS: dict[str, str] = {}
"""KINDRED_* of the run, for the processes that tests start; filled by `pytest --inference=triton`."""


@asynccontextmanager
async def inference_of(models: ModelSet) -> AsyncIterator[Inference]:
    """The adapter that this run uses, for models of the lite profile."""
    async with AsyncExitStack() as stack:
        _, inference = await open_inference(stack, models, "lite", InferenceSettings(), must_answer=True)
        yield inference


def triton_settings(server: TritonServer) -> dict[str, str]:
    return {"KINDRED_INFERENCE": "triton", "KINDRED_TRITON_URL": server.url}


@contextmanager
def serving_lite(folder: Path) -> Iterator[TritonServer]:
    """A tritonserver with the shipped models."""
    for model in ModelSet.load(MODELS):
        if model.profile == "lite":
            write_model(model, "python", folder / "repository")
    with triton_server(folder / "repository", folder / "triton.log") as server:
        yield server


@contextmanager
def serving_all(folder: Path) -> Iterator[TritonServer]:
    """Beside the shipped models those that tests bring along, where ../shared has their weights."""
    if (SHARED / "models" / "yolox_nano").exists():
        own = (("yolox_nano", "coco-80"), ("others", "others-80"), ("pets_yolo", "pets"))
        for name, label_set in own:
            model = ModelManifest.load(yolox_folder(folder / "own", name=name, label_set=label_set))
            write_model(model, "python", folder / "repository")
    with serving_lite(folder) as server:
        yield server
