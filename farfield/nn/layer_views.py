"""What several layers of a network, and a second small network, give on the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from farfield.errors import InputError, unknown_name
from farfield.nn.evaluating import evaluating

Pool = str | Callable[[Tensor, Tensor | None], Tensor]


class LayerViews(nn.Module):
    """Named layers of a pretrained network, pooled, and the features of a small model, from one pass of each.

    Called, it gives them side by side: (n, sum of ``widths`` + ``small_width``), early layers
    first, the small model last.

    **Arguments:** as `LayerwiseEnsemble`.

    **Fields:** ``widths``: layer -> its number of features, patterns resolved; ``small_width``: 0
    without a small model.

    Raises InputError on a layer that the network lacks (with the nearest names), that does not run
    or gives no vectors, and where the two networks share a parameter.

    >>> big = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU())
    >>> views = LayerViews(big, ["1", "3"], nn.Linear(4, 2), example=torch.zeros(1, 4))
    >>> views(torch.zeros(5, 4)).shape, views.widths
    (torch.Size([5, 16]), {'1': 8, '3': 6})
    """

    def __init__(
        self,
        pretrained: nn.Module,
        layers: str | Sequence[str],
        small: nn.Module | None,
        *,
        example: Any,
        example_small: Any = None,
        pool: Pool = "mean",
        freeze: bool = True,
    ):
        # `farfield.measure` imports this package, so its parts are imported where they are used.
        from farfield.measure._pooling import check_pool
        from farfield.measure._recorder import Recorder
        from farfield.measure.activations import layer_names

        super().__init__()
        if pool != "none":
            check_pool(pool)
        if pool == "space":
            raise InputError("pool is 'space', which gives several rows for an example; expected one, such as 'mean'")
        names = layer_names(pretrained, layers)
        if small is not None and {id(p) for p in small.parameters()} & {id(p) for p in pretrained.parameters()}:
            raise InputError("the small model shares parameters with the pretrained one; give it its own")
        self.pretrained, self.small, self.pool, self.frozen = pretrained, small, pool, freeze
        if freeze:
            pretrained.requires_grad_(False)
            pretrained.eval()
        self._names = names
        self._recorder = Recorder(pretrained, names)
        with torch.no_grad(), evaluating(self):
            self.widths = {name: rows.shape[1] for name, rows in self.features(example).items()}
            given = example if example_small is None else example_small
            self.small_width = 0 if small is None else self.small_features(given).shape[1]

    def train(self, mode: bool = True) -> LayerViews:
        super().train(mode)
        if self.frozen:
            self.pretrained.eval()
        return self

    def features(self, x: Tensor | Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the pooled states (n, d) of the named layers. Cached, they serve without the pretrained network.

        **Arguments:** ``x``: what the pretrained network takes: a tensor, or a mapping of its
        arguments, as a tokenizer returns.
        """
        from farfield.measure._feeding import first_tensor
        from farfield.measure._pooling import pooled

        found = {}
        with torch.no_grad() if self.frozen else nullcontext(), self._recorder as recorder:
            self.pretrained(**x) if isinstance(x, Mapping) else self.pretrained(x)
            for name in self._names:
                if name not in recorder.seen:
                    raise InputError(f"the layer {name!r} did not run; leave it out")
                output = first_tensor(recorder.seen[name])
                if output is None or not output.is_floating_point():
                    raise InputError(f"the layer {name!r} gives no tensor of real numbers; leave it out")
                if self.pool == "none" and output.ndim != 2:
                    raise InputError(
                        f"the layer {name!r} gives {tuple(output.shape)} and pool is 'none'; expected (n, d), or another pool"
                    )
                found[name] = output if self.pool == "none" else pooled(output, recorder.mask, self.pool, name)
        return found

    def small_features(self, x: Any) -> Tensor | None:
        """Return the features (n, d_g) of the small model, None without one. Raises InputError where they have another shape."""
        if self.small is None:
            return None
        rows = self.small(x)
        if not isinstance(rows, Tensor) or rows.ndim != 2:
            came = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
            raise InputError(f"the small model gives {came}; expected features (n, d)")
        return rows

    def forward(self, x_big: Tensor | Mapping[str, Any], x_small: Any = None) -> Tensor:
        small = self.small_features(x_big if x_small is None else x_small)
        return torch.cat([*self.features(x_big).values(), *([] if small is None else [small])], 1)


def spread_layers(model: nn.Module, x: Tensor | Mapping[str, Any], *, count: int = 3, within: str = "") -> list[str]:
    """Return the names of up to ``count`` layers, evenly spread over the depth of a network, the last one among them.

    Of the D blocks of the network (see `farfield.measure.layer_names`) that run on ``x`` and give a
    real tensor with a row for each example, those are taken that end each of ``count`` equal parts.

    **Arguments:** ``x``: a few inputs; ``within``: name of the part to look in, such as "encoder";
    "" is the whole network.

    Raises InputError on a part that is not there, or without any such layer.

    >>> model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(6)])
    >>> spread_layers(model, torch.zeros(3, 2))
    ['1', '3', '5']
    """
    from farfield.measure._feeding import first_tensor, rows_of
    from farfield.measure._recorder import Recorder
    from farfield.measure.activations import layer_names

    if count < 1:
        raise InputError(f"count is {count}; expected at least 1")
    inside = dict(model.named_modules())
    if within not in inside:
        raise unknown_name(f"layer of {type(model).__name__}", within, [name for name in inside if name])
    part = inside[within]
    names, blocks = layer_names(part), _longest_list(part)
    # The blocks of a transformer are a list, also where embeddings outweigh them, as with a large vocabulary.
    if len(blocks) > 1 and 2 * len(blocks) >= len(names):
        names = blocks
    # A part without parts of its own is its own block, whose name is that of the part.
    names = [f"{within}.{name}".strip(".") if name else within for name in names]
    usable = []
    with torch.no_grad(), evaluating(model), Recorder(model, names) as recorder:
        model(**x) if isinstance(x, Mapping) else model(x)
        for name in names:
            output = first_tensor(recorder.seen.get(name))
            if output is not None and output.is_floating_point() and output.ndim > 1 and len(output) == rows_of(x):
                usable.append(name)
    if not usable:
        raise InputError(f"no layer of {within or type(model).__name__} gives features for each example")
    parts = min(count, len(usable))
    return [usable[round((i + 1) * len(usable) / parts) - 1] for i in range(parts)]


def _longest_list(part: nn.Module) -> list[str]:
    """Return the names of the modules in the longest list of modules of one kind."""
    lists = [
        [f"{name}.{child}".strip(".") for child, _ in module.named_children()]
        for name, module in part.named_modules()
        if isinstance(module, nn.ModuleList | nn.Sequential) and len({type(m) for m in module}) == 1
    ]
    return max(lists, key=len, default=[])
