"""Rows that arrive in pieces, kept in memory or on disk; on disk they become one safetensors file, read by memory mapping."""

import json
import os
import struct
from pathlib import Path

import torch
from torch import Tensor

# Room for the header of one tensor, which is only known at the end; the format allows spaces behind it.
_HEADER = 1016
_KINDS = {torch.float32: "F32", torch.float64: "F64"}


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
        return mapped(self.path, self.key)

    def discard(self) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)


def mapped(path: Path, key: str) -> Tensor:
    """Return a tensor of a safetensors file by memory mapping: nothing is read before it is used."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return file.get_tensor(key)
