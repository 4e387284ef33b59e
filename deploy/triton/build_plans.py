#!/usr/bin/env python3
"""Build the TensorRT plans of a repository that `kindred models repository --target tensorrt` wrote.

Runs on the machine that serves, before tritonserver starts: a plan is good for one GPU and one TensorRT version alone.
Each plan is kept in the store under GPU, TensorRT version and the graph's SHA-256, and is not built again. A model
whose plan can't be built is served by ONNX Runtime instead, with a warning here and `kindred_plan_fallback` 1 in the
metrics. Needs Python 3.10 and the programs trtexec and nvidia-smi of NVIDIA's Triton image; nothing of Kindred.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_VERSION = re.compile(r"\[TensorRT v(\d+)\]")
_UNSAFE = re.compile(r"[^A-Za-z0-9]+")


class BuildFailed(Exception):
    """Why there is no plan."""


@dataclass(frozen=True)
class Machine:
    """What a plan is good for. `trtexec`: the program's path."""

    trtexec: str
    gpu: str
    tensorrt: str

    @classmethod
    def of_this_node(cls) -> Machine:
        trtexec = shutil.which("trtexec", path=f"{os.environ.get('PATH', '')}:/usr/src/tensorrt/bin")
        if trtexec is None:
            raise BuildFailed("there is no trtexec on this machine")
        gpus = _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]).splitlines()
        if not gpus:
            raise BuildFailed("nvidia-smi lists no GPU")
        if len(set(gpus)) > 1:
            raise BuildFailed(f"this machine has GPUs of several kinds ({', '.join(sorted(set(gpus)))}); choose with "
                              "CUDA_VISIBLE_DEVICES, or a node selector")  # fmt: skip
        # every call begins with a line like: &&&& RUNNING TensorRT.trtexec [TensorRT v101602] [b10] # trtexec --help
        version = _VERSION.search(_output([trtexec, "--help"]))
        if version is None:
            raise BuildFailed("trtexec does not say its TensorRT version")
        return cls(trtexec, gpus[0].strip(), version[1])


@dataclass(frozen=True)
class Order:
    """plan.json of a model folder: the graph, its hash, and the shapes min, opt and max of each input."""

    folder: Path
    model: str
    graph: Path
    graph_sha256: str
    precision: str
    shapes: dict[str, dict[str, list[int]]]

    @classmethod
    def read(cls, path: Path) -> Order:
        said = json.loads(path.read_text(encoding="utf-8"))
        folder = path.parent
        return cls(folder, folder.name, folder / said["onnx"], said["onnx_sha256"], said["precision"], said["shapes"])

    @property
    def options(self) -> list[str]:
        """How trtexec is asked to build it."""
        spans = [
            f"--{which}Shapes=" + ",".join(f"{name}:{'x'.join(map(str, dims))}" for name, dims in inputs.items())
            for which, inputs in self.shapes.items()
        ]
        return [*spans, *(["--fp16"] if self.precision == "fp16" else []), "--skipInference"]

    def key(self, machine: Machine) -> Path:
        """Where the plan lies in a store; other shapes or another precision are another plan of the same graph."""
        asked = hashlib.sha256("\n".join(self.options).encode()).hexdigest()[:12]
        return (
            Path(_UNSAFE.sub("-", machine.gpu)) / f"tensorrt-{machine.tensorrt}" / f"{self.graph_sha256}-{asked}.plan"
        )


@dataclass(frozen=True)
class Outcome:
    """`how`: built, kept or fallback."""

    model: str
    how: str
    seconds: float


def build(order: Order, machine: Machine, store: Path, timeout_s: float) -> str:
    """Put the plan in its place; `kept` where the store has it, else `built`. Raises BuildFailed."""
    if _sha256(order.graph) != order.graph_sha256:
        raise BuildFailed(f"{order.graph} is not the graph of its plan.json; write the repository anew")
    kept = store / order.key(machine)
    how = "kept"
    if not kept.exists():
        how = "built"
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside = kept.with_suffix(f".{os.getpid()}")
        try:
            _run_trtexec(order, machine, beside, kept.with_suffix(".log"), timeout_s)
            os.replace(beside, kept)  # whole or not at all, also where two nodes build the same one
        finally:
            beside.unlink(missing_ok=True)
    _install(kept, order.folder / "1" / "model.plan")
    _install(order.folder / "configs" / "tensorrt.pbtxt", order.folder / "config.pbtxt")
    return how


