"""The training loop against the same training written with torch.utils.data.DataLoader in plain PyTorch.

    python benchmarks/train_loop.py [--rounds 7] [--json]

Same model, same initial weights, same AdamW, one torch thread in every process, batch 64 unless said otherwise. The
three ways (ours, DataLoader with 0 and with 2 workers) take turns in one process; the figures are medians over rounds,
the ratio is taken within each round against the faster DataLoader. Worker start-up is not counted: each way runs a
warm-up epoch first and its workers stay alive. Accuracy is that of the last round on the near test, over three seeds.
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn as torch_nn
from torch.utils.data import DataLoader, TensorDataset

from farfield import nn, tasks
from farfield.batches import uniform
from farfield.compare.evaluate import score
from farfield.compare.provenance import describe
from farfield.methods.method import cross_entropy
from farfield.tasks import column
from farfield.train import train

CASES = [
    # task, model, batch sizes, steps per round
    ("digits", "linear", (64,), 400),
    ("digits", "mlp", (16, 64, 256), 400),
    ("amazon", "mlp?hidden=100", (64,), 120),
    ("digits", "cnn", (64,), 200),
]


class Ours:
    def __init__(self, task, model, batch_size):
        self.task, self.model = task, model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        self.batch_size = batch_size

    def run(self, steps, seed):
        train(
            self.model,
            self.task.train,
            cross_entropy,
            self.optimizer,
            steps=steps,
            seed=seed,
            batches=uniform(len(self.task.train), self.batch_size, seed=seed),
        )


class Plain:
    def __init__(self, task, model, batch_size, workers):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
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
    rates = {"ours": [], "0 workers": [], "2 workers": []}
    accuracies = {name: [] for name in rates}

    def make(name, seed):
        model = nn.load(model_name, task, seed=seed)
        if name == "ours":
            return Ours(task, model, batch_size)
        return Plain(task, model, batch_size, workers=int(name[0]))

    ways = {name: make(name, 0) for name in rates}
    for way in ways.values():
        way.run(len(task.train) // batch_size + 1, seed=0)
    for round_ in range(rounds):
        # A new order each round, so that no way always runs after the same other one.
        order = list(rates)[round_ % 3 :] + list(rates)[: round_ % 3]
        for name in order:
            start = time.perf_counter()
            ways[name].run(steps, seed=round_)
            rates[name].append(steps / (time.perf_counter() - start))
    for seed in range(3):
        for name in rates:
            way = make(name, seed)
            way.run(steps, seed)
            accuracies[name].append(score(way.model, task.tests["iid"]).accuracy)
    ratios = [a / max(b, c) for a, b, c in zip(*rates.values())]
    return {
        "task": task.name,
        "model": model_name,
        "batch": batch_size,
        "steps_per_second": {k: statistics.median(v) for k, v in rates.items()},
        "ratio": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
        "accuracy": {k: [min(v), statistics.mean(v), max(v)] for k, v in accuracies.items()},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for task_name, model_name, batch_sizes, steps in CASES:
        task = tasks.load(task_name)
        for batch_size in batch_sizes:
            rows.append(measure(task, model_name, batch_size, steps, arguments.rounds))
    if arguments.json:
        print(json.dumps({"machine": describe()["machine"], "rows": rows}, indent=1))
        return
    machine = describe()["machine"]
    print(f"{machine['processor']}, {machine['cores']} cores, torch {machine['packages']['torch']}\n")
    print(
        "| task | model | batch | ours, steps/s | 0 workers | 2 workers | ours / better (min to max) | near accuracy |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for r in rows:
        rate, ratio, accuracy = r["steps_per_second"], r["ratio"], r["accuracy"]
        near = ", ".join(f"{v[1]:.3f}" for v in accuracy.values())
        print(
            f"| {r['task']} | {r['model']} | {r['batch']} | {rate['ours']:.0f} | {rate['0 workers']:.0f} | "
            f"{rate['2 workers']:.0f} | {ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f}) | {near} |"
        )


if __name__ == "__main__":
    main()
