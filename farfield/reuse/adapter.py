"""An affine map over frozen embeddings, kept in a file that says what it was made for."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from farfield.errors import InputError, MissingExtra
from farfield.files import write_atomically
from farfield.measure._arrays import Array, like, tensor
from farfield.reuse.column_profile import ColumnProfile

FORMAT = "farfield-adapter-1"
# Values of a piece: small enough for the processor's cache, so that memory is read once.
PIECE = 1_000_000


@dataclass(frozen=True, eq=False)
class Adapter:
    """``y = W x + b`` for every row x of embeddings that are kept as they are.

    **Fields:**
    - ``weight`` (m, d) and ``bias`` (m,), float32.
    - ``dims``: sizes at which the result may be cut, rising, the last one m.
    - ``unit_inputs``: rows are brought to length 1 first, as cosine sees them; ``unit_outputs``: the result is, at
      every cut.
    - ``kind``: the job that made it; ``model``: the name of the model whose embeddings it takes, "" where nobody said;
      ``target``: the model into whose space it leads, "" for one of its own.
    - ``profile``: means and deviations of the columns that it was made for; None: not known.
    - ``notes``: whatever else should stay with it, texts by name.

    Raises InputError where shapes or sizes do not fit, or a weight is not finite.

    >>> adapter = Adapter(torch.tensor([[2.0, 0.0]]), torch.tensor([1.0]), dims=(1,))
    >>> adapter(np.array([[3.0, 9.0]])).tolist()
    [[7.0]]
    """

    weight: Tensor
    bias: Tensor
    dims: tuple[int, ...]
    unit_inputs: bool = False
    unit_outputs: bool = False
    kind: str = "adapter"
    model: str = ""
    target: str = ""
    profile: ColumnProfile | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weight = tensor(self.weight, "weight", dtype=torch.float32).contiguous()
        bias = tensor(self.bias, "bias", dims=1, dtype=torch.float32).contiguous()
        if len(bias) != len(weight):
            raise InputError(f"weight has {len(weight)} rows but bias has {len(bias)} numbers; they must be equal")
        dims = tuple(int(m) for m in self.dims)
        if not dims or list(dims) != sorted(set(dims)) or dims[0] < 1 or dims[-1] != len(weight):
            raise InputError(f"dims is {list(dims)}; expected sizes that rise up to {len(weight)}, the rows of weight")
        if self.profile is not None and len(self.profile.mean) != weight.shape[1]:
            raise InputError(
                f"the profile has {len(self.profile.mean)} columns but weight {weight.shape[1]}; they must be equal"
            )
        for name, value in {"weight": weight, "bias": bias, "dims": dims}.items():
            object.__setattr__(self, name, value)

    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, "n m"]:
        """Return the result for embeddings in memory, float32, on their device. Raises InputError as `apply`."""
        rows = tensor(x, "x", dtype=None)
        self._check_width(rows.shape[1], "x")
        return like(self._map(rows, "x", 0), x)

    def cut(self, m: int) -> Adapter:
        """Return the adapter that gives only the first m dimensions.

        Raises InputError where m is from outside 1 to m.
        """
        if not 1 <= m <= len(self.weight):
            raise InputError(
                f"the adapter gives {len(self.weight)} dimensions; {m} is not from 1 to {len(self.weight)}"
            )
        dims = (*(k for k in self.dims if k < m), m)
        return replace(self, weight=self.weight[:m], bias=self.bias[:m], dims=dims)

    def check(self, rows: Tensor, name: str, *, model: str = "") -> None:
        """Refuse embeddings that this adapter was not made for: by their width, their model's name, their columns.

        **Arguments:** ``rows`` (n, d), maybe memory-mapped; ``name``: of them, for the sentence; ``model``: the name of
        their
        model, "" where nobody said.

        Raises InputError. A model of the same width without a name is told by its columns (`ColumnProfile`), where they
        can.
        """
        self._check_width(rows.shape[1], name)
        if self.model and model and model != self.model:
            raise InputError(
                f"the adapter was made for embeddings of {self.model}, but {name} is said to hold those of {model}"
            )
        if self.profile is not None and not (self.model and model):
            self.profile.check(rows, name)

    def apply(
        self, rows: Tensor, path: str | Path, *, name: str = "rows", watch: Callable[[int], None] | None = None
    ) -> int:
        """Write the results for many rows to a .npy file of float32, piece by piece; the file is there whole or not at
        all.

        Memory is bounded whatever the number of rows: pages of a memory-mapped input are the system's to take back.

        **Arguments:** ``rows`` (n, d): of any real type, computed in float32; ``name``: of them, for a sentence;
        ``watch``: called
        with the number of rows done after each piece.

        Returns the bytes written. Raises InputError on another width, a value that is not finite, a row of zeros where
        rows are
        brought to length 1, and where the disk has no room.
        """
        import shutil

        path = Path(path)
        if path.suffix.lower() != ".npy":
            raise InputError(f"{path} ends in {path.suffix or 'nothing'}; results are written as .npy")
        self._check_width(rows.shape[1], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        size = 4 * len(rows) * len(self.weight)
        free = shutil.disk_usage(path.parent).free
        if size > free:
            raise InputError(f"{path} needs {size / 1e9:.1f} GB and {free / 1e9:.1f} GB are free there")
        step = max(1, PIECE // rows.shape[1])
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                header = {"descr": "<f4", "fortran_order": False, "shape": (len(rows), len(self.weight))}
                np.lib.format.write_array_header_1_0(file, header)
                for start in range(0, len(rows), step):
                    piece = self._map(rows[start : start + step], name, start).numpy()
                    file.write(memoryview(piece.astype("<f4", copy=False)).cast("B"))
                    if watch is not None:
                        watch(start + len(piece))
                written = file.tell()
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return written

    def save(self, path: str | Path) -> None:
        """Write the adapter as one safetensors file: weights, profile, and as metadata what it was made for."""
        from safetensors.torch import save

        tensors = {"weight": self.weight.cpu(), "bias": self.bias.cpu()}
        if self.profile is not None:
            tensors |= {"column_mean": self.profile.mean, "column_std": self.profile.std}
        plain = {name: getattr(self, name) for name in ("unit_inputs", "unit_outputs", "kind", "model", "target")}
        about = {"format": FORMAT, "dims": list(self.dims), **plain, "notes": dict(self.notes)}
        # Metadata of safetensors are texts.
        write_atomically(path, save(tensors, metadata={"format": FORMAT, "adapter": json.dumps(about)}))

    def save_onnx(self, path: str | Path) -> None:
        """Write the adapter as an ONNX model: ``embeddings`` (n, d) float32 in, ``vectors`` (n, m) float32 out.

        A shorter result is the first columns of it, each row then brought to length 1 where ``unit_outputs`` is set.
        Raises
        MissingExtra without the package onnx, before anything is written.
        """
        write_atomically(path, onnx_model(self))

    def _check_width(self, width: int, name: str) -> None:
        if width != self.weight.shape[1]:
            raise InputError(
                f"{name} has {width} columns but the adapter was made for {self.weight.shape[1]}: it is of another model"
            )

    def _map(self, rows: Tensor, name: str, start: int) -> Tensor:
        x = rows.float()
        if self.unit_inputs:
            norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
            # NaN fails both comparisons. Squares over- or underflow outside of these bounds.
            if not (norm.min() > 1e-18 and norm.max() < 1e18):
                x = _rescaled(rows, name, start)
                norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
            # Divides m numbers for each row, not d.
            y = torch.addcdiv(self.bias.to(x.device), x @ self.weight.to(x.device).T, norm)
        else:
            y = torch.addmm(self.bias.to(x.device), x, self.weight.to(x.device).T)
        if not math.isfinite(float(y.sum())):
            _check_finite(rows, name, start)
            _check_finite(y, f"the result for {name}", start)
        return F.normalize(y, dim=1) if self.unit_outputs else y


def load_adapter(path: str | Path) -> Adapter:
    """Read what `Adapter.save` wrote.

    Raises InputError where the file is absent, damaged, or no adapter.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "adapter.safetensors"
    >>> Adapter(torch.eye(2), torch.zeros(2), dims=(1, 2), model="mine").save(file)
    >>> load_adapter(file).dims, load_adapter(file).model
    ((1, 2), 'mine')
    """
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if not file.is_file():
        raise InputError(f"file not found: {path}")
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {str(error).splitlines()[0]}") from error
    if metadata.get("format") != FORMAT or not {"weight", "bias"} <= tensors.keys():
        raise InputError(f"{path} holds no adapter of farfield (format {FORMAT})")
    about: dict[str, Any] = json.loads(metadata["adapter"])
    profile = None
    if "column_mean" in tensors:
        profile = ColumnProfile(tensors["column_mean"], tensors["column_std"])
    plain = {name: about[name] for name in ("unit_inputs", "unit_outputs", "kind", "model", "target", "notes")}
    return Adapter(tensors["weight"], tensors["bias"], tuple(about["dims"]), profile=profile, **plain)


def onnx_model(adapter: Adapter) -> bytes:
    """Return an adapter as the bytes of an ONNX model. Raises MissingExtra without the package onnx.

    >>> len(onnx_model(Adapter(torch.eye(2), torch.zeros(2), dims=(2,)))) > 100
    True
    """
    try:
        from onnx import TensorProto, checker, helper, numpy_helper
    except ImportError:
        raise MissingExtra("onnx", extra="search", needed_by="an adapter as ONNX") from None

    m, d = adapter.weight.shape
    constants = {
        "weight": adapter.weight.cpu().numpy(),
        "bias": adapter.bias.cpu().numpy(),
        "axes": np.array([1], dtype=np.int64),
        # What torch's normalize keeps lengths above, so that a row of zeros stays zeros.
        "shortest": np.array(1e-12, dtype=np.float32),
    }
    nodes, at = [], "embeddings"
    if adapter.unit_inputs:
        nodes, at = _unit(nodes, at, "unit_embeddings")
    result = "mapped" if adapter.unit_outputs else "vectors"
    nodes.append(helper.make_node("Gemm", [at, "weight", "bias"], [result], transB=1))
    if adapter.unit_outputs:
        nodes, _ = _unit(nodes, result, "vectors")
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "farfield adapter",
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", d])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", m])],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    # An older version of both than the newest, which older runtimes read too.
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="farfield"
    )
    about = {"kind": adapter.kind, "model": adapter.model, "target": adapter.target}
    helper.set_model_props(model, {**about, "dims": json.dumps(list(adapter.dims)), **adapter.notes})
    checker.check_model(model)
    return model.SerializeToString()


def _unit(nodes: list[Any], source: str, result: str) -> tuple[list[Any], str]:
    """Return the nodes, followed by those that bring rows to length 1."""
    from onnx import helper

    norm, bounded = f"{result}_norm", f"{result}_bounded"
    return [
        *nodes,
        helper.make_node("ReduceL2", [source, "axes"], [norm], keepdims=1),
        helper.make_node("Max", [norm, "shortest"], [bounded]),
        helper.make_node("Div", [source, bounded], [result]),
    ], result


def _rescaled(rows: Tensor, name: str, start: int) -> Tensor:
    """Return rows divided by their largest value, in float32. Raises InputError on zeros and on what is not finite."""
    _check_finite(rows, name, start)
    x = rows.double()
    largest = x.abs().amax(1, keepdim=True)
    if not (largest > 0).all():
        row = start + int((largest > 0).flatten().int().argmin())
        raise InputError(f"{name} holds a row of zeros, which has no direction for cosine, first row {row}")
    return (x / largest).float()


def _check_finite(rows: Tensor, name: str, start: int) -> None:
    finite = torch.isfinite(rows).all(1)
    if not finite.all():
        raise InputError(f"{name} holds a value that is not finite, first in row {start + int(finite.int().argmin())}")
