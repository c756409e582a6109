"""The results of trials on their way to the store and back: plain data as JSON, arrays as safetensors beside it.

Nothing is pickled: JSON and safetensors hold data only, so that a store from anywhere can be read.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from farfield.errors import InputError
from farfield.files import write_atomically

# What stands in the JSON in place of an array, beside its shape and type.
_MARK = "$array"


@dataclass(frozen=True)
class Encoded:
    """A result ready to be kept: its JSON text, and its arrays as the bytes of a safetensors file (None without any)."""

    text: str
    arrays: bytes | None


@dataclass(frozen=True)
class StoredArray:
    """An array of a result, read when it is used: ``np.asarray(result["features"])``.

    **Fields:** ``location``: path or fsspec URL of the safetensors file; ``name``: its name there; ``shape``; ``dtype``.
    """

    location: str
    name: str
    shape: tuple[int, ...]
    dtype: str

    def load(self) -> np.ndarray:
        """Read the array. Raises InputError where its file is gone."""
        try:
            if "://" not in self.location:
                from safetensors import safe_open

                with safe_open(self.location, framework="numpy") as file:
                    return file.get_tensor(self.name)
            from safetensors.numpy import load

            filesystem, path = _filesystem(self.location)
            return load(filesystem.cat_file(path))[self.name]
        except FileNotFoundError as error:
            raise InputError(f"the array {self.name!r} of a trial lies in {self.location}, which is missing") from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.load()
        return array if dtype is None else array.astype(dtype)

    def __len__(self) -> int:
        return self.shape[0]


def encode(result: Any) -> Encoded:
    """Turn what a trial returned into what a store keeps.

    **Arguments:** ``result``: a dict of plain data (numbers, texts, None, lists, dicts) and numpy arrays of booleans or
    real numbers. Numbers outside arrays must be finite: JSON has no NaN.

    Raises TypeError or ValueError that names the entry which cannot be kept.

    >>> encode({"accuracy": np.float32(0.5), "steps": (1, 2)})
    Encoded(text='{"accuracy": 0.5, "steps": [1, 2]}', arrays=None)
    >>> encode({"accuracy": {"iid": float("nan")}})
    Traceback (most recent call last):
    ValueError: accuracy.iid is nan, and only finite numbers can be kept outside arrays
    """
    if not isinstance(result, Mapping):
        raise TypeError(f"it is a {type(result).__name__}, and a trial must return a dict")
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_plain(result, (), arrays))
    if not arrays:
        return Encoded(text, None)
    from safetensors.numpy import save

    return Encoded(text, save(arrays))


def decode(text: str, location: str | None) -> dict[str, Any]:
    """Turn the JSON of a result back into data; arrays become `StoredArray` in the file at ``location``.

    >>> decode('{"accuracy": 0.5}', None)
    {'accuracy': 0.5}
    """
    if location is None:
        return json.loads(text)

    def restore(entry: dict[str, Any]) -> Any:
        if _MARK not in entry:
            return entry
        return StoredArray(location, entry[_MARK], tuple(entry["shape"]), entry["dtype"])

    return json.loads(text, object_hook=restore)


def _plain(value: Any, path: tuple[str, ...], arrays: dict[str, np.ndarray]) -> Any:
    """Return plain data, with the arrays in it taken out into ``arrays``."""
    if isinstance(value, np.ndarray):
        return _take_out(value, path, arrays)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{'.'.join(path)} is {value}, and only finite numbers can be kept outside arrays")
        return float(value)
    if isinstance(value, Mapping):
        if _MARK in value:
            raise ValueError(f"{'.'.join(path) or 'the result'} has the entry {_MARK!r}, a name that the store uses")
        strange = next((k for k in value if not isinstance(k, str | int)), None)
        if strange is not None:
            raise TypeError(f"{'.'.join(path) or 'the result'} has the key {strange!r}; keys must be texts")
        return {str(k): _plain(v, (*path, str(k)), arrays) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, (*path, str(i)), arrays) for i, v in enumerate(value)]
    raise TypeError(
        f"{'.'.join(path)} is a {type(value).__module__}.{type(value).__name__}; expected numbers, texts, lists, dicts or "
        "numpy arrays"
    )


def _take_out(array: np.ndarray, path: tuple[str, ...], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(f"{'.'.join(path)} is an array of {array.dtype}; expected booleans, whole or real numbers")
    # Names as in a JSON pointer (RFC 6901): two paths never give the same name.
    name = "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)
    # The file holds little-endian values in row-major order; asarray keeps arrays without dimensions as they are.
    arrays[name] = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    return {_MARK: name, "shape": list(array.shape), "dtype": array.dtype.name}


@dataclass(frozen=True)
class ArrayFolder:
    """Where a store keeps arrays: ``place`` is a folder or an fsspec URL such as ``s3://bucket/runs``.

    **Fields:** ``base``: where it is given, files are named relative to it, so that store and folder can move together.

    >>> import tempfile
    >>> folder = ArrayFolder(tempfile.mkdtemp())
    >>> stored = encode({"values": np.arange(3)})
    >>> name = folder.write("key", stored.arrays)
    >>> np.asarray(decode(stored.text, folder.resolve(name))["values"])
    array([0, 1, 2])
    """

    place: str
    base: Path | None = None

    def write(self, key: str, content: bytes) -> str:
        """Write the arrays of a trial, whole or not at all, under a name that no other attempt has; return that name."""
        name = f"{key[:2]}/{key}.{uuid.uuid4().hex[:8]}.safetensors"
        if "://" not in self.place:
            path = Path(self.place).resolve() / name
            write_atomically(path, content)
            return path.relative_to(self.base).as_posix() if self.base else str(path)
        location = f"{self.place.rstrip('/')}/{name}"
        filesystem, path = _filesystem(location)
        filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
        filesystem.pipe_file(path + ".partial", content)
        filesystem.mv(path + ".partial", path)
        return location

    def resolve(self, name: str) -> str:
        """Return the path or URL behind the name of a file."""
        if "://" in name or Path(name).is_absolute() or self.base is None:
            return name
        return str(self.base / name)

    def remove(self, name: str) -> None:
        """Remove the arrays of an attempt that lost its trial to another."""
        location = self.resolve(name)
        if "://" not in location:
            Path(location).unlink(missing_ok=True)
        else:
            filesystem, path = _filesystem(location)
            filesystem.rm_file(path)


def _filesystem(location: str) -> tuple[Any, str]:
    import fsspec

    try:
        return fsspec.core.url_to_fs(location)
    except (ImportError, ValueError) as error:
        raise InputError(f"the place for arrays {location!r} cannot be reached: {error}") from error
