"""Rows that arrive in pieces, kept in memory or on disk; on disk they become one safetensors file, read by memory mapping."""

import json
import math
import os
import struct
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError

# Room for the header of one tensor, which is only known at the end; the format allows spaces behind it.
_HEADER = 1016
_KINDS = {torch.float32: "F32", torch.float64: "F64"}
TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32", "I16": "int16",
    "I8": "int8", "U8": "uint8", "BOOL": "bool", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "U16": "uint16",
    "U32": "uint32", "U64": "uint64", "C64": "complex64",
}  # fmt: skip


class Memory:
    """Pieces of rows, joined at the end.

    >>> rows = Memory()
    >>> rows.add(torch.zeros(2, 3)); rows.add(torch.ones(1, 3))
    >>> rows.finish().shape
    torch.Size([3, 3])
    """

    def __init__(self) -> None:
        self._pieces: list[Tensor] = []
        self.columns = 0

    def add(self, rows: Tensor) -> None:
        self.columns = rows.shape[1]
        self._pieces.append(rows.clone())

    def finish(self) -> Tensor:
        whole = torch.cat(self._pieces)
        self._pieces.clear()
        return whole

    def discard(self) -> None:
        self._pieces.clear()


class File:
    """Pieces of rows, written to a file one after the other; the file appears under its name when all are there.

    **Arguments:** ``path`` of the file; ``key``: the tensor's name in it.

    >>> import tempfile
    >>> rows = File(Path(tempfile.mkdtemp()) / "a.safetensors", "a")
    >>> rows.add(torch.zeros(2, 3)); rows.add(torch.ones(1, 3))
    >>> rows.finish().sum()
    tensor(3.)
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        self._file = self._partial.open("wb")
        self._file.write(b"\0" * (8 + _HEADER))
        self._rows = self.columns = 0
        self._dtype = torch.float32

    def add(self, rows: Tensor) -> None:
        self.columns, self._dtype = rows.shape[1], rows.dtype
        self._file.write(rows.contiguous().numpy().tobytes())
        self._rows += len(rows)

    def finish(self) -> Tensor:
        size = self._rows * self.columns * self._dtype.itemsize
        entry = {"dtype": _KINDS[self._dtype], "shape": [self._rows, self.columns], "data_offsets": [0, size]}
        self._file.seek(0)
        self._file.write(struct.pack("<Q", _HEADER))
        self._file.write(json.dumps({self.key: entry}).encode().ljust(_HEADER))
        self._file.close()
        os.replace(self._partial, self.path)
        return mapped(self.path)[self.key]

    def discard(self) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)


def mapped(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by memory mapping, read only: nothing is read before it is used.

    The library's own tensors are mapped for writing too, which the system refuses where a file is larger than memory.

    Raises SafetensorError where the file is damaged.

    >>> import tempfile
    >>> rows = File(Path(tempfile.mkdtemp()) / "a.safetensors", "a")
    >>> rows.add(torch.ones(2, 3)); _ = rows.finish()
    >>> mapped(rows.path)["a"].sum()
    tensor(6.)
    """
    from safetensors import safe_open

    # It checks the header, so that what the header says can be relied on.
    with safe_open(path, framework="numpy"):
        pass
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    return {
        name: _view(path, entry["dtype"], tuple(entry["shape"]), 8 + size + entry["data_offsets"][0])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _view(path: Path, kind: str, shape: tuple[int, ...], offset: int) -> Tensor:
    dtype = getattr(torch, TYPES[kind]) if kind in TYPES else None
    if dtype is None:
        raise InputError(f"{path} holds numbers of type {kind}, which are not read here")
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)
    # Torch has types that numpy lacks, so the bytes are mapped.
    found = np.memmap(path, dtype=np.uint8, mode="r", offset=offset, shape=(math.prod(shape) * dtype.itemsize,))
    return read_only(found).view(dtype).reshape(shape)


def read_only(array: np.ndarray) -> Tensor:
    """Return an array as a tensor on the same memory, which nothing may write to.

    >>> array = np.ones(2); array.setflags(write=False)
    >>> read_only(array).tolist()
    [1.0, 1.0]
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
