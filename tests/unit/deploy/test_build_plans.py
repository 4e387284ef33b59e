"""The plan builder, with made-up programs named trtexec and nvidia-smi on the PATH: no GPU and no TensorRT ran here."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.paths import ROOT

BUILDER = ROOT / "deploy" / "triton" / "build_plans.py"
TRTEXEC = """#!/usr/bin/env python3
import os, sys
print("&&&& RUNNING TensorRT.trtexec [TensorRT v%s] [b10] # trtexec" % os.environ.get("FAKE_VERSION", "100500"))
if "--help" in sys.argv:
    sys.exit(0)
with open(os.environ["FAKE_CALLS"], "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + chr(10))
if os.environ.get("FAKE_FAILS"):
    print("[E] unsupported")
    sys.exit(1)
out = next(word for word in sys.argv if word.startswith("--saveEngine=")).partition("=")[2]
with open(out, "wb") as plan:
    plan.write(b"" if os.environ.get("FAKE_EMPTY") else b"plan " + os.environ.get("FAKE_VERSION", "").encode())
"""
NVIDIA_SMI = '#!/bin/sh\nprintf "%b" "${FAKE_GPUS-NVIDIA L4\\n}"\n'
SHAPES = {"min": {"ids": [1, 8], "mask": [1, 8]}, "opt": {"ids": [16, 16], "mask": [16, 16]}}


class Node:
    """A machine with a repository of one model."""

    def __init__(self, folder: Path) -> None:
        self.model, self.store = folder / "models" / "text", folder / "store"
        self.calls, self.metrics = folder / "calls", folder / "metrics" / "plans.prom"
        self.bin = folder / "bin"
        for name, text in (("trtexec", TRTEXEC), ("nvidia-smi", NVIDIA_SMI)):
            self.bin.mkdir(exist_ok=True)
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(stat.S_IRWXU)
        (self.model / "1").mkdir(parents=True)
        (self.model / "configs").mkdir()
        for runtime in ("tensorrt", "onnxruntime"):
            (self.model / "configs" / f"{runtime}.pbtxt").write_text(runtime)
        self.publish(b"a graph")

    def publish(self, graph: bytes, precision: str = "fp16") -> None:
        (self.model / "1" / "model.onnx").write_bytes(graph)
        sha256 = hashlib.sha256(graph).hexdigest()
        order = {"onnx": "1/model.onnx", "onnx_sha256": sha256, "precision": precision, "shapes": SHAPES}
        (self.model / "plan.json").write_text(json.dumps(order))

    def build(self, *options: str, expect: int = 0, **fake: str) -> str:
        environment = {"PATH": f"{self.bin}:{os.environ['PATH']}", "FAKE_CALLS": str(self.calls), **fake}
        command = [sys.executable, str(BUILDER), str(self.model.parent), "--store", str(self.store), *options]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        assert done.returncode == expect, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    @property
    def builds(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    @property
    def plans(self) -> list[str]:
        return sorted(str(path.relative_to(self.store)) for path in self.store.rglob("*.plan"))

    @property
    def served_by(self) -> str:
        return (self.model / "config.pbtxt").read_text()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_plan_is_built_once_and_put_in_its_place(node: Node) -> None:
    assert "plan built for NVIDIA L4, TensorRT 100500" in node.build("--metrics", str(node.metrics))
    assert (node.model / "1" / "model.plan").read_bytes().startswith(b"plan")
    assert node.served_by == "tensorrt"
    [call] = node.builds
    assert "--minShapes=ids:1x8,mask:1x8 --optShapes=ids:16x16,mask:16x16 --fp16 --skipInference" in call
    assert 'kindred_plan_fallback{model="text"} 0' in node.metrics.read_text()

    (node.model / "1" / "model.plan").unlink()
    assert "plan kept" in node.build()
    assert len(node.builds) == 1
    assert (node.model / "1" / "model.plan").exists()


def test_another_gpu_tensorrt_graph_or_precision_is_another_plan(node: Node) -> None:
    node.build()
    node.build(FAKE_GPUS="NVIDIA A100-SXM4-80GB\n")
    node.build(FAKE_VERSION="101602")
    node.publish(b"another graph")
    node.build()
    node.publish(b"another graph", precision="fp32")
    node.build()
    assert len(node.builds) == len(set(node.plans)) == 5
    assert node.plans[0].startswith("NVIDIA-A100-SXM4-80GB/tensorrt-100500/")
    assert "--fp16" not in node.builds[-1]


@pytest.mark.parametrize(
    ("fake", "reason"),
    [
        ({"FAKE_FAILS": "1"}, "trtexec made no plan (exit code 1)"),
        ({"FAKE_EMPTY": "1"}, "trtexec made no plan (exit code 0)"),
        ({"FAKE_GPUS": ""}, "nvidia-smi lists no GPU"),
        ({"FAKE_GPUS": "NVIDIA L4\\nNVIDIA T4\\n"}, "GPUs of several kinds"),
    ],
)
def test_without_a_plan_onnx_runtime_serves_and_it_is_said(node: Node, fake: dict[str, str], reason: str) -> None:
    said = node.build("--metrics", str(node.metrics), **fake)
    assert reason in said
    assert "WARNING text" in said
    assert node.served_by == "onnxruntime"
    assert 'kindred_plan_fallback{model="text"} 1' in node.metrics.read_text()
    assert node.plans == []
    node.build("--strict", expect=1, **fake)

    node.build("--strict")  # once it works again, the plan serves
    assert node.served_by == "tensorrt"


def test_a_machine_without_trtexec(node: Node) -> None:
    (node.bin / "trtexec").unlink()
    assert "no trtexec" in node.build()
    assert node.served_by == "onnxruntime"


def test_a_graph_that_is_not_the_one_of_its_order_is_not_built(node: Node) -> None:
    (node.model / "1" / "model.onnx").write_bytes(b"something else")
    assert "not the graph of its plan.json" in node.build()
    assert node.builds == []


def test_a_folder_that_is_no_such_repository(node: Node) -> None:
    (node.model / "plan.json").unlink()
    assert "--target tensorrt" in node.build(expect=2)


def test_the_job_runs_the_builder_of_the_image(node: Node) -> None:
    job = yaml.safe_load((ROOT / "deploy" / "triton" / "build-plans-job.yaml").read_text())
    [container] = job["spec"]["template"]["spec"]["containers"]
    program, *arguments = container["command"]
    assert f"/usr/local/bin/{program}" in (ROOT / "deploy" / "triton" / "Dockerfile").read_text()
    help_text = node.build("--help")
    assert all(argument in help_text for argument in arguments if argument.startswith("--"))
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {path for path in arguments if path.startswith("/") and "." not in path} <= mounted
