"""What a step of the sharpness-aware optimizers costs: TRAM against SAM, and SAM against the same written elsewhere.

    pip install pytorch_optimizer     # the peer; farfield itself does not need it
    python benchmarks/sharpness.py [--rounds 15] [--json]

The ways:

- **plain**: the two passes of SAM written out, as a script has them.
- **pytorch_optimizer**: its SAM.
- **sam**: `farfield.optim.SAM`.
- **tram**: `farfield.optim.TRAM` against the step before: one more forward pass, one more copy of the parameters. With a
  backward pass at the price of two forward passes it is 7/6 of SAM; where a backward pass is cheaper, as in small models whose
  first layer needs no gradient of its input, the floor is higher (5/4 at equal prices). The measured floor stands beside it:
  a SAM step and a forward pass without gradients, over a SAM step.

Same model, same initial weights, the same batches in turn, the same closure, AdamW with the fused kernel as the base of all, at a
learning rate so small that the model stays what it is (one that has learned its data has gradients of denormal numbers,
which are slow). One thread. All ways take turns within a round, in a changing order; ratios are taken within each round, and figures are medians over rounds. The
losses after the same steps are compared first: plain, the peer and ours must be one algorithm. Peak memory is that of a fresh
process for each way: the highest resident size during some steps, looked at all the time by a second thread, over that before the
first.
"""

import argparse
import itertools
import statistics
import time

import torch
from _shared import growth, peak, tell
from torch.nn.functional import cross_entropy

from farfield import nn, tasks
from farfield.batches import uniform
from farfield.losses import divergence
from farfield.optim import SAM, TRAM, PreviousStepReference

BASE = {"lr": 1e-6, "weight_decay": 1e-4, "fused": True}
CASES = [
    # model, batch size, steps per round
    ("mlp?hidden=64&depth=1", 64, 200),
    ("mlp", 64, 100),
    ("mlp?hidden=2048&depth=3", 64, 4),
    ("cnn", 64, 30),
    ("resnet", 64, 10),
    ("vit", 64, 8),
]
WAYS = ("plain", "pytorch_optimizer", "sam", "tram")


class Plain:
    """SAM as a script has it."""

    def __init__(self, model):
        self.params = list(model.parameters())
        self.adamw = torch.optim.AdamW(self.params, **BASE)

    def zero_grad(self):
        self.adamw.zero_grad()

    def step(self, closure):
        loss = closure()
        with torch.no_grad():
            norm = torch.norm(torch.stack([p.grad.norm() for p in self.params]))
            scale = 0.05 / (norm + 1e-12)
            kept = [p.clone() for p in self.params]
            for p in self.params:
                p.add_(p.grad * scale)
        closure()
        with torch.no_grad():
            for p, before in zip(self.params, kept):
                p.copy_(before)
        self.adamw.step()
        return loss


class Way:
    """A model and one of the ways to train it on one batch."""

    def __init__(self, way, task, name, batch_size):
        self.model = nn.load(name, task, seed=0)
        self.batches = itertools.cycle(
            [task.train[rows] for rows in itertools.islice(uniform(len(task.train), batch_size, seed=0), 16)]
        )
        self.way = way
        params = self.model.parameters()
        if way == "plain":
            self.optimizer = Plain(self.model)
        elif way == "pytorch_optimizer":
            from pytorch_optimizer import SAM as PeerSAM

            self.optimizer = PeerSAM(params, torch.optim.AdamW, rho=0.05, **BASE)
        elif way == "sam":
            self.optimizer = SAM(params, torch.optim.AdamW, rho=0.05, **BASE)
        else:
            self.optimizer = TRAM(params, torch.optim.AdamW, **BASE)
            self.reference = PreviousStepReference().init(self.model)
            self.reference.follow(self.optimizer, self.model)
            self.optimizer.divergence = self.measure

    def measure(self):
        return divergence(self.reference.logits(self.model, self.batch), self.logits)

    def closure(self):
        self.optimizer.zero_grad()
        logits = self.model(self.batch["x"])
        if self.way == "tram" and not self.optimizer.perturbed:
            self.logits = logits.detach()
        loss = cross_entropy(logits, self.batch["y"])
        loss.backward()
        return loss

    def step(self):
        self.batch = next(self.batches)
        if self.way == "pytorch_optimizer":
            # The peer's step begins with the gradient at hand.
            loss = self.closure()
            self.optimizer.step(self.closure)
            return loss
        return self.optimizer.step(self.closure)

    def seconds(self, steps):
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        return (time.perf_counter() - start) / steps

    @torch.no_grad()
    def forward_seconds(self, steps):
        start = time.perf_counter()
        for _ in range(steps):
            self.model(next(self.batches)["x"])
        return (time.perf_counter() - start) / steps


