"""What the published ways of training cost: a whole training of each, over one by ERM of the same model and as many steps.

    python benchmarks/robust_training.py [--steps 100] [--rounds 5] [--methods cat,rcal] [--json]

Every method of `farfield.methods` that came with a paper of its own trains each model on digits under rotation, by its recipe as
`farfield compare` calls it: all stages, members and caches included, checkpoints not. **claimed** is what its paper says of its cost, or what
follows from its algorithm. One thread; all methods take turns within a round, in a changing order; ratios to ERM are taken within each
round, figures are medians over rounds. Peak memory is that of a fresh process, the highest resident size during the training
over that before it, with ERM's beside it.

What makes a method dear is not the same everywhere: a number of trainings (`cat`, `bonsai`), of passes (`sam`), of gradients
(`winsorized`), or work on the images (`random-fields`), which small networks feel most.
"""

import argparse
import statistics
import time

import torch
from _shared import growth, peak, tell

from farfield import methods, nn, tasks

MODELS = ("mlp?hidden=100&depth=1", "cnn", "resnet")
CLAIMED = {
    "erm": "1",
    "sam": "2 (two gradients a step)",
    "tram": "1.5 (one gradient, two forward passes more)",
    "bonsai": "2.5 (two trainings, half as many steps of distillation)",
    "cat": "3 (three trainings) and a head",
    "cat-distill": "4 (three trainings and the student's)",
    "levi": "below 1 for a pretrained model; ERM's and the heads' here",
    "lp-ft": "at most 1",
    "wise-ft": "1",
    "rcal": "one training with mixup, after one without labels",
    "random-fields": "1 and the augmentation",
    "rm3": "1 (memory of three gradients)",
    "m3": "1 (three passes over a third of the batch)",
    "winsorized": "a gradient for each example",
    "catch": "1 and three small networks",
}


def train(name, model, steps):
    """Return a function without arguments that trains a new model."""
    task = tasks.load("digits/rotation")
    recipe, made = methods.load(name), nn.load(model, task, seed=0)
    return lambda: recipe(made, task, steps=steps, seed=0)


def measure(model, names, steps, rounds):
    taken = {name: [] for name in names}
    for name in names:
        train(name, model, 4)()  # what a first call loads
    for number in range(rounds):
        at = number % len(names)
        for name in (*names[at:], *names[:at]):
            work = train(name, model, steps)
            start = time.perf_counter()
            work()
            taken[name].append(time.perf_counter() - start)
    return [
        {
            "model": model,
            "method": name,
            "milliseconds_a_step": 1e3 * statistics.median(taken[name]) / steps,
            "times_erm": [a / b for a, b in zip(taken[name], taken["erm"])],
            "peak_mib": peak(__file__, name, model, steps),
            "claimed": CLAIMED[name],
        }
        for name in names
    ]


def show(rows, machine):
    print(f"{machine['processor']}, {machine['cores']} cores, one thread, torch {machine['packages']['torch']}.\n")
    print("| model | method | ms a step | times ERM: median (min to max) | claimed | peak, MiB |")
    print("|---|---|---|---|---|---|")
    for r in rows:
        ratios = r["times_erm"]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        model = r["model"].replace("|", "\\|")
        print(
            f"| {model} | {r['method']} | {r['milliseconds_a_step']:.2f} | {spread} | {r['claimed']} | {r['peak_mib']:.0f} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS), help="names with commas between")
    parser.add_argument("--methods", default=",".join(CLAIMED), help="names with commas between; erm always takes part")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.peak:
        name, model, steps = arguments.peak
        train(name, model, 4)()
        print(growth(train(name, model, int(steps))))
        return
    names = tuple(dict.fromkeys(["erm", *arguments.methods.split(",")]))
    rows = [
        row for model in arguments.models.split(",") for row in measure(model, names, arguments.steps, arguments.rounds)
    ]
    tell(rows, show, as_json=arguments.json)


if __name__ == "__main__":
    main()
