"""Models trained from scratch whose collapse is measured: small language models, and a classifier of digits."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn import functional as F

from farfield import measure, nn, tasks
from farfield.batches import uniform
from farfield.study.stage import stage
from farfield.train import train


@stage
def corpus(*, text: str, types: int, block: int, hub: str | None) -> dict[str, Tensor]:
    """Return a text as blocks of tokens: ``train/x``, ``train/y``, ``val/x``, ``val/y`` (n, block) int32, and ``vocabulary``.

    **Arguments:**
    - ``text``: as `farfield.tasks.load_texts`; without a validation split its last tenth is for validation.
    - ``types``: words of the vocabulary; ``hub``: a model whose tokenizer is taken in place of words. Its documents are joined with
      its end-of-text token between them.
    """
    texts = tasks.load_texts(text)
    if hub:
        tokenizer = tasks.hub_tokenizer(hub)
        separator = tokenizer.eos_token_id
    else:
        tokenizer, separator = tasks.WordTokenizer.fit(" ".join(texts.train), types), None
    held_out = 0.1 if texts.validation is None else texts.validation
    made = tasks.next_token(texts.train, tokenizer, block, validation=held_out, separator=separator)
    columns = {f"{part}/{c}": getattr(made, part).columns[c].int() for part in ("train", "val") for c in ("x", "y")}
    return {**columns, "vocabulary": torch.tensor(made.inputs.vocabulary)}


@stage
def language_model(
    *, width: int, depth: int, epochs: int, shuffled: bool, seed: int, settings: dict[str, Any]
) -> dict[str, Tensor]:
    """Return the numbers of `farfield.measure.neural_collapse` of a language model trained from scratch, and ``parameters``.

    **Arguments:**
    - ``epochs``: over the text; 0 measures the untrained model. ``shuffled``: the same tokens in random order.
    - ``settings``: ``text``, ``types``, ``block`` (as `corpus`), ``blocks`` (of each part at most, or None), ``model`` (None: a
      `TinyCausalLM`; ``"hf:..."``: GPT-Neo on that tokenizer), ``heads``, ``batch``, ``learning_rate`` of AdamW with ``warmup`` steps
      and then linear decay to 0, ``weight_decay``, ``min_count`` and ``device`` (bfloat16 but on the CPU).
    """
    s = settings
    hub = s["model"].removeprefix("hf:") if s["model"] else None
    found = corpus(text=s["text"], types=s["types"], block=s["block"], hub=hub)
    parts = []
    for i, part in enumerate(("train", "val")):
        x, y = (found[f"{part}/{c}"][: s["blocks"]] for c in ("x", "y"))
        if shuffled:
            row = torch.cat([x.flatten()[:1], y.flatten()])
            row = row[torch.randperm(len(row), generator=torch.Generator().manual_seed(2 * seed + i))]
            x, y = row[:-1].view_as(x), row[1:].view_as(y)
        parts.append(tasks.Table(x=x, y=y))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        make = nn.gpt_neo if hub else nn.TinyCausalLM
        model = make(int(found["vocabulary"]), width, depth, heads=s["heads"], context=s["block"]).to(s["device"])
    with torch.autocast(s["device"], torch.bfloat16, enabled=s["device"] != "cpu"):
        if epochs:
            steps = epochs * -(-len(parts[0]) // s["batch"])
            fit(model, parts[0], steps, s["learning_rate"], s["weight_decay"], s["warmup"], s["batch"], seed)
        loaders = (batches(part, s["batch"]) for part in parts)
        numbers = measure.neural_collapse(model, *loaders, min_count=s["min_count"])
    numbers["parameters"] = float(sum(p.numel() for p in model.parameters()))
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in numbers.items()}


@stage
def digits_classifier(*, epochs: list[int], seed: int) -> dict[str, Tensor]:
    """Return the numbers of `farfield.measure.neural_collapse` of a digits classifier, each at these epochs, 0 among them or not.

    Scikit-learn's digits, a perceptron 64-128-64-10 with ReLU, Adam at 1e-3, weight decay 5e-4, batches of 64.
    """
    task = tasks.load("digits", seed=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        hidden = torch_nn.Linear(64, 128), torch_nn.ReLU(), torch_nn.Linear(128, 64), torch_nn.ReLU()
        model = torch_nn.Sequential(torch_nn.Flatten(), *hidden, torch_nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, weight_decay=5e-4, fused=True)
    stream, done, rows = uniform(len(task.train), 64, seed=seed), 0, []
    for upto in epochs:
        if upto > done:
            steps = (upto - done) * -(-len(task.train) // 64)
            train(model, task.train, _loss, optimizer, steps=steps, seed=seed, batches=stream)
        done = max(done, upto)
        rows.append(measure.neural_collapse(model, batches(task.train, 256), batches(task.tests["iid"], 256)))
    return {name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in rows[0]}


def fit(
    model: torch_nn.Module,
    data: tasks.Split,
    steps: int,
    learning_rate: float,
    weight_decay: float,
    warmup: int,
    batch_size: int,
    seed: int,
) -> None:
    """Train a language model: AdamW, a linear rise over ``warmup`` steps, then linear decay to 0 at the last."""
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=weight_decay, fused=True)

    def factor(step: int) -> float:
        return min((step + 1) / (warmup + 1), max(0.0, (steps - step) / max(1, steps - warmup)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    hooks = [lambda *_: schedule.step()]
    train(model, data, _loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


def batches(split: tasks.Split, size: int) -> Iterator[dict[str, Tensor]]:
    """Yield a split once, in order.

    >>> [len(b["y"]) for b in batches(tasks.Table(y=torch.arange(5)), 2)]
    [2, 2, 1]
    """
    return (split[rows] for rows in torch.arange(len(split)).split(size))


def _loss(model: torch_nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the mean cross-entropy over all examples, in nats: of a classifier, or of each position of a language model."""
    logits = model(batch["x"])
    logits = getattr(logits, "logits", logits)  # Hugging Face's models return a record
    return F.cross_entropy(logits.flatten(0, -2), batch["y"].flatten().long())
