"""What layers of a network give while it runs, by forward hooks that are gone afterwards."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn


class Recorder:
    """Hooks on the named layers while it is open: their last output or input, and the model's attention mask.

    >>> import torch
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> with Recorder(model, ["0"]) as recorder:
    ...     _ = model(torch.zeros(4, 2))
    ...     recorder.seen["0"].shape
    torch.Size([4, 3])
    """

    def __init__(self, model: nn.Module, names: Sequence[str]):
        self._model, self._names = model, names
        self._hooks: list[Any] = []
        # Looked for once, since a recorder may be opened again for every batch.
        self._masked = [m for m in model.modules() if "attention_mask" in inspect.signature(m.forward).parameters]
        self.seen: dict[str, Any] = {}
        self.mask: Tensor | None = None

    def __enter__(self) -> "Recorder":
        for name in self._names:
            layer, _, what = name.partition(":")
            module = self._model.get_submodule(layer)
            if what:
                self._hooks.append(module.register_forward_pre_hook(self._before(name), with_kwargs=True))
            else:
                self._hooks.append(module.register_forward_hook(self._after(name)))
        for module in self._masked:
            self._hooks.append(module.register_forward_pre_hook(self._find_mask, with_kwargs=True))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self.clear()

    def clear(self) -> None:
        self.seen.clear()
        self.mask = None

    def _after(self, name: str) -> Callable[..., None]:
        def remember(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self.seen[name] = output

        return remember

    def _before(self, name: str) -> Callable[..., None]:
        def remember(_module: nn.Module, inputs: tuple, named: dict[str, Any]) -> None:
            self.seen[name] = (*inputs, *named.values())

        return remember

    def _find_mask(self, module: nn.Module, inputs: tuple, named: dict[str, Any]) -> None:
        if self.mask is None:
            given = inspect.signature(module.forward).bind_partial(*inputs, **named).arguments.get("attention_mask")
            # The outermost one is the user's, (n, t); further in, models make it (n, 1, t, t) of large negative numbers.
            if isinstance(given, Tensor) and given.ndim == 2:
                self.mask = given != 0
