"""Which adapter of the inference port a process uses: `KINDRED_INFERENCE` and `KINDRED_TRITON_*`."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Literal

from kindred_kit.errors import Unavailable
from kindred_kit.settings import Settings
from kindred_kit.telemetry import get_logger

if TYPE_CHECKING:
    from kindred_kit.models import ModelSet
    from kindred_kit.ports.inference import Inference


class InferenceSettings(Settings):
    """`inference`: onnx (ONNX Runtime in this process) or triton (a server at `triton_url`, host:port of its gRPC)."""

    inference: Literal["onnx", "triton"] = "onnx"
    triton_url: str = "127.0.0.1:8001"
    triton_deadline_s: float = 10.0
    triton_in_flight: int = 64
    triton_shared_memory: bool = True


async def open_inference(
    stack: AsyncExitStack, models: ModelSet, profile: str, settings: InferenceSettings, *, must_answer: bool = False
) -> tuple[ModelSet, Inference]:
    """The adapter that the settings name, closed by `stack`, and those of `models` that it can be asked for.

    Raises ModelNotPulled where this process would run what is not here, and SpaceMismatch where a Triton server embeds
    into another space than `models` say. A server that does not answer is waited for by not being ready, or with
    `must_answer` raises Unavailable, as one that lacks a model does.
    """
    if settings.inference == "onnx":
        from kindred_kit.adapters.onnx_inference import OnnxInference

        here = models.pulled(profile)
        in_process = OnnxInference({model.name: model.onnx_path for model in here})
        stack.push_async_callback(in_process.aclose)
        return here, in_process
    from kindred_kit.adapters.triton_inference import TritonInference, TritonLimits
    from kindred_kit.models import ModelSet  # codecs, which who only reads settings never needs

    limits = TritonLimits(
        settings.triton_deadline_s, settings.triton_in_flight, shared_memory=settings.triton_shared_memory
    )
    spaces = {model.name: model.space for model in models if model.serves(profile)}
    triton = TritonInference(settings.triton_url, spaces, limits)
    stack.push_async_callback(triton.aclose)
    try:
        served = await triton.check()
    except Unavailable as error:
        if must_answer:
            raise
        get_logger("triton").warning("not ready", detail=error.detail)
        served = set(spaces)
    # of a profile's detectors those count that the operator chose to serve; what it can't do without is waited for
    mine = ModelSet({model.name: model for model in models if model.name in spaces})
    kept = {model.name: model for model in mine if model.name in served or model.kind != "detector"}
    here = ModelSet(kept) if any(model.detects for model in kept.values()) else mine
    if must_answer and (missing := [model.name for model in here.needed(profile) if model.name not in served]):
        raise Unavailable(
            f"the Triton server at {settings.triton_url} has no {', '.join(missing)}; write its repository with: "
            f"kindred models repository --profile {profile}"
        )
    return here, triton