def measure(task, name, batch_size, steps, rounds):
    made = {way: Way(way, task, name, batch_size) for way in WAYS}
    losses = {way: [float(made[way].step().detach()) for _ in range(3)] for way in WAYS}
    for way in ("plain", "pytorch_optimizer"):
        # 1e-3: the passes of one algorithm add up in different orders, and Adam's first steps enlarge rounding.
        assert torch.allclose(torch.tensor(losses[way]), torch.tensor(losses["sam"]), rtol=1e-3), (name, way, losses)
    seconds = {way: [] for way in WAYS}
    floors = []
    for round_ in range(rounds):
        # A new order each round, so that no way always runs after the same other one.
        for way in WAYS[round_ % 4 :] + WAYS[: round_ % 4]:
            seconds[way].append(made[way].seconds(steps))
        floors.append(1 + made["sam"].forward_seconds(steps) / seconds["sam"][-1])
    return {
        "model": name,
        "parameters": sum(p.numel() for p in made["sam"].model.parameters()),
        "batch": batch_size,
        "milliseconds": {way: 1e3 * statistics.median(s) for way, s in seconds.items()},
        "tram_over_sam": [t / s for t, s in zip(seconds["tram"], seconds["sam"])],
        "floor": statistics.median(floors),
        "sam_over_plain": [s / p for s, p in zip(seconds["sam"], seconds["plain"])],
        "sam_over_peer": [s / p for s, p in zip(seconds["sam"], seconds["pytorch_optimizer"])],
        "peak_mib": {way: peak(__file__, way, name, batch_size) for way in WAYS},
    }


def print_peak(way, name, batch_size):
    made = Way(way, tasks.load("digits"), name, int(batch_size))
    made.forward_seconds(1)
    print(growth(lambda: [made.step() for _ in range(10)]))


def show(rows, machine):
    print(f"{machine['processor']}, {machine['cores']} cores, one thread, torch {machine['packages']['torch']}.")
    print("Milliseconds per step (medians); ratios: median (min to max) over rounds; MiB above what the model takes.\n")
    print(
        "| model | parameters | plain / peer / sam / tram, ms | tram / sam | its floor | sam / plain | sam / peer | MiB |"
    )
    print("|---|---|---|---|---|---|---|---|")

    def ratio(values):
        return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"

    for r in rows:
        print(
            f"| {r['model']}, batch {r['batch']} | {r['parameters']:,} "
            f"| {' / '.join(f'{v:.2f}' for v in r['milliseconds'].values())} "
            f"| {ratio(r['tram_over_sam'])} | {r['floor']:.2f} | {ratio(r['sam_over_plain'])} "
            f"| {ratio(r['sam_over_peer'])} | {' / '.join(f'{v:.0f}' for v in r['peak_mib'].values())} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.peak:
        print_peak(*arguments.peak)
        return
    task = tasks.load("digits")
    rows = [measure(task, name, batch, steps, arguments.rounds) for name, batch, steps in CASES]
    tell(rows, show, as_json=arguments.json)


if __name__ == "__main__":
    main()
