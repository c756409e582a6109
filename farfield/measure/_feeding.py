"""How data of any kind reaches a model: in batches, on its device, with the columns that it takes."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.tasks.task import Split, Table


def batches(data: Any, batch_size: int) -> tuple[Iterable[Any], int | None]:
    """Return the batches of data, and how many rows there are where that is known."""
    if isinstance(data, np.ndarray):
        data = torch.from_numpy(np.ascontiguousarray(data))
    if isinstance(data, Mapping):
        data = Table(**data)
    if isinstance(data, str | bytes) or (isinstance(data, Sequence) and data and isinstance(data[0], str)):
        raise InputError("data is text; a model takes token ids: give what its tokenizer returns")
    if isinstance(data, torch.utils.data.Dataset) and isinstance(data, Split):
        data = torch.utils.data.DataLoader(data, batch_size=batch_size)
    if isinstance(data, Tensor) or (isinstance(data, Split) and not isinstance(data, Sequence)):
        total = len(data)
        return (data[slice(i, min(i + batch_size, total))] for i in range(0, total, batch_size)), total
    if isinstance(data, Iterable):
        return data, None
    raise InputError(f"data is {type(data).__name__}; expected a tensor, an array, a split or batches")


def call(model: nn.Module, batch: Any) -> Any:
    """Run the model on a batch: on its column ``x``, its first entry, or the columns that ``forward`` takes."""
    if isinstance(batch, Mapping):
        if "x" in batch:
            return model(batch["x"])
        parameters = inspect.signature(model.forward).parameters
        taken = {name: value for name, value in batch.items() if name in parameters}
        if not taken:
            raise InputError(
                f"a batch has the columns {', '.join(map(str, batch))}, and forward of {type(model).__name__} takes "
                f"{', '.join(parameters)}: give forward=, a function of model and batch"
            )
        return model(**taken)
    return model(batch[0] if isinstance(batch, tuple | list) else batch)


def on_device(batch: Any, device: torch.device) -> Any:
    """Return a batch of any form with its tensors and arrays on this device."""
    if isinstance(batch, np.ndarray):
        batch = torch.from_numpy(np.ascontiguousarray(batch))
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, Mapping):
        return {name: on_device(value, device) for name, value in batch.items()}
    if isinstance(batch, tuple | list):
        return [on_device(value, device) for value in batch]
    return batch


def rows_of(batch: Any) -> int:
    """Return how many examples a batch holds."""
    if isinstance(batch, Mapping):
        return len(next(iter(batch.values()), ()))
    return len(batch[0] if isinstance(batch, list) else batch)


def first_tensor(value: Any) -> Tensor | None:
    """Return the first tensor of an output that may have several parts, None where there is none."""
    if isinstance(value, Tensor):
        return value
    # The outputs of Hugging Face models are mappings whose first entry is the last hidden state or the logits.
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return next((found for part in parts if (found := first_tensor(part)) is not None), None)
