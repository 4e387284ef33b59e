"""Image and text towers of CLIP and its kin: whatever goes in, `embedding` comes out with unit length."""

from __future__ import annotations

import onnx
from onnx import TensorProto

from kindred_kit.errors import ModelInvalid
from kindred_kit.graphs.activations import float_activations
from kindred_kit.graphs.pixels import add_pixels, image_input_of
from kindred_kit.graphs.published import (
    BATCH,
    Value,
    inputs_of,
    keep_outputs,
    listed,
    needs_of,
    open_batch,
    outputs_of,
)
from kindred_kit.graphs.wrapping import Wrapping
from kindred_kit.models import ModelManifest, Preparation

_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16}
_INTEGERS = {TensorProto.INT32, TensorProto.INT64}
_TOKEN_TYPES = {"int32": TensorProto.INT32, "int64": TensorProto.INT64}
EMBEDDING = "embedding"


def image_tower(model: onnx.ModelProto, manifest: ModelManifest, preparation: Preparation) -> onnx.ModelProto:
    """Raises ModelInvalid where the file is no image tower of this manifest."""
    images = {value.name for value in inputs_of(model) if value.dtype in _FLOATS and len(value.shape) == 4}
    embedding = _embedding(model, manifest, preparation, images)
    keep_outputs(model, {embedding.name})
    published = image_input_of(model)
    if len(manifest.image_inputs) != 1:
        raise ModelInvalid(f"model {manifest.name}: an image tower has one image input, not {manifest.image_inputs}")
    float_activations(model)
    open_batch(model)
    wrapping = Wrapping(model)
    add_pixels(wrapping, published, manifest.image_inputs[0], preparation)
    _add_embedding(wrapping, embedding, manifest.dimension)
    return wrapping.finish(manifest.name)


def text_tower(model: onnx.ModelProto, manifest: ModelManifest, preparation: Preparation) -> onnx.ModelProto:
    """Raises ModelInvalid where the file is no text tower of this manifest."""
    texts = {value.name for value in inputs_of(model) if value.dtype in _INTEGERS and len(value.shape) == 2}
    embedding = _embedding(model, manifest, preparation, texts)
    keep_outputs(model, {embedding.name})
    ids, mask = _token_inputs(inputs_of(model))
    float_activations(model)
    open_batch(model)
    wrapping = Wrapping(model)
    _add_tokens(wrapping, ids, mask, manifest)
    _add_embedding(wrapping, embedding, manifest.dimension)
    return wrapping.finish(manifest.name)


def _embedding(model: onnx.ModelProto, manifest: ModelManifest, preparation: Preparation, allowed: set[str]) -> Value:
    """The output [n, dimension] that is computed from the `allowed` inputs alone."""
    outputs = outputs_of(model)
    if not allowed:
        raise ModelInvalid(
            f"{preparation.graph.replace('_', ' ')} {manifest.name}: the file has no such input, but "
            f"{listed(inputs_of(model))}"
        )
    candidates = [
        value
        for value in outputs
        if value.dtype in _FLOATS
        and len(value.shape) == 2
        and value.shape[1] in {manifest.dimension, None}
        and needs_of(model, value.name) <= allowed
    ]
    exact = [value for value in candidates if value.shape[1] == manifest.dimension]
    named = [value for value in candidates if value.name.rpartition("/")[2] == preparation.output]
    found = named if preparation.output else exact or candidates
    if len(found) == 1:
        return found[0]
    advice = "; say which in model.yaml: prepare.output" if len(found) > 1 else ""
    raise ModelInvalid(
        f"{manifest.name}: one output float [n, {manifest.dimension}]"
        f"{f' named {preparation.output}' if preparation.output else ''} is needed for its embedding; "
        f"the file has {listed(outputs)}{advice}"
    )


def _token_inputs(inputs: list[Value]) -> tuple[Value, Value | None]:
    masks = [value for value in inputs if "mask" in value.name.rpartition("/")[2].lower()]
    ids = [value for value in inputs if value not in masks]
    if len(ids) != 1 or len(masks) > 1:
        raise ModelInvalid(f"a text tower takes token ids, and a mask beside them or none; this one {listed(inputs)}")
    return ids[0], masks[0] if masks else None


def _add_tokens(wrapping: Wrapping, ids: Value, mask: Value | None, manifest: ModelManifest) -> None:
    """Ids as model.yaml types them; a mask that the file wants and model.yaml does not name is all ones.

    Such texts are padded as CLIP pads: nothing looks past the end token.
    """
    declared = {entry["name"]: entry for entry in manifest.raw["inputs"]}
    graph = wrapping.before
    if "input_ids" not in declared or not set(declared) <= {"input_ids", "attention_mask"}:
        raise ModelInvalid(f"model {manifest.name}: a text tower's inputs are input_ids and perhaps attention_mask")
    shape = _token_shape(declared["input_ids"], ids, manifest)
    given = {name: graph.input(name, _token_type(entry), shape) for name, entry in declared.items()}
    wrapping.feed(graph.op("Cast", given["input_ids"], to=ids.dtype), ids.name)
    if mask is None and "attention_mask" in given:
        raise ModelInvalid(f"model {manifest.name}: the file takes no attention_mask; take it out of model.yaml")
    if mask is not None and "attention_mask" in given:
        wrapping.feed(graph.op("Cast", given["attention_mask"], to=mask.dtype), mask.name)
    elif mask is not None:
        sides = graph.op("Shape", given["input_ids"])
        ones = graph.op("Expand", graph.ints([1]), sides)
        wrapping.feed(graph.op("Cast", ones, to=mask.dtype), mask.name)


def _token_type(entry: dict[str, object]) -> int:
    if entry.get("dtype") not in _TOKEN_TYPES:
        raise ModelInvalid(f"token ids are int32 or int64, not {entry.get('dtype')!r}")
    return _TOKEN_TYPES[str(entry["dtype"])]


def _token_shape(declared: dict[str, object], ids: Value, manifest: ModelManifest) -> list[int | str]:
    wanted = declared.get("shape")
    if not isinstance(wanted, list) or len(wanted) != 2:
        raise ModelInvalid(f"model {manifest.name}: the shape of input_ids is [n, tokens], not {wanted!r}")
    longest = manifest.max_text_tokens
    if ids.shape[1] is not None and (wanted[1] != ids.shape[1] or longest != ids.shape[1]):
        raise ModelInvalid(f"model.yaml says {wanted[1]} tokens, {longest} at most; the file takes {ids}")
    return [BATCH, wanted[1]]


def _add_embedding(wrapping: Wrapping, published: Value, dimension: int) -> None:
    graph = wrapping.after
    value = published.name
    if published.dtype == TensorProto.FLOAT16:
        value = graph.op("Cast", value, to=TensorProto.FLOAT)
    graph.output(graph.l2_normalise(value), EMBEDDING, TensorProto.FLOAT, [BATCH, dimension])
