"""Forward passes besides the plain one: with the input changed on the way, or without a trace in the training."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from farfield.errors import InputError, unknown_name
from farfield.nn.running_stats import disable_running_stats

Change = Callable[[Tensor], Tensor]


def batch_logits(model: nn.Module, batch: Mapping[str, Any]) -> Tensor:
    """Return a model's logits on a batch: of ``batch["x"]`` where there is one, else of the whole batch as keywords.

    An output with an attribute ``logits`` (as transformers' models have) is read by it.

    >>> batch_logits(nn.Identity(), {"x": torch.zeros(2, 3), "y": torch.zeros(2)}).shape
    torch.Size([2, 3])
    """
    output = model(batch["x"]) if "x" in batch else model(**batch)
    return getattr(output, "logits", output)


def changed_logits(model: nn.Module, batch: Mapping[str, Any], change: Change, *, at: str = "input") -> Tensor:
    """Return the logits ``(n, ..., classes)`` of a forward pass in which the input, or a layer's output, is changed.

    **Arguments:**
    - ``batch``: as in `batch_logits`; it is not changed itself.
    - ``change``: a function of a tensor, applied where ``at`` says.
    - ``at``: "input", or the name of a module, whose output is changed. "input" is ``batch["x"]`` (without one: what the
      model's ``main_input_name`` says); where that holds integers, such as token ids, it is the output of the model's
      input embedding.

    Raises InputError where there is no such module, no input that can be changed, or the module did not run.

    >>> changed_logits(nn.Identity(), {"x": torch.zeros(1, 2)}, lambda x: x + 1)
    tensor([[1., 1.]])
    >>> model = nn.Sequential(nn.Embedding(9, 2), nn.Flatten())
    >>> changed_logits(model, {"x": torch.tensor([[5, 3]])}, torch.zeros_like, at="0").tolist()
    [[0.0, 0.0, 0.0, 0.0]]
    """
    if at != "input":
        return _changed_at(_module(model, at), at, model, batch, change)
    key = "x" if "x" in batch else getattr(model, "main_input_name", "x")
    value = batch.get(key)
    if not isinstance(value, Tensor):
        raise InputError(
            f"at='input' needs a tensor batch[{key!r}]; the batch has {sorted(batch)}: name a module in place of 'input'"
        )
    if value.is_floating_point():
        return batch_logits(model, {**batch, key: change(value)})
    name, embedding = input_embedding(model)
    return _changed_at(embedding, name, model, batch, change)


def extra_logits(
    model: nn.Module, batch: Mapping[str, Any], *, change: Change | None = None, at: str = "input"
) -> Tensor:
    """Return the logits ``(n, ..., classes)`` of a pass that later passes do not notice. Gradients flow as usual.

    Layers run in the mode they are in. Dropout draws, but the random state is put back; batch normalisation uses the
    statistics of the batch where it trains, but its running statistics stay as they are.

    **Arguments:** as `changed_logits`; ``change`` None is the plain pass.

    >>> before = torch.get_rng_state()
    >>> _ = extra_logits(nn.Dropout(), {"x": torch.ones(1, 2)})
    >>> before.equal(torch.get_rng_state())
    True
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), disable_running_stats(model):
        return batch_logits(model, batch) if change is None else changed_logits(model, batch, change, at=at)


def input_embedding(model: nn.Module) -> tuple[str, nn.Module]:
    """Return the layer that turns token ids into vectors, with its name: what a part's ``get_input_embeddings`` says (as
    transformers' models have), else the first ``nn.Embedding``.

    Raises InputError where there is none.

    >>> input_embedding(nn.Sequential(nn.Embedding(9, 4), nn.Flatten()))
    ('0', Embedding(9, 4))
    """
    names = {module: name for name, module in model.named_modules()}
    for module in names:
        if hasattr(module, "get_input_embeddings"):
            found = module.get_input_embeddings()
            if found in names:
                return names[found], found
    for module, name in names.items():
        if isinstance(module, nn.Embedding):
            return name, module
    raise InputError(
        f"{type(model).__name__} has an input of integers and no nn.Embedding, so there is no 'input' to change: "
        f"name a module in place of 'input'"
    )


def _module(model: nn.Module, name: str) -> nn.Module:
    modules = dict(model.named_modules())
    if name not in modules or not name:
        raise unknown_name(f"module of {type(model).__name__}", name, ["input", *filter(None, modules)])
    return modules[name]


def _changed_at(module: nn.Module, name: str, model: nn.Module, batch: Mapping[str, Any], change: Change) -> Tensor:
    ran = False

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
        nonlocal ran
        ran = True
        if not isinstance(output, Tensor):
            raise InputError(f"the module {name!r} returns {type(output).__name__}; expected a tensor to change")
        return change(output)

    handle = module.register_forward_hook(hook)
    try:
        logits = batch_logits(model, batch)
    finally:
        handle.remove()
    if not ran:
        raise InputError(f"the module {name!r} of {type(model).__name__} did not run, so nothing was changed")
    return logits


class InputNoise:
    """Add noise of one size to a tensor, drawn from a seed of its own.

    **Arguments:** ``sigma``: at least 0; ``kind``: "normal" is N(0, sigma^2), "uniform" is U(-sigma, sigma); ``seed``.

    Raises InputError on another kind or a negative sigma.

    >>> InputNoise(0.1, seed=0)(torch.zeros(2)).equal(InputNoise(0.1, seed=0)(torch.zeros(2)))
    True
    """

    def __init__(self, sigma: float, *, kind: str = "normal", seed: int = 0):
        if not sigma >= 0:
            raise InputError(f"sigma is {sigma}; it must be at least 0")
        if kind not in ("normal", "uniform"):
            raise unknown_name("kind of noise", kind, ["normal", "uniform"])
        self.sigma, self.kind, self.seed = sigma, kind, seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Return ``x + z``, with new draws at every call."""
        if x.device not in self._generators:
            self._generators[x.device] = torch.Generator(x.device).manual_seed(self.seed)
        z = torch.empty_like(x, requires_grad=False)
        if self.kind == "normal":
            z.normal_(0, self.sigma, generator=self._generators[x.device])
        else:
            z.uniform_(-self.sigma, self.sigma, generator=self._generators[x.device])
        return x + z
