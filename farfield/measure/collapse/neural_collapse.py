"""All numbers of neural collapse at once, from class statistics or straight from a model and its data."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from farfield.errors import InputError
from farfield.measure._arrays import Array
from farfield.measure.collapse.decision import Decisions
from farfield.measure.collapse.duality import self_duality
from farfield.measure.collapse.geometry import equinorm, etf_error, interference, uniformity
from farfield.measure.collapse.statistics import IGNORED, ClassMoments, ClassStatistics
from farfield.measure.collapse.within import cdnv_averages, nc1
from farfield.nn.evaluating import evaluating


def collapse_summary(moments: ClassMoments, weight: Array | None = None, *, tile: int = 1024) -> dict[str, float]:
    """Return every number of neural collapse that class statistics give, by name.

    - ``classes``, ``examples``: how many there were.
    - NC1: ``cdnv`` (exponent 1), ``cdnv_median``, ``cdnv_2`` (exponent 2, as Wu & Papyan report) and its ``cdnv_2_median``;
      ``trace_ratio``; with a covariance also ``nc1_pinv``.
    - NC2: ``norms_cv``, ``norms_log_var``, ``interference_mean``, ``interference_var`` (cosines), ``etf_error``; ``log_kernel_mean``,
      ``log_kernel_var``, ``log_kernel_cv`` (GNC2).
    - NC3, with a ``weight`` (K, d): ``dual_error``, ``dual_distance``, ``cos_mean``, ``cos_var``, ``cos_cv`` (UNC3).

    **Arguments:** ``weight``: the classifier's rows of these classes, ``head.weight[moments.index]``; ``tile``: as `cdnv`.

    Raises InputError on fewer than 2 classes, or where all class means are the same.

    >>> stats = ClassStatistics(2, 2)
    >>> stats.update(torch.tensor([[1.0, 0.0], [1.0, 2.0], [5.0, 1.0]]), torch.tensor([0, 0, 1]))
    >>> found = collapse_summary(stats.finish())
    >>> round(found["cdnv"], 5), round(found["trace_ratio"], 5), round(found["etf_error"], 5)
    (0.03125, 0.16667, 0.0)
    """
    means, middle = moments.means, moments.global_mean
    trace_ratio = nc1(moments.within_trace, means, middle, "trace")
    averages = cdnv_averages(moments.var, means, (1, 2), tile)
    norms, products = equinorm(means, middle), interference(means, middle)
    kernel = uniformity(means, middle, "log", tile)
    found = {
        "classes": float(len(means)),
        "examples": float(moments.counts.sum()),
        "cdnv": averages[1][0],
        "cdnv_median": averages[1][1],
        "cdnv_2": averages[2][0],
        "cdnv_2_median": averages[2][1],
        "trace_ratio": trace_ratio,
        "norms_cv": norms.norms.cv,
        "norms_log_var": norms.logs.var,
        "interference_mean": products.mean,
        "interference_var": products.var,
        "etf_error": etf_error(means, middle),
        "log_kernel_mean": kernel.mean,
        "log_kernel_var": kernel.var,
        "log_kernel_cv": kernel.cv,
    }
    if moments.within is not None:
        found["nc1_pinv"] = nc1(moments.within, means, middle, "pinv")
    if weight is not None:
        dual = self_duality(weight, means, middle)
        found |= {
            "dual_error": dual.error,
            "dual_distance": dual.dist,
            "cos_mean": dual.cos.mean,
            "cos_var": dual.cos.var,
            "cos_cv": dual.cos.cv,
        }
    return found


def neural_collapse(
    model: nn.Module,
    loader: Iterable[Any],
    val_loader: Iterable[Any] | None = None,
    classifier: nn.Linear | str | None = None,
    *,
    min_count: int = 1,
    covariance: bool = False,
    tile: int = 1024,
) -> dict[str, float]:
    """Return every number of neural collapse of a model, streamed: each loader is read once, features are never kept.

    Features are what the classifier reads; the label of a feature is its class, in a language model the *next* token.
    Everything of `collapse_summary` comes from ``loader``; from ``val_loader`` come ``agreement`` (NC4, among the classes that
    occurred), and over all classes ``loss`` (mean cross-entropy, nats), ``accuracy`` and ``perplexity``.

    **Arguments:**
    - ``model``: any classifier or causal language model; it is measured in evaluation mode and comes back as it was.
    - ``loader``, ``val_loader``: batches, each a pair (inputs, labels), a dict with ``x`` and ``y``, or a dict with ``input_ids`` as
      Hugging Face's models take (labels are then the inputs one step later; what ``attention_mask`` leaves out does not count).
      One label for each feature: (n,) or (n, t). The label -100 is left out.
    - ``classifier``: the last ``nn.Linear`` or its dotted name; by default a Hugging Face model's output embeddings, a module
      called ``head``, else the ``nn.Linear`` that comes last in the model.
    - ``min_count``: classes with fewer examples are left out of everything but the loss.
    - ``covariance``: also ``nc1_pinv``, at the cost of n d^2.

    Raises InputError where there is no such classifier, it does not run, labels do not match, or a loader is empty.

    Source: Wu & Papyan, NeurIPS 2024. Differs from its code in: one pass over the training data where it takes two.

    >>> model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3))
    >>> batches = [(torch.arange(16.0).view(8, 2).sin(), torch.arange(8) % 3) for _ in range(2)]
    >>> found = neural_collapse(model, batches, batches)
    >>> found["examples"], 0 <= found["agreement"] <= 1
    (16.0, True)
    """
    head = _classifier(model, classifier)
    statistics = None
    for features, _, labels in _stream(model, head, loader, "loader"):
        if statistics is None:
            statistics = ClassStatistics(
                head.out_features, head.in_features, covariance=covariance, device=_for_float64(features.device)
            )
        statistics.update(features.to(statistics._sums.device), labels)
    if statistics is None:
        raise InputError("loader has no batch to measure on")
    moments = statistics.finish(min_count)
    index = moments.index.to(head.weight.device)
    weight = head.weight.detach()[index]
    found = collapse_summary(moments, weight, tile=tile)
    if val_loader is not None:
        bias = None if head.bias is None else head.bias.detach()[index]
        found |= _decide(model, head, val_loader, Decisions(weight, moments.means, bias))
    return found


def _decide(model: nn.Module, head: nn.Linear, loader: Iterable[Any], decisions: Decisions) -> dict[str, float]:
    n, hits, right, loss = 0, 0, 0, 0.0
    for features, logits, labels in _stream(model, head, loader, "val_loader"):
        hits += decisions.agree(features)
        right += int((logits.argmax(1) == labels).sum())
        loss += float(F.cross_entropy(logits.float(), labels, reduction="sum"))
        n += len(labels)
    if not n:
        raise InputError("val_loader has no example to measure on")
    mean = torch.tensor(loss / n, dtype=torch.float64)
    return {"agreement": hits / n, "loss": loss / n, "accuracy": right / n, "perplexity": float(mean.exp())}


def _stream(
    model: nn.Module, head: nn.Linear, loader: Iterable[Any], name: str
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield features (n, d), logits (n, classes) and labels (n,) of each batch, without what is to be left out."""
    device = next(model.parameters()).device
    with evaluating(model), torch.no_grad(), _caught(head) as caught:
        for batch in loader:
            inputs, labels, shifted = _inputs_and_labels(batch, name)
            caught.clear()
            _run(model, inputs, device)
            if not caught:
                raise InputError(f"the classifier {head} did not run when {type(model).__name__} was called")
            features, logits = caught
            if shifted:
                features, logits = features[:, :-1], logits[:, :-1]
            if features.shape[:-1] != labels.shape:
                raise InputError(
                    f"the classifier reads features {tuple(features.shape)}, but a batch of {name} has labels {tuple(labels.shape)}; "
                    "expected one label for each feature"
                )
            labels = labels.to(device, torch.long).flatten()
            features, logits = features.flatten(0, -2), logits.flatten(0, -2)
            kept = labels != IGNORED
            if not kept.all():
                features, logits, labels = features[kept], logits[kept], labels[kept]
            if len(labels):
                yield features, logits, labels


