"""config.pbtxt from model.yaml."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import text_format
from support.paths import MODELS, ROOT
from support.tiny_models import double_folder
from tritonclient.grpc.model_config_pb2 import ModelConfig

from kindred_kit.errors import ModelInvalid
from kindred_kit.models import ModelManifest, ModelSet
from kindred_kit.triton import SPACE_PARAMETER, config_pbtxt, write_model


def parsed(model: ModelManifest, target: str | None = None) -> Any:
    return text_format.Parse(config_pbtxt(model, target), ModelConfig())


def edited(folder: Path, **changes: Any) -> ModelManifest:
    """`double` with other words in its model.yaml."""
    manifest = double_folder(folder) / "model.yaml"
    manifest.write_text(yaml.safe_dump({**yaml.safe_load(manifest.read_text()), **changes}))
    return ModelManifest.load(manifest.parent)


def test_the_committed_files_are_what_the_manifests_say() -> None:
    command = [sys.executable, str(ROOT / "tools" / "write_triton_configs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("target", ["tensorrt", "onnxruntime", "python"])
def test_every_model_has_batches_warm_up_and_its_space(target: str) -> None:
    for model in ModelSet.load(MODELS):
        config = parsed(model, target)
        assert (config.platform or config.backend) == {
            "tensorrt": "tensorrt_plan", "onnxruntime": "onnxruntime_onnx", "python": "python",
        }[target]  # fmt: skip
        assert [tensor.name for tensor in config.input] == [entry["name"] for entry in model.raw["inputs"]]
        assert [tensor.name for tensor in config.output] == list(model.outputs)
        batching = config.dynamic_batching
        assert max(batching.preferred_batch_size) <= config.max_batch_size
        assert 0 < batching.max_queue_delay_microseconds <= 5000
        # measured: with a policy (even a size alone) requests of 16 clients stood still for 500 ms at a time
        assert not batching.HasField("default_queue_policy")
        assert len(config.model_warmup) == 2
        assert config.version_policy.latest.num_versions == 1
        assert config.response_cache.enable == (model.kind == "text_encoder")
        assert config.parameters[SPACE_PARAMETER].string_value == model.space


def test_the_triton_block_of_a_manifest_decides(tmp_path: Path) -> None:
    block = {
        "target": "tensorrt", "max_batch_size": 8, "preferred_batch_sizes": [3, 8], "queue_delay_us": 700,
        "queue_reason": "because\nof it", "instances": 2, "precision": "fp32",
    }  # fmt: skip
    model = edited(tmp_path, triton=block)
    config = parsed(model)
    assert (config.platform, config.max_batch_size, config.instance_group[0].count) == ("tensorrt_plan", 8, 2)
    assert list(config.dynamic_batching.preferred_batch_size) == [3, 8]
    assert config.dynamic_batching.max_queue_delay_microseconds == 700
    assert "# Queue delay: because of it." in config_pbtxt(model)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"max_batch_size": 0}, "max_batch_size"),
        ({"max_batch_size": 8, "preferred_batch_sizes": [16]}, "preferred"),
        ({"queue_delay_us": -1}, "queue_delay_us"),
        ({"instances": 1000}, "instances"),
        ({"target": "gpu"}, "target"),
        ({"precision": "int3"}, "precision"),
        ({"max_batch": 4}, "max_batch means nothing"),
        ({"max_batch_size": "many"}, "not readable"),
    ],
)
def test_a_block_that_triton_could_not_serve_is_refused(tmp_path: Path, block: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelInvalid, match=said):
        config_pbtxt(edited(tmp_path, triton=block))


def test_shapes_that_a_manifest_leaves_out_come_from_the_graph(tmp_path: Path) -> None:
    model = edited(tmp_path, inputs=[{"name": "x"}], outputs=[{"name": "y"}])
    config = parsed(model)
    assert [(t.name, list(t.dims)) for t in (*config.input, *config.output)] == [("x", [2]), ("y", [2])]
    assert config.max_batch_size == 16
    model.onnx_path.unlink()
    with pytest.raises(ModelInvalid, match="no graph to read them from"):
        config_pbtxt(model)


def test_a_fixed_batch_is_served_as_it_is(tmp_path: Path) -> None:
    tensors = {name: [{"name": name, "dtype": "float32", "shape": [1, 2]}] for name in ("x", "y")}
    config = parsed(edited(tmp_path, inputs=tensors["x"], outputs=tensors["y"]))
    assert config.max_batch_size == 0
    assert list(config.input[0].dims) == [1, 2]
    assert not config.HasField("dynamic_batching")


@pytest.mark.parametrize("shape", [[], ["n", {}], None, "n"])
def test_a_shape_that_is_none(tmp_path: Path, shape: Any) -> None:
    inputs = [{"name": "x", "dtype": "float32", "shape": shape}]
    with pytest.raises(ModelInvalid, match="shape of a tensor"):
        config_pbtxt(edited(tmp_path, inputs=inputs))


def test_names_are_escaped_and_never_paths(tmp_path: Path) -> None:
    hostile = 'x" } backend: "python'
    config = parsed(edited(tmp_path, inputs=[{"name": hostile, "dtype": "float32", "shape": ["n", 2]}]))
    assert config.input[0].name == hostile
    assert config.backend == ""
    model = dataclasses.replace(edited(tmp_path), name="../outside")
    with pytest.raises(ModelInvalid, match="can't be named"):
        write_model(model, "python", tmp_path / "out")
    assert not (tmp_path / "outside").exists()


def test_a_repository_is_written_over_its_older_self_and_keeps_its_plan(tmp_path: Path) -> None:
    model = edited(tmp_path)
    out = tmp_path / "out"
    assert write_model(model, "tensorrt", out).needs_plan
    (out / "double" / "1" / "model.plan").write_bytes(b"plan")
    assert not write_model(model, "tensorrt", out).needs_plan
    assert (out / "double" / "1" / "model.onnx").read_bytes() == model.onnx_path.read_bytes()
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert names == [
        "double/1/model.onnx", "double/1/model.plan", "double/config.pbtxt", "double/configs/onnxruntime.pbtxt",
        "double/configs/tensorrt.pbtxt", "double/plan.json",
    ]  # fmt: skip
    model.onnx_path.unlink()
    with pytest.raises(ModelInvalid, match=r"model\.onnx is missing"):
        write_model(model, "python", out)
