"""What optimizers share that move uphill, take the gradient there, and let another optimizer update from where they were."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from farfield.errors import InputError
from farfield.optim._wrapper import Closure, Wrapper

# Elements, about a megabyte: on a CPU, larger temporary tensors cost more than what is computed with them.
PIECE = 2**18


class TwoStep(Wrapper):
    """An optimizer of two passes: ``first_step`` moves uphill, ``second_step`` moves back and updates.

    The move is ``epsilon = radius * T (T g) / (|T g| + eps)`` with a diagonal T and the norm over all parameters of all
    groups that have a gradient; the others stay where they are. A subclass says what T and the radius are.

    **Arguments:** ``defaults``: its own settings, which a group may override; each must be at least 0.
    """

    def __init__(
        self,
        params: Iterable[Any],
        base_optimizer: type[Optimizer],
        defaults: dict[str, float],
        base_kwargs: dict[str, Any],
    ):
        super().__init__(params, base_optimizer, defaults, base_kwargs)
        for group in self.param_groups:
            for name in defaults:
                if not group[name] >= 0:
                    raise InputError(f"{name} is {group[name]}; it must be at least 0")
        self._saved: tuple[list[Tensor], list[Tensor]] | None = None
        self._buffers: dict[Tensor, Tensor] = {}

    @property
    def perturbed(self) -> bool:
        """Whether the parameters are uphill: between `first_step` and `second_step`."""
        return self._saved is not None

    def _radius(self, group: dict[str, Any]) -> float | Tensor:
        """Return how far the parameters of a group move, in the norm that T gives."""
        raise NotImplementedError

    def _scales(self, run: "Run") -> list[Tensor] | None:
        """Return the diagonal of T for each tensor of a run; None is the identity."""
        raise NotImplementedError

    def _also(self, p: Tensor) -> list[Tensor]:
        """Return what else T needs of a parameter, of its shape; it comes in ``run.also``."""
        return []

    def first_step(self) -> None:
        """Move the parameters uphill, keep where they were, and clear the gradients."""
        self._ascend()

    @torch.no_grad()
    def _ascend(self, *, eps: float = 1e-12) -> None:
        if self.perturbed:
            raise RuntimeError("first_step was called twice without a second_step between")
        runs = list(self._runs())
        # T g is made twice and kept neither time: keeping it would cost the memory of all gradients once more.
        norms = [n for run in runs for n in torch._foreach_norm(self._scaled(run)[0])]
        norm = _norm(norms) + eps
        self._save([p for group in self.param_groups for p in group["params"] if p.grad is not None])
        for run in runs:
            radius = self._radius(run.group)
            factor = (radius.to(norm.device) if isinstance(radius, Tensor) else radius) / norm
            scaled, scales = self._scaled(run)
            # On a CPU a number saves a pass over the memory; on a GPU reading it would wait for the norm.
            by_number = run.params[0].device.type == "cpu"
            number = float(factor) if by_number else 1.0
            if not by_number:
                scaled = torch._foreach_mul(scaled, factor.to(run.params[0]))
            if scales is None:
                torch._foreach_add_(run.params, scaled, alpha=number)
            else:
                torch._foreach_addcmul_(run.params, scales, scaled, value=number)
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def _runs(self) -> Iterator["Run"]:
        """Yield what has a gradient, in runs that one multi-tensor operation can take: of one group, device and dtype."""
        for group in self.param_groups:
            by_kind: dict[tuple[torch.device, torch.dtype], Run] = {}
            for p in group["params"]:
                if p.grad is None:
                    continue
                kind = p.device, p.dtype
                run = by_kind.get(kind)
                if run is None:
                    run = by_kind[kind] = Run(group)
                size = p.numel()
                if size <= PIECE or kind[0].type != "cpu":
                    run.add(p, p.grad, self._also(p))
                    run.size += size
                    if run.size >= PIECE and kind[0].type == "cpu":
                        yield by_kind.pop(kind)
                else:
                    for pieces in _pieces([p.detach(), p.grad, *self._also(p)]):
                        alone = Run(group)
                        alone.add(pieces[0], pieces[1], pieces[2:])
                        yield alone
            yield from (run for run in by_kind.values() if run.params)

    def _scaled(self, run: "Run") -> tuple[Sequence[Tensor], list[Tensor] | None]:
        """Return T g and T; the gradients themselves, which are never written to, and None where T is the identity."""
        scales = self._scales(run)
        return (run.grads, None) if scales is None else (torch._foreach_mul(scales, run.grads), scales)

    def _save(self, params: list[Tensor]) -> None:
        """Copy the parameters: theta + epsilon - epsilon is not theta in floating point."""
        if not all(_alike(self._buffers.get(p), p) for p in params):
            self._buffers = {p: torch.empty_like(p) for p in params}
        # The same memory in every step: new pages from the system cost more than the copy.
        kept = [self._buffers[p] for p in params]
        if params:
            torch._foreach_copy_(kept, params)
        self._saved = params, kept

    def second_step(self, scaler: torch.amp.GradScaler | None = None) -> None:
        """Move the parameters back and let the base optimizer update them with the gradient that they have.

        **Arguments:** ``scaler``: whose ``scale`` the loss went through; it unscales the gradient, and leaves the update out
        where the gradient overflowed in either pass.
        """
        if not self.perturbed:
            raise RuntimeError("second_step was called without a first_step before it")
        self._move_back()
        if scaler is None:
            self.base_optimizer.step()
        else:
            scaler.step(self.base_optimizer)

    @torch.no_grad()
    def _move_back(self) -> None:
        if self._saved is not None:
            params, kept = self._saved
            if params:
                torch._foreach_copy_(params, kept)
        self._saved = None

    def step(self, closure: Closure | None = None, *, scaler: torch.amp.GradScaler | None = None) -> Tensor:
        """Take one step and return the loss at the parameters before it.

        **Arguments:** ``closure``: zero_grad, forward, backward; returns the loss; it is called twice. ``scaler``: as in
        `second_step`; the caller's ``scaler.update()`` follows.

        Raises InputError without a closure.
        """
        return self._two_passes(closure, self.first_step, scaler)

    def _two_passes(self, closure: Closure | None, first: Callable[[], None], scaler: Any) -> Tensor:
        if closure is None:
            raise InputError(
                f"{type(self).__name__}.step needs a closure: it computes the gradient twice, so step(closure) calls it twice"
            )
        with torch.enable_grad():
            loss = closure()
        if scaler is not None:
            # This object and its base are two optimizers to the scaler, which so unscales each pass once.
            scaler.unscale_(self)
        first()
        try:
            with torch.enable_grad():
                closure()
        except BaseException:
            self._move_back()
            raise
        self.second_step(scaler)
        return loss


class Run:
    """Parameters of one group, device and dtype, with their gradients; of a large one on a CPU, a flat piece."""

    def __init__(self, group: dict[str, Any]):
        self.group = group
        self.params: list[Tensor] = []
        self.grads: list[Tensor] = []
        self.also: list[Tensor] = []
        self.size = 0

    def add(self, p: Tensor, gradient: Tensor, also: Sequence[Tensor]) -> None:
        self.params.append(p)
        self.grads.append(gradient)
        self.also.extend(also)


def _pieces(tensors: list[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """Yield flat pieces of tensors of one shape, or the tensors as they are where they do not lie in one piece of memory."""
    if all(t.is_contiguous() for t in tensors):
        yield from zip(*(t.view(-1).split(PIECE) for t in tensors))
    else:
        yield tuple(tensors)


def _alike(buffer: Tensor | None, p: Tensor) -> bool:
    return buffer is not None and (buffer.shape, buffer.dtype, buffer.device) == (p.shape, p.dtype, p.device)


def _norm(norms: list[Tensor]) -> Tensor:
    """Return the norm of all from the norm of each, in float32 at least."""
    if not norms:
        return torch.zeros(())
    device, dtypes = norms[0].device, {n.dtype for n in norms}
    if len(dtypes) > 1 or dtypes.pop().itemsize < 4:
        dtype = torch.float64 if any(n.dtype == torch.float64 for n in norms) else torch.float32
        norms = [n.to(dtype) for n in norms]
    return torch.linalg.vector_norm(torch.stack([n.to(device) for n in norms]))
