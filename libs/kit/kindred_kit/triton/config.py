"""config.pbtxt of a model, generated from its model.yaml: the one place where it is said what a model is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kindred_kit.models import ModelManifest
from kindred_kit.triton.serving import Serving, Target
from kindred_kit.triton.tensors import Signature, TensorSpec, signature_of

if TYPE_CHECKING:
    from tritonclient.grpc.model_config_pb2 import ModelConfig

__all__ = ["SPACE_PARAMETER", "Target", "config_pbtxt"]

SPACE_PARAMETER = "kindred_space"
"""Parameter of a configuration that names the embedding space, so that a client sees what it talks to."""
_PLATFORMS = {"tensorrt": "tensorrt_plan", "onnxruntime": "onnxruntime_onnx"}
_TYPES = {"uint8": "UINT8", "int32": "INT32", "int64": "INT64", "float16": "FP16", "float32": "FP32"}
_WARM_UP_LENGTH = 16


def config_pbtxt(model: ModelManifest, target: Target | None = None) -> str:
    """The text of config.pbtxt for a runtime (None: the model's own). Raises ModelInvalid."""
    from google.protobuf import text_format

    serving = Serving.of(model)
    config = _config(model, serving, target or serving.target)
    return _header(serving) + text_format.MessageToString(config)


def _header(serving: Serving) -> str:
    """Comments: the message that follows has no place for reasons."""
    return (
        "# Written by `kindred models repository` from model.yaml; change that, not this.\n"
        f"# Queue delay: {serving.queue_reason}.\n"
        "# No queue policy: with one Triton 2.51 at times sleeps 500 ms beside a full queue; callers have bounds.\n"
        "# Instances: one a device; a second one makes batches smaller and shares the same memory bandwidth.\n"
    )


def _config(model: ModelManifest, serving: Serving, target: Target) -> ModelConfig:
    from tritonclient.grpc import model_config_pb2 as pb

    signature = signature_of(model)
    config = pb.ModelConfig(name=model.name)
    if target == "python":
        config.backend = "python"
    else:
        config.platform = _PLATFORMS[target]
    config.max_batch_size = serving.max_batch_size if signature.batched else 0
    config.version_policy.latest.num_versions = 1
    config.input.extend(pb.ModelInput(**_tensor(tensor, pb)) for tensor in signature.inputs)
    config.output.extend(pb.ModelOutput(**_tensor(tensor, pb)) for tensor in signature.outputs)
    # Triton puts an instance of the other targets on each GPU by itself
    placed = pb.ModelInstanceGroup.KIND_CPU if target == "python" else pb.ModelInstanceGroup.KIND_AUTO
    config.instance_group.append(pb.ModelInstanceGroup(count=serving.instances, kind=placed))
    if signature.batched:
        _batch(config, serving)
    if model.kind == "text_encoder":
        config.response_cache.enable = True  # the same queries come again and again, images do not
    if model.space:
        config.parameters[SPACE_PARAMETER].string_value = model.space
    _warm_up(config, serving, signature, pb)
    return config


def _tensor(tensor: TensorSpec, pb: Any) -> dict[str, Any]:
    return {"name": tensor.name, "data_type": _data_type(tensor, pb), "dims": tensor.dims}


def _data_type(tensor: TensorSpec, pb: Any) -> int:
    return int(pb.DataType.Value(f"TYPE_{_TYPES[tensor.dtype]}"))


def _batch(config: ModelConfig, serving: Serving) -> None:
    batching = config.dynamic_batching
    batching.preferred_batch_size.extend(serving.preferred)
    batching.max_queue_delay_microseconds = serving.queue_delay_us


def _warm_up(config: ModelConfig, serving: Serving, signature: Signature, pb: Any) -> None:
    """Zeros through the model before it counts as ready: alone, and at the size that bursts come in."""
    sizes = (1, serving.preferred[0]) if config.max_batch_size else (1,)
    for size in sorted(set(sizes)):
        warm_up = config.model_warmup.add(name=f"batch of {size}", batch_size=size if config.max_batch_size else 0)
        for tensor in signature.inputs:
            dims = [dim if dim > 0 else _WARM_UP_LENGTH for dim in tensor.dims]
            warm_up.inputs[tensor.name].CopyFrom(
                pb.ModelWarmup.Input(data_type=_data_type(tensor, pb), dims=dims, zero_data=True)
            )
