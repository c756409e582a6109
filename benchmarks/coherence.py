"""What coherence costs: m-coherence of a step against the gradients of its examples, and the robust steps against plain training.

    python benchmarks/coherence.py [--rounds 9] [--json]

The ways, on one batch of 256 examples:

- **backward**: the gradient of the mean loss, one backward pass.
- **each**: the gradients of all examples by ``torch.func.vmap`` of ``torch.func.grad``, written out, all at once. The floor of
  any measure that needs them.
- **coherence**: `farfield.measure.gradient_coherence`, whole and by layer at once. The target is at most 3 times **each**.
- **plain loop**: a backward pass for each example, as a script has it.

Then a step of training on 64 examples: **sgd**, **rm3**, **m3** and **winsorized** (c = 1), over sgd.

One thread; all ways take turns within a round; ratios are taken within each round, figures are medians over rounds. Alpha from
**each** and from **coherence** are compared first. Growth: seconds and peak memory of coherence over 256, 1,024 and 2,048
examples, beside the memory that all their gradients would take; peak memory is that of a fresh process, the highest resident
size during the work over that before it.
"""

import argparse
import statistics
import sys
import time

import torch
from _shared import growth, peak, tell
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from farfield import measure, nn, optim, tasks
from farfield.methods.m3 import GroupLoss
from farfield.methods.method import cross_entropy as mean_loss
from farfield.methods.winsorized import ExampleGradients

MODELS = ("mlp?hidden=128&depth=1", "mlp", "cnn", "mlp?hidden=512&depth=2")
BATCH, TRAINED, RATE = 256, 64, 1e-4
SIZES = (256, 1024, 2048)
WAYS = ("backward", "each", "coherence")
STEPS = ("sgd", "rm3", "m3", "winsorized")


def losses(outputs, y):
    return cross_entropy(outputs, y, reduction="none")


def make(name):
    task = tasks.load("digits/rotation")
    return nn.load(name, task, seed=0).eval(), task


def rows(task, n):
    batch = task.train[torch.arange(n) % len(task.train)]
    return batch["x"], batch["y"]


def each(model, x, y):
    params = {name: p.detach() for name, p in model.named_parameters()}

    def loss(params, x, y):
        return cross_entropy(functional_call(model, params, (x[None],)), y[None])

    return vmap(grad(loss), in_dims=(None, 0, 0))(params, x, y)


def backward(model, x, y):
    model.zero_grad()
    cross_entropy(model(x), y).backward()


def plain_loop(model, x, y):
    for row, label in zip(x, y):
        backward(model, row[None], label[None])


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def trainers(name):
    """Return way -> a function that takes one step, each on a model of its own."""
    made = {}
    for way in STEPS:
        model, task = make(name)
        x, y = rows(task, TRAINED - TRAINED % 3 if way == "m3" else TRAINED)
        batch, params = {"x": x, "y": y}, list(model.parameters())
        if way == "sgd":
            optimizer = torch.optim.SGD(params, lr=RATE)
        elif way == "winsorized":
            optimizer = optim.WinsorizedGrad(params, torch.optim.SGD, c=1, lr=RATE)
        else:
            optimizer = {"rm3": optim.RM3, "m3": optim.M3}[way](params, torch.optim.SGD, lr=RATE)
        loss = {"winsorized": ExampleGradients(), "m3": GroupLoss(optimizer)}.get(way, mean_loss)

        def step(model=model, batch=batch, optimizer=optimizer, loss=loss):
            def closure():
                optimizer.zero_grad()
                value = loss(model, batch)
                value.backward()
                return value

            optimizer.step(closure)

        made[way] = step
    return made


def compare(name, rounds):
    model, task = make(name)
    x, y = rows(task, BATCH)
    gradients = torch.cat([g.flatten(1) for g in each(model, x, y).values()], 1)
    found = measure.gradient_coherence(model, losses, x, y, groups="layer").alpha
    expected = measure.coherence_from_gradients(gradients).alpha
    assert abs(found - expected) < 1e-5, (name, found, expected)
    size = gradients.numel() * 4 / 2**20
    del gradients
    ways = {
        "backward": lambda: backward(model, x, y),
        "each": lambda: each(model, x, y),
        "coherence": lambda: measure.gradient_coherence(model, losses, x, y, groups="layer"),
    }
    steps = trainers(name)
    taken = {way: [] for way in (*WAYS, *STEPS)}
    for work in (*ways.values(), *steps.values()):
        work()
    for round_ in range(rounds):
        for way in WAYS[round_ % 3 :] + WAYS[: round_ % 3]:
            taken[way].append(seconds(ways[way]))
        for way in STEPS[round_ % 4 :] + STEPS[: round_ % 4]:
            taken[way].append(statistics.median(seconds(steps[way]) for _ in range(3)))
    medians = {way: statistics.median(values) for way, values in taken.items()}

    def ratio(way, base):
        return statistics.median(a / b for a, b in zip(taken[way], taken[base]))

    return {
        "model": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "gradients_mib": size,
        "milliseconds": {way: 1e3 * value for way, value in medians.items()},
        "plain_loop_milliseconds": 1e3 * seconds(lambda: plain_loop(model, x, y)),
        "coherence_over_each": ratio("coherence", "each"),
        "step_over_sgd": {way: ratio(way, "sgd") for way in STEPS[1:]},
        "growth": [
            {
                "examples": n,
                "seconds": seconds(lambda n=n: measure.gradient_coherence(model, losses, *rows(task, n))),
                "peak_mib": peak(__file__, name, n),
                "all_gradients_mib": size * n / BATCH,
            }
            for n in SIZES
        ],
    }


def show(found, machine):
    print(f"m-coherence of {BATCH} examples and steps on {TRAINED}; {machine}")
    for row in found:
        times = "  ".join(f"{way} {value:.2f}" for way, value in row["milliseconds"].items())
        print(
            f"\n{row['model']}  {row['parameters']:,} parameters\n  ms: {times}  plain loop {row['plain_loop_milliseconds']:.0f}"
        )
        print(f"  coherence over each: {row['coherence_over_each']:.2f} (target: 3)")
        print("  step over sgd: " + "  ".join(f"{way} {value:.1f}" for way, value in row["step_over_sgd"].items()))
        for g in row["growth"]:
            print(
                f"  {g['examples']:5} examples: {g['seconds']:.2f} s, peak {g['peak_mib']:.0f} MiB "
                f"(all gradients: {g['all_gradients_mib']:.0f} MiB)"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peak", nargs=2, metavar=("MODEL", "EXAMPLES"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.peak:
        model, task = make(given.peak[0])
        # What torch.func imports when it is first used is no memory of the measure.
        measure.gradient_coherence(model, losses, *rows(task, 2))
        x, y = rows(task, int(given.peak[1]))
        print(growth(lambda: measure.gradient_coherence(model, losses, x, y)))
        sys.exit()
    tell([compare(name, given.rounds) for name in MODELS], show, as_json=given.json)


if __name__ == "__main__":
    main()
