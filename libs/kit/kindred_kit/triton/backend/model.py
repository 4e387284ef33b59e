"""A Triton python-backend model that runs the `model.onnx` beside it with ONNX Runtime.

`kindred models repository --target python` copies this file as it is: it needs numpy and onnxruntime, none of Kindred.
"""

import ctypes
import json
import os
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils

_rename_capsule = ctypes.pythonapi.PyCapsule_SetName
_rename_capsule.argtypes = [ctypes.py_object, ctypes.c_char_p]
_CONSUMED = b"used_dltensor"


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        path = os.path.join(args["model_repository"], args["model_version"], "model.onnx")
        options = onnxruntime.SessionOptions()
        # one instance computes what the batcher gathered, on all cores
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # an idle worker that spins would take the core of the process that decodes the next image
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._inputs = [entry["name"] for entry in config["input"]]
        self._outputs = [entry["name"] for entry in config["output"]]
        self._batched = config["max_batch_size"] > 0

    def execute(self, requests: list[Any]) -> list[Any]:
        """The batcher gathers requests of equal shapes: one pass for all of them."""
        inputs = [[self._input(request, name) for name in self._inputs] for request in requests]
        if not self._batched or len(inputs) == 1:
            return [self._alone(values) for values in inputs]
        try:
            outputs = self._run([np.concatenate(parts) for parts in zip(*inputs, strict=True)])
        except Exception:
            return [self._alone(values) for values in inputs]  # one that can't be run must not fail its neighbours
        ends = np.cumsum([len(values[0]) for values in inputs])[:-1]
        split = [np.split(output, ends) for output in outputs]
        return [self._response(list(parts)) for parts in zip(*split, strict=True)]

    def _alone(self, values: list[Any]) -> Any:
        try:
            return self._response(self._run(values))
        except Exception as error:
            failure = pb_utils.TritonError(f"the graph does not take this: {error}", pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=failure)

    def _input(self, request: Any, name: str) -> Any:
        # as_numpy() of this Triton repeats the first element with numpy 2
        return np.from_dlpack(pb_utils.get_input_tensor_by_name(request, name))

    def _run(self, values: list[Any]) -> list[Any]:
        return list(self._session.run(self._outputs, dict(zip(self._inputs, values, strict=True))))

    def _response(self, outputs: list[Any]) -> Any:
        return pb_utils.InferenceResponse(
            [_tensor(name, value) for name, value in zip(self._outputs, outputs, strict=True)]
        )


def _tensor(name: str, value: Any) -> Any:
    """Through DLPack: `pb_utils.Tensor(name, ndarray)` of this Triton gives zero bytes with numpy 2.

    Triton then calls the capsule "used_dlpack"; by that name numpy does not know that it was consumed and prints an
    error for each tensor, so it gets the name that the protocol says.
    """
    capsule = np.ascontiguousarray(value).__dlpack__()
    tensor = pb_utils.Tensor.from_dlpack(name, capsule)
    _rename_capsule(capsule, _CONSUMED)
    return tensor