@contextmanager
def _caught(head: nn.Module) -> Iterator[list[Tensor]]:
    """Give a list that holds what the classifier read and wrote when it last ran."""
    caught: list[Tensor] = []

    def catch(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        caught[:] = inputs[0].detach(), output.detach()

    handle = head.register_forward_hook(catch)
    try:
        yield caught
    finally:
        handle.remove()


def _inputs_and_labels(batch: Any, name: str) -> tuple[Any, Tensor, bool]:
    if isinstance(batch, Mapping) and "input_ids" in batch:
        ids = torch.as_tensor(batch["input_ids"])
        labels, mask = ids[:, 1:], batch.get("attention_mask")
        if mask is not None:
            labels = labels.masked_fill(torch.as_tensor(mask)[:, 1:] == 0, IGNORED)
        inputs = {"input_ids": ids} if mask is None else {"input_ids": ids, "attention_mask": torch.as_tensor(mask)}
        return inputs, labels, True
    if isinstance(batch, Mapping) and {"x", "y"} <= set(batch):
        return batch["x"], torch.as_tensor(batch["y"]), False
    if isinstance(batch, tuple | list) and len(batch) == 2:
        return batch[0], torch.as_tensor(batch[1]), False
    what = f"a dict with {sorted(map(str, batch))}" if isinstance(batch, Mapping) else f"a {type(batch).__name__}"
    raise InputError(f"a batch of {name} is {what}; expected (inputs, labels), a dict with x and y, or with input_ids")


def _run(model: nn.Module, inputs: Any, device: torch.device) -> None:
    if isinstance(inputs, dict):
        model(**{k: v.to(device) for k, v in inputs.items()})
    else:
        model(torch.as_tensor(inputs).to(device))


def _classifier(model: nn.Module, classifier: nn.Linear | str | None) -> nn.Linear:
    if isinstance(classifier, str):
        found = dict(model.named_modules()).get(classifier)
    elif classifier is not None:
        found = classifier
    else:
        embeddings = getattr(model, "get_output_embeddings", lambda: None)()
        found = embeddings if embeddings is not None else getattr(model, "head", None)
        if found is None:
            found = next((m for m in reversed(list(model.modules())) if isinstance(m, nn.Linear)), None)
    if not isinstance(found, nn.Linear):
        what = f"is {type(found).__name__}" if found is not None else "was not found"
        raise InputError(
            f"the classifier {classifier or ''} of {type(model).__name__} {what}; expected an nn.Linear or its dotted name"
        )
    return found


def _for_float64(device: torch.device) -> torch.device:
    """Apple's GPUs have no float64: there the statistics are kept on the CPU."""
    return torch.device("cpu") if device.type == "mps" else device
