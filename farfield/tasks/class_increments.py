"""Classes that arrive a few at a time, and a memory of some examples of those before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from farfield.batches import uniform
from farfield.errors import InputError
from farfield.tasks.task import Split, Table, column


@dataclass(frozen=True)
class ClassIncrements:
    """Labelled data as a sequence of tasks with new classes each, and classes that are in none.

    **Fields:**
    - ``tasks``: tables, in each of which ``y`` are new classes, numbered in the order in which they arrive, and
      ``label`` is their number in the data.
    - ``held_out``: the rows of classes that are never learned, ``y`` from 0; None where none are held out.
    - ``order``: the labels (int64) of the classes of all tasks in order, then of those held out.

    >>> increments = class_increments(Table(y=torch.tensor([0, 1, 2, 2])), [1, 1], held_out=1, seed=0)
    >>> [sorted(set(t.columns["y"].tolist())) for t in increments.tasks], increments.counts
    ([[0], [1]], (1, 1))
    """

    tasks: tuple[Table, ...]
    held_out: Table | None
    order: Tensor

    @property
    def counts(self) -> tuple[int, ...]:
        """Classes of each task."""
        return tuple(len(t.columns["y"].unique()) for t in self.tasks)


def class_increments(
    data: Split, sizes: Sequence[int], *, held_out: int = 0, per_class: int | None = None, seed: int
) -> ClassIncrements:
    """Split labelled data by its classes into tasks that come one after the other.

    **Arguments:**
    - ``data``: a split with integer classes ``y``.
    - ``sizes``: classes of each task, at least 1; classes that are left over are not used.
    - ``held_out``: classes of none of the tasks, for an open-set evaluation. They are drawn first, so that they are
      the same whatever the tasks.
    - ``per_class``: rows of each class that are kept at most, drawn from ``seed``; None for all.
    - ``seed``: of the order of classes.

    Raises InputError where data has too few classes, or a number is out of range.

    >>> data = Table(x=torch.arange(6), y=torch.tensor([5, 5, 7, 7, 9, 9]))
    >>> [len(t) for t in class_increments(data, [2, 1], per_class=1, seed=0).tasks]
    [2, 1]
    """
    if not sizes or min(sizes) < 1 or held_out < 0:
        raise InputError(
            f"sizes is {list(sizes)}, held_out {held_out}; expected tasks of at least one class, and no less than 0"
        )
    if per_class is not None and per_class < 1:
        raise InputError(f"per_class is {per_class}; it must be at least 1")
    y = column(data, "y")
    if y.ndim != 1 or y.is_floating_point() or y.is_complex():
        raise InputError(f"y of the data has shape {tuple(y.shape)} and type {y.dtype}; expected (n,) integers")
    y = y.cpu()
    labels = y.unique()
    needed = sum(sizes) + held_out
    if needed > len(labels):
        raise InputError(f"sizes and held_out add up to {needed} classes; the data has {len(labels)}")
    generator = torch.Generator().manual_seed(seed)
    drawn = labels[torch.randperm(len(labels), generator=generator)].long()
    aside, rest = drawn[:held_out], drawn[held_out:needed]
    shuffled = torch.randperm(len(y), generator=generator)

    def rows(classes: Tensor, first: int) -> Table:
        found = []
        for label in classes:
            mine = shuffled[y[shuffled] == label]
            found.append(mine if per_class is None else mine[:per_class])
        at = torch.cat(found)
        taken = data.take(at) if isinstance(data, Table) else Table(**data[at])
        number = torch.arange(first, first + len(classes)).repeat_interleave(torch.tensor([len(f) for f in found]))
        return taken.replace(y=number, label=y[at])

    tasks, first = [], 0
    for size in sizes:
        tasks.append(rows(rest[first : first + size], first))
        first += size
    return ClassIncrements(tuple(tasks), rows(aside, 0) if held_out else None, torch.cat([rest, aside]))


class Rehearsal:
    """A memory of a few random examples of every class that has been learned.

    **Arguments:** ``per_class``: rows kept of each class, at least 1 (the paper: 20), or all where a class has fewer;
    ``seed`` of the draws.

    Raises InputError where per_class is below 1.

    >>> memory = Rehearsal(1, seed=0)
    >>> memory.add(Table(x=torch.arange(4), y=torch.tensor([0, 0, 1, 1])))
    >>> memory.table.columns["y"].tolist()
    [0, 1]
    """

    table: Table | None

    def __init__(self, per_class: int = 20, *, seed: int = 0):
        if per_class < 1:
            raise InputError(f"per_class is {per_class}; it must be at least 1")
        self.per_class, self.table = per_class, None
        self._generator = torch.Generator().manual_seed(seed)

    def add(self, task: Table) -> None:
        """Keep some rows of each class of a task that was learned.

        >>> memory = Rehearsal(3)
        >>> memory.add(Table(y=torch.tensor([4])))
        >>> len(memory.table)
        1
        """
        y = task.columns["y"]
        order = torch.randperm(len(y), generator=self._generator)
        found = [order[y[order] == label][: self.per_class] for label in y.unique()]
        kept = task.take(torch.cat(found))
        self.table = kept if self.table is None else join(self.table, kept)


def join(first: Table, second: Table) -> Table:
    """Return the rows of two tables, one after the other, of the columns that both have as tensors.

    >>> len(join(Table(y=torch.zeros(2)), Table(y=torch.ones(1))))
    3
    """
    names = [n for n, v in first.columns.items() if isinstance(v, Tensor) and isinstance(second.columns.get(n), Tensor)]
    return Table(**{name: torch.cat([first.columns[name], second.columns[name]]) for name in names})


def half_from_memory(memory: int, new: int, batch_size: int, *, seed: int) -> Iterator[Tensor]:
    """Yield index batches without end, half from the first ``memory`` rows and half from the ``new`` rows after them.

    Within a half every row comes once before any comes again; where there are fewer rows than half a batch, some come
    several times in it. Of an odd batch_size the new rows have the one more.

    **Arguments:** numbers of rows, at least 1 each; ``batch_size``: at least 2.

    Raises InputError on a number out of range.

    Source: Biondi et al., CVPR 2024 (the balanced batch sampler of the released code).

    >>> next(half_from_memory(1, 2, 4, seed=0)).sort().values.tolist()
    [0, 0, 1, 2]
    """
    if memory < 1 or new < 1 or batch_size < 2:
        raise InputError(f"memory is {memory}, new {new} and batch_size {batch_size}; they must be at least 1, 1 and 2")
    sizes = {0: batch_size // 2, 1: batch_size - batch_size // 2}
    streams = [
        # Rows repeated as often as a half needs: `uniform` gives smaller batches otherwise.
        (uniform(n * -(-sizes[i] // n), sizes[i], seed=2 * seed + i), n)
        for i, n in enumerate((memory, new))
    ]
    while True:
        (old, n), (fresh, m) = streams
        yield torch.cat([next(old) % n, memory + next(fresh) % m])
