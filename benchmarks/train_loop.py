"""The training loop against the same training written with torch.utils.data.DataLoader in plain PyTorch.

    python benchmarks/train_loop.py [--rounds 7] [--json]

Same model, same initial weights, AdamW with the same settings, one torch thread in every process. The plain loop is written
twice: as a script usually has it (``AdamW(parameters, lr)``, whose update on the CPU is a Python loop over tensors), and with
the fused kernel that farfield's recipes ask for, so that it can be seen what is the loop's and what is the optimizer's. Each
with 0 and 2 DataLoader workers. All ways take turns within a round, in a changing order; figures are medians over rounds,
ratios are taken within each round against the faster number of workers. Worker start-up is not counted: each way runs an
epoch first, and its workers stay alive. Accuracy on the near test is the mean over three seeds after one round's steps.
"""

import argparse
import statistics
import time

import torch
from _shared import tell
from torch import nn as torch_nn
from torch.utils.data import DataLoader, TensorDataset

from farfield import nn, tasks
from farfield.batches import uniform
from farfield.compare.evaluate import score
from farfield.methods.method import adamw, cross_entropy
from farfield.tasks import column
from farfield.train import train

LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-4
CASES = [
    # task, model, batch size, steps per round
    ("digits", "linear", 64, 400),
    ("digits", "mlp?hidden=100&depth=1", 16, 400),  # the size of scikit-learn's MLPClassifier
    ("digits", "mlp?hidden=100&depth=1", 64, 400),
    ("digits", "mlp?hidden=100&depth=1", 256, 200),
    ("digits", "mlp", 64, 300),
    ("amazon", "mlp?hidden=100&depth=1", 64, 100),
    ("amazon", "mlp", 64, 50),
    ("digits", "cnn", 64, 150),
]
WAYS = ("ours", "plain, 0 workers", "plain, 2 workers", "fused, 0 workers", "fused, 2 workers")


class Ours:
    def __init__(self, task, model, batch_size):
        self.task, self.model = task, model
        self.optimizer = adamw(model, LEARNING_RATE, WEIGHT_DECAY)
        self.batch_size = batch_size

    def run(self, steps, seed):
        batches = uniform(len(self.task.train), self.batch_size, seed=seed)
        train(self.model, self.task.train, cross_entropy, self.optimizer, steps=steps, seed=seed, batches=batches)


class Plain:
    def __init__(self, task, model, batch_size, workers, fused):
        self.model = model
        # None, not False: what AdamW does where a script says nothing.
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=fused or None
        )
        data = TensorDataset(column(task.train, "x"), column(task.train, "y"))
        self.loader = DataLoader(
            data, batch_size, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
        )

    def run(self, steps, seed):
        torch.manual_seed(seed)
        self.model.train()
        losses = []
        while True:
            for x, y in self.loader:
                self.optimizer.zero_grad()
                loss = torch_nn.functional.cross_entropy(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
                if len(losses) == steps:
                    return


def measure(task, model_name, batch_size, steps, rounds):
    def make(way, seed):
        model = nn.load(model_name, task, seed=seed)
        if way == "ours":
            return Ours(task, model, batch_size)
        return Plain(task, model, batch_size, workers=int(way[7]), fused=way.startswith("fused"))

    rates = {way: [] for way in WAYS}
    ways = {way: make(way, 0) for way in WAYS}
    for way in ways.values():
        way.run(len(task.train) // batch_size + 1, seed=0)
    for round_ in range(rounds):
        # A new order each round, so that no way always runs after the same other one.
        for way in WAYS[round_ % 5 :] + WAYS[: round_ % 5]:
            start = time.perf_counter()
            ways[way].run(steps, seed=round_)
            rates[way].append(steps / (time.perf_counter() - start))
    ratios = {}
    for kind in ("plain", "fused"):
        rounds_of = zip(rates["ours"], rates[f"{kind}, 0 workers"], rates[f"{kind}, 2 workers"])
        ratios[kind] = [ours / max(none, two) for ours, none, two in rounds_of]
    accuracies = {}
    for way in ("ours", "plain, 0 workers"):
        accuracies[way] = []
        for seed in range(3):
            trained = make(way, seed)
            trained.run(steps, seed)
            accuracies[way].append(score(trained.model, task.tests["iid"]).accuracy)
    return {
        "task": task.name,
        "model": model_name,
        "batch": batch_size,
        "steps_per_second": {way: statistics.median(r) for way, r in rates.items()},
        "ratio": ratios,
        "accuracy": accuracies,
    }


def show(rows, machine):
    print(f"{machine['processor']}, {machine['cores']} cores, torch {machine['packages']['torch']}.")
    print("Steps per second (medians); ratio to the faster DataLoader: median (min to max) over rounds.\n")
    print(
        "| task | model | batch | ours | plain, 0 / 2 workers | fused, 0 / 2 workers | ours / plain | ours / fused "
        "| near accuracy, ours / plain |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for r in rows:
        rate = {way: f"{value:,.0f}" for way, value in r["steps_per_second"].items()}
        ratios = [f"{statistics.median(v):.2f} ({min(v):.2f} to {max(v):.2f})" for v in r["ratio"].values()]
        near = " / ".join(f"{statistics.mean(v):.3f}" for v in r["accuracy"].values())
        print(
            f"| {r['task']} | {r['model']} | {r['batch']} | {rate['ours']} | "
            f"{rate['plain, 0 workers']} / {rate['plain, 2 workers']} | "
            f"{rate['fused, 0 workers']} / {rate['fused, 2 workers']} | {ratios[0]} | {ratios[1]} | {near} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(tasks.load(task), model, batch, steps, arguments.rounds) for task, model, batch, steps in CASES]
    tell(rows, show, as_json=arguments.json)


if __name__ == "__main__":
    main()
