"""What a model's predictions are compared with: itself one step ago, before training, averaged, or on noised inputs."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.hooks import RemovableHandle

from farfield.errors import InputError, unknown_name
from farfield.nn.extra_pass import InputNoise, batch_logits, extra_logits


class Reference:
    """The one shape of a reference: ``init`` once, ``logits`` in every step, ``update`` at its moment of every step.

    - ``init(model)`` takes the model as it is now and returns the reference.
    - ``logits(model, batch)`` returns the target logits ``(n, ..., classes)``, without gradients. Neither the model, nor its
      random state, nor its running statistics, nor the batch changes. ``batch``: see `farfield.nn.extra_pass.batch_logits`.
    - ``update(model)`` takes in a step. **When** differs, see each class; ``follow(optimizer, model)`` sees to it.
    """

    def init(self, model: nn.Module) -> Self:
        """Take the model as it is now."""
        raise NotImplementedError

    def logits(self, model: nn.Module, batch: Mapping[str, Any]) -> Float[Tensor, "n ... classes"]:
        """Return the target logits on the batch."""
        raise NotImplementedError

    def update(self, model: nn.Module) -> None:
        """Take in a step."""

    def follow(self, optimizer: Optimizer, model: nn.Module) -> RemovableHandle | None:
        """Call `update` by itself at the right moment of every step of this optimizer, until the handle's ``remove()``.

        Of an optimizer of two passes, the step is that of its base optimizer. None where there is nothing to update.
        """
        return None


class PretrainedReference(Reference):
    """The model as it was at ``init``: frozen for good (theta_0).

    **Arguments:** ``mode``: "eval" runs the copy in evaluation mode, as the released code of TRAM does: where the model has
    dropout, and trains, that alone is a distance above 0. "same" runs each layer in the mode that it has in the model:
    dropout draws, with other draws than the model's own, and batch normalisation uses the statistics of the batch.

    Raises InputError on another mode, or on ``logits`` before ``init``.

    >>> model = nn.Linear(2, 2)
    >>> reference, before = PretrainedReference().init(model), model(torch.ones(1, 2)).detach()
    >>> nn.init.zeros_(model.weight)
    Parameter containing:
    tensor([[0., 0.],
            [0., 0.]], requires_grad=True)
    >>> reference.logits(model, {"x": torch.ones(1, 2)}).equal(before)
    True
    """

    def __init__(self, *, mode: str = "eval"):
        if mode not in ("eval", "same"):
            raise unknown_name("mode of a reference", mode, ["eval", "same"])
        self.mode = mode
        self._copy: nn.Module | None = None
        self._places: tuple[nn.Module, list[Place]] | None = None

    def init(self, model: nn.Module) -> Self:
        """Copy the model's parameters and buffers."""
        self._copy = copy.deepcopy(model).requires_grad_(False).eval()
        for p in self._copy.parameters():
            p.grad = None
        return self

    @property
    def model(self) -> nn.Module:
        """The copy that the target logits come from."""
        if self._copy is None:
            raise InputError(f"{type(self).__name__} holds no model yet; call init(model) first")
        return self._copy

    @torch.no_grad()
    def logits(self, model: nn.Module, batch: Mapping[str, Any]) -> Float[Tensor, "n ... classes"]:
        """Return the copy's logits on the batch."""
        if self.mode == "eval":
            return batch_logits(self.model, batch)
        for own, other in zip(self.model.modules(), model.modules()):
            own.training = other.training
        return extra_logits(self.model, batch)

    def _tensors(self, model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
        """Return parameters and buffers of the copy, each once, and those of the model, in one order."""
        # Walking through the modules would cost a small model as much as the copying.
        if self._places is None or self._places[0] is not model:
            self._places = model, _places(self.model, model)
        places = self._places[1]
        return [own for own, _, _ in places], [where[name] for _, where, name in places]


# A tensor of the copy, and where in the model its counterpart is: a module's parameters or buffers, and the name there.
Place = tuple[Tensor, Mapping[str, Any], str]


def _places(own: nn.Module, model: nn.Module) -> list[Place]:
    found: dict[int, Place] = {}
    for mine, other in zip(own.modules(), model.modules()):
        for here, there in ((mine._parameters, other._parameters), (mine._buffers, other._buffers)):
            for name, tensor in here.items():
                if tensor is not None:
                    found.setdefault(id(tensor), (tensor, there, name))
    return list(found.values())


class PreviousStepReference(PretrainedReference):
    """The model before its last update (theta_{t-1}).

    ``update`` belongs **before** the optimizer's update, at theta_t, and after `logits`: after it, the copy would be theta_t
    itself in the next step, and the distance 0 for ever. Before the first update the copy is the model as it is.

    **Arguments:** ``mode``: as `PretrainedReference`.

    >>> model = nn.Linear(2, 2)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> reference = PreviousStepReference().init(model)
    >>> _ = reference.follow(optimizer, model)
    """

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Copy the parameters and buffers as they are now."""
        torch._foreach_copy_(*self._tensors(model))

    def follow(self, optimizer: Optimizer, model: nn.Module) -> RemovableHandle:
        """Call `update` right before every update of this optimizer, and after the closure where its step calls one.

        An optimizer that calls its closure several times in a step, such as L-BFGS, has no such moment.
        """

        def before_update(_: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            # args are the optimizer itself and perhaps a closure.
            closure = args[1] if len(args) > 1 else kwargs.get("closure")
            if closure is None:
                return self.update(model)

            def closure_then_update() -> Any:
                # The closure compares with theta_{t-1} still.
                loss = closure()
                self.update(model)
                return loss

            if len(args) > 1:
                return (args[0], closure_then_update, *args[2:]), kwargs
            return args, {**kwargs, "closure": closure_then_update}

        return _base(optimizer).register_step_pre_hook(before_update)


class EMAReference(PretrainedReference):
    """An exponential moving average of the model: ``average <- decay * average + (1 - decay) * theta`` from theta_0.

    ``update`` belongs **after** the optimizer's update. Floating-point buffers, such as running statistics, are averaged too;
    the others are copied.

    **Arguments:** ``decay``: 0 to 1; 0 is the model itself, 1 is `PretrainedReference`. ``mode``: as there.

    Raises InputError on a decay outside [0, 1].

    >>> model = nn.Linear(1, 1, bias=False)
    >>> reference = EMAReference(0.75).init(nn.init.zeros_(model.weight) is model.weight and model)
    >>> _ = nn.init.ones_(model.weight)
    >>> reference.update(model)
    >>> reference.model.weight
    Parameter containing:
    tensor([[0.2500]])
    """

    def __init__(self, decay: float = 0.999, *, mode: str = "eval"):
        super().__init__(mode=mode)
        if not 0 <= decay <= 1:
            raise InputError(f"decay is {decay}; it must lie in [0, 1]")
        self.decay = decay
        self._average = get_ema_multi_avg_fn(decay)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the parameters and buffers as they are now."""
        pairs = list(zip(*self._tensors(model)))
        for floating in (True, False):
            some = [(own, now) for own, now in pairs if own.is_floating_point() == floating]
            if not some:
                continue
            own, now = [list(tensors) for tensors in zip(*some)]
            if floating:
                self._average(own, now, None)
            else:
                torch._foreach_copy_(own, now)

    def follow(self, optimizer: Optimizer, model: nn.Module) -> RemovableHandle:
        """Call `update` right after every update of this optimizer."""
        return _base(optimizer).register_step_post_hook(lambda *_: self.update(model))


class InputNoiseReference(Reference):
    """The model as it is now, on the batch plus noise (x + z). Layers run in the mode they are in; there is no `update`.

    **Arguments:**
    - ``sigma``: size of the noise, at least 0, in units of the input.
    - ``kind``: "normal" is N(0, sigma^2), "uniform" is U(-sigma, sigma).
    - ``at``: "input", or the name of a module, to whose output the noise is added; see `farfield.nn.extra_pass.changed_logits`.
      Token ids take no noise, so there "input" is the input embedding.
    - ``seed``: of the noise, whose draws go on from step to step.

    Raises InputError on an argument out of range or an unknown module.

    >>> reference = InputNoiseReference(sigma=0.1).init(nn.Identity())
    >>> reference.logits(nn.Identity(), {"x": torch.zeros(3, 2)}).std() < 0.5
    tensor(True)
    """

    def __init__(self, sigma: float = 0.1, kind: str = "normal", at: str = "input", *, seed: int = 0):
        self.noise = InputNoise(sigma, kind=kind, seed=seed)
        self.at = at

    def init(self, model: nn.Module) -> Self:
        """Check that the model has the module ``at``; nothing is copied."""
        modules = [name for name, _ in model.named_modules() if name]
        if self.at not in ("input", *modules):
            raise unknown_name(f"module of {type(model).__name__}", self.at, ["input", *modules])
        return self

    @torch.no_grad()
    def logits(self, model: nn.Module, batch: Mapping[str, Any]) -> Float[Tensor, "n ... classes"]:
        """Return the model's logits on the noised batch."""
        return extra_logits(model, batch, change=self.noise, at=self.at)


def _base(optimizer: Optimizer) -> Optimizer:
    """Return the optimizer that updates: of two passes, the base, which steps once the parameters are back at theta_t."""
    found: Callable[..., Any] | Optimizer = getattr(optimizer, "base_optimizer", optimizer)
    assert isinstance(found, Optimizer)
    return found
