"""What a task is: splits of data, what a model must accept and produce, and the shifts it must hold under."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError

Indices = Tensor | slice | Sequence[int]


@runtime_checkable
class Split(Protocol):
    """Anything with ``len(split)`` and ``split[indices] -> dict[str, Tensor]``, a batch.

    A Hugging Face ``datasets.Dataset.with_format("torch")`` is one as it is; `Table` is the in-memory one.

    >>> isinstance(Table(y=torch.zeros(3)), Split)
    True
    """

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Indices, /) -> dict[str, Any]: ...


class Table:
    """In-memory columns of one length: a batch is one indexing operation per column, no per-item Python.

    **Arguments:** columns by name, each a tensor ``(n, ...)``, a numpy array, or a list of n strings (raw text, which a
    model's `prepare` step turns into tensors). By convention ``x`` are inputs, ``y`` class indices (int64) and
    ``domain`` training domain indices (int64). An ``x`` of dtype uint8 is an image ``(n, channels, height, width)``
    and comes out of a batch as float32 in [0, 1].

    Raises InputError where the columns differ in length or there are none.

    >>> table = Table(x=torch.eye(3), y=torch.tensor([0, 1, 2]))
    >>> table[torch.tensor([2, 0])]["y"]
    tensor([2, 0])
    """

    def __init__(self, **columns: Tensor | np.ndarray | Sequence[str]):
        if not columns:
            raise InputError("a Table needs at least one column")
        self.columns: dict[str, Any] = {}
        for name, values in columns.items():
            if isinstance(values, np.ndarray) and values.dtype.kind not in "OUS":
                values = torch.from_numpy(np.ascontiguousarray(values))
            elif not isinstance(values, Tensor):
                values = np.asarray(values, dtype=object)
            self.columns[name] = values
        lengths = {name: len(values) for name, values in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"the columns of a Table must have one length, but these came: {lengths}")
        self._length = next(iter(lengths.values()))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, indices: Indices) -> dict[str, Any]:
        if not isinstance(indices, Tensor | slice):
            indices = torch.as_tensor(indices, dtype=torch.long)
        batch = {}
        for name, values in self.columns.items():
            if isinstance(values, Tensor):
                # index_select is about twice as fast as fancy indexing on rows.
                at = indices.to(values.device) if isinstance(indices, Tensor) else indices
                taken = values.index_select(0, at) if isinstance(at, Tensor) else values[at]
                batch[name] = taken.float().div_(255) if name == "x" and taken.dtype == torch.uint8 else taken
            else:
                batch[name] = values[indices if isinstance(indices, slice) else indices.numpy()].tolist()
        return batch

    def take(self, indices: Indices) -> "Table":
        """Return the rows at these indices as a Table of their own.

        >>> len(Table(y=torch.arange(5)).take([0, 3]))
        2
        """
        if not isinstance(indices, Tensor | slice):
            indices = torch.as_tensor(indices, dtype=torch.long)
        at = indices.numpy() if isinstance(indices, Tensor) else indices
        return Table(**{k: v[indices] if isinstance(v, Tensor) else v[at] for k, v in self.columns.items()})

    def replace(self, **columns: Tensor | np.ndarray | Sequence[str]) -> "Table":
        """Return a Table with these columns added or replaced; the others are shared, not copied.

        >>> sorted(Table(y=torch.arange(2)).replace(domain=torch.zeros(2)).columns)
        ['domain', 'y']
        """
        return Table(**{**self.columns, **columns})

    def to(self, device: str | torch.device) -> "Table":
        """Return a Table whose tensors lie on this device.

        >>> Table(y=torch.arange(2)).to("cpu").columns["y"].device
        device(type='cpu')
        """
        return Table(**{k: v.to(device) if isinstance(v, Tensor) else v for k, v in self.columns.items()})

    def __repr__(self) -> str:
        shapes = ", ".join(
            f"{k}={tuple(v.shape)} {str(v.dtype).removeprefix('torch.')}" for k, v in self.columns.items()
        )
        return f"Table({shapes})"


def column(split: Split, name: str) -> Tensor:
    """Return one whole column of a split without making a batch of the others.

    >>> column(Table(y=torch.tensor([3, 4])), "y")
    tensor([3, 4])
    """
    # A datasets.Dataset answers a column name with that column.
    return split.columns[name] if isinstance(split, Table) else torch.as_tensor(split[name])  # type: ignore[index]


@dataclass(frozen=True)
class Image:
    """Images ``(n, channels, height, width)``, float32 in [0, 1] (or uint8 in a Table).

    >>> str(Image(3, 32, 32))
    'images of 3x32x32'
    """

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"images of {self.channels}x{self.height}x{self.width}"


@dataclass(frozen=True)
class Vector:
    """Feature vectors ``(n, size)``, float32.

    >>> str(Vector(64))
    'vectors of 64 features'
    """

    size: int

    def __str__(self) -> str:
        return f"vectors of {self.size} features"


@dataclass(frozen=True)
class Text:
    """Raw strings; `farfield.nn.prepare` turns them into what the named model accepts.

    >>> str(Text())
    'text'
    """

    def __str__(self) -> str:
        return "text"


@dataclass(frozen=True)
class Tokens:
    """Token ids ``(n, length)``, int64 in [0, vocabulary), padded on the right with ``padding``.

    >>> str(Tokens(vocabulary=1000, length=16))
    'sequences of up to 16 tokens'
    """

    vocabulary: int
    length: int
    padding: int = 0

    def __str__(self) -> str:
        return f"sequences of up to {self.length} tokens"


@dataclass(frozen=True)
class Classes:
    """``count`` classes, labelled 0..count-1 in ``y``; ``names`` says what each is called.

    >>> Classes(2).names
    ('0', '1')
    """

    count: int
    names: tuple[str, ...] = ()

    def __post_init__(self):
        if not self.names:
            object.__setattr__(self, "names", tuple(str(i) for i in range(self.count)))
        if len(self.names) != self.count:
            raise InputError(f"Classes has count {self.count} but {len(self.names)} names")

    def __str__(self) -> str:
        return f"{self.count} classes"


@dataclass(frozen=True)
class Task:
    """What to learn, and the named shifts under which it must hold.

    **Fields:**
    - ``name``: the name that loads it again.
    - ``train``, ``val``: splits with columns ``x``, ``y``, ``domain``; ``val`` comes from the training domains and is
      the only split that model selection may look at.
    - ``tests``: ``"iid"`` (the training domains, unseen examples; it has the ``domain`` column too) and one split per
      test domain or shift.
    - ``inputs``, ``outputs``: what a model must accept and produce.
    - ``domains``: names of the training domains, indexed by the ``domain`` column.
    - ``severity``: for a graded shift, how far along it each training domain and each test lies.
    - ``notes``: sentences that the user must see, such as how many duplicated rows were set aside.
    - ``fingerprint``: SHA-256 of the data, so that a result says what it was measured on.
    - ``encoding``: how raw rows become inputs (plain JSON), so that new rows can be read in the same way.

    >>> rows = Table(x=torch.zeros(4, 2), y=torch.tensor([0, 1, 0, 1]), domain=torch.tensor([0, 0, 1, 1]))
    >>> task = Task("mine", rows, rows, {"iid": rows, "far": rows}, Vector(2), Classes(2), ("a", "b"))
    >>> task.far
    ('far',)
    """

    name: str
    train: Split
    val: Split
    tests: Mapping[str, Split]
    inputs: Image | Vector | Text | Tokens
    outputs: Classes
    domains: tuple[str, ...]
    severity: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    encoding: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if "iid" not in self.tests:
            raise InputError(f"the task {self.name} has no 'iid' test; it has {sorted(self.tests)}")
        for label, split in {"train": self.train, "val": self.val, **self.tests}.items():
            if len(split) == 0:
                raise InputError(f"the split {label!r} of the task {self.name} is empty")

    @property
    def far(self) -> tuple[str, ...]:
        """Names of the tests outside the training distribution."""
        return tuple(name for name in self.tests if name != "iid")