def fall_back(order: Order) -> None:
    """Serve the graph with ONNX Runtime until a plan is there."""
    _install(order.folder / "configs" / "onnxruntime.pbtxt", order.folder / "config.pbtxt")


def _run_trtexec(order: Order, machine: Machine, plan: Path, log: Path, timeout_s: float) -> None:
    command = [machine.trtexec, f"--onnx={order.graph}", f"--saveEngine={plan}", *order.options]
    with log.open("w") as file:
        try:
            done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            raise BuildFailed(f"trtexec was not done in {timeout_s:g} s; its words are in {log}") from None
    if done.returncode != 0 or not plan.exists() or plan.stat().st_size == 0:
        raise BuildFailed(f"trtexec made no plan (exit code {done.returncode}); its words are in {log}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _install(source: Path, target: Path) -> None:
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, beside)
    os.replace(beside, target)


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildFailed(f"{command[0]} can't be run: {error}") from error


def metrics_text(outcomes: list[Outcome]) -> str:
    """For the textfile collector of Prometheus' node exporter."""
    lines = [
        "# HELP kindred_plan_fallback Whether a model is served by ONNX Runtime for want of its TensorRT plan",
        "# TYPE kindred_plan_fallback gauge",
        *(f'kindred_plan_fallback{{model="{one.model}"}} {int(one.how == "fallback")}' for one in outcomes),
        "# HELP kindred_plan_build_seconds How long the last run took over a model's plan",
        "# TYPE kindred_plan_build_seconds gauge",
        *(f'kindred_plan_build_seconds{{model="{one.model}"}} {one.seconds:.1f}' for one in outcomes),
    ]
    return "\n".join(lines) + "\n"


def run(repository: Path, store: Path, timeout_s: float) -> list[Outcome]:
    """Every model of the repository that has a plan.json."""
    try:
        machine: Machine | None = Machine.of_this_node()
        problem = ""
    except BuildFailed as error:
        machine, problem = None, str(error)
    outcomes = []
    for path in sorted(repository.glob("*/plan.json")):
        order, started = Order.read(path), time.monotonic()
        try:
            if machine is None:
                raise BuildFailed(problem)
            how = build(order, machine, store, timeout_s)
            print(f"{order.model}: plan {how} for {machine.gpu}, TensorRT {machine.tensorrt}", flush=True)
        except (BuildFailed, OSError) as error:
            fall_back(order)
            how = "fallback"
            print(f"WARNING {order.model}: {error}; it is served by ONNX Runtime", file=sys.stderr, flush=True)
        outcomes.append(Outcome(order.model, how, time.monotonic() - started))
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path, help="what `kindred models repository --target tensorrt` wrote")
    parser.add_argument(
        "--store", type=Path, required=True, help="where plans are kept, on a disk that outlives the pod"
    )
    parser.add_argument("--metrics", type=Path, help="file for the textfile collector of Prometheus' node exporter")
    parser.add_argument("--timeout-s", type=float, default=1800.0, help="for one plan (default 1800)")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a model fell back to ONNX Runtime")
    asked = parser.parse_args()
    outcomes = run(asked.repository, asked.store, asked.timeout_s)
    if not outcomes:
        print(f"no plan.json in {asked.repository}: is it a repository of --target tensorrt?", file=sys.stderr)
        return 2
    if asked.metrics is not None:
        asked.metrics.parent.mkdir(parents=True, exist_ok=True)
        beside = asked.metrics.with_name(f".{asked.metrics.name}.{os.getpid()}")
        beside.write_text(metrics_text(outcomes), encoding="utf-8")
        os.replace(beside, asked.metrics)
    return int(asked.strict and any(one.how == "fallback" for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
