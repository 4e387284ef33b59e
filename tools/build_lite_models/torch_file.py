"""Reads a state dict from a file that torch.save wrote in its old format (before 1.6), without torch.

The format: four pickles (magic number, version, system, the object), a pickled list of storage keys, then for each
storage its length (int64, elements) and its raw little-endian values. See torch/serialization.py, _legacy_load.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class UnexpectedPickle(Exception):
    """The file holds something else than a plain state dict of float and integer tensors."""


def read_state_dict(path: Path) -> dict[str, NDArray[Any]]:
    """Parameter name -> array."""
    with path.open("rb") as file:
        if pickle.load(file) != MAGIC:
            raise UnexpectedPickle(f"{path.name} is not in torch's old format")
        pickle.load(file), pickle.load(file)
        reader = _StateDictUnpickler(file)
        tensors: dict[str, _Tensor] = reader.load()
        for key in pickle.load(file):
            count = int(np.frombuffer(file.read(8), "<i8")[0])
            dtype = reader.storages[key]
            reader.values[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return {name: tensor.array(reader.values) for name, tensor in tensors.items()}


class _Tensor:
    """Takes the arguments of torch._utils._rebuild_tensor_v2; the values come later in the file."""

    def __init__(self, key: str, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> None:
        self._key, self._offset, self._shape, self._stride = key, offset, shape, stride

    def array(self, values: dict[str, NDArray[Any]]) -> NDArray[Any]:
        flat = values[self._key][self._offset :]
        steps = [step * flat.itemsize for step in self._stride]
        return np.lib.stride_tricks.as_strided(flat, self._shape, steps).copy()


class _StateDictUnpickler(pickle.Unpickler):
    """Knows the four names that a state dict needs; any other is refused, so no code of the file runs."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.storages: dict[str, np.dtype[Any]] = {}
        self.values: dict[str, NDArray[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise UnexpectedPickle(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> str:
        _, dtype, key, _, _, *_ = pid
        self.storages[key] = dtype
        return str(key)
