"""What matching the units of two networks costs: against the matrix product that it needs, and against numpy.

    python benchmarks/measure_matching.py [--rounds 5] [--case 50000 1024 ...] [--json]

The ways, each from activations (n, d) of two networks to the partner of every unit:

- **product**: ``a.T @ b`` in float64 alone, without centring, scaling or matching: nothing that reads every pair can be faster
  on the same numbers.
- **matching**: `farfield.measure.UnitCorrelation` (between the networks) and `bipartite_match`, from float64.
- **from float32**: the same from float32, as networks give them; sums are in float64 all the same.
- **in batches**: the same from float64 in batches of 256, as they come from a model.
- **numpy**: ``numpy.corrcoef`` of both networks' units together (it knows no other way, and so has the correlations within each
  network too) and scipy's ``linear_sum_assignment``.
- **with within**: ours with the correlations within each network too, what numpy computes.

One process, one thread. All ways take turns within a round, in a changing order; ratios are taken within each round, and
figures are medians over rounds. Partners and correlations of all ways are compared first.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from _shared import tell
from scipy.optimize import linear_sum_assignment

from farfield.measure import UnitCorrelation, bipartite_match

CASES = [(12_500, 1024), (25_000, 1024), (50_000, 1024), (50_000, 512), (50_000, 256)]


def draw(n, d):
    """Return rectified activations of two networks whose units share a quarter of their variance, in another order."""
    generator = torch.Generator().manual_seed(0)
    a, own = (torch.randn(n, d, generator=generator) for _ in range(2))
    b = a[:, torch.randperm(d, generator=generator)] + 1.7 * own
    return a.relu_(), b.relu_()


def match(a, b, within=False):
    found = UnitCorrelation(a.shape[1], b.shape[1], within=within).update(a, b).result().between
    return found, bipartite_match(found)[0]


def match_in_batches(a, b):
    accumulator = UnitCorrelation(a.shape[1], b.shape[1], within=False)
    for rows in zip(a.split(256), b.split(256)):
        accumulator.update(*rows)
    found = accumulator.result().between
    return found, bipartite_match(found)[0]


def by_numpy(a, b):
    d = a.shape[1]
    found = np.corrcoef(a, b, rowvar=False)[:d, d:]
    return found, linear_sum_assignment(found, maximize=True)[1]


def measure(n, d, rounds):
    a32, b32 = draw(n, d)
    a, b = a32.double(), b32.double()
    ways = {
        "product": lambda: (a.T @ b, None),
        "matching": lambda: match(a, b),
        "from float32": lambda: match(a32, b32),
        "in batches": lambda: match_in_batches(a, b),
        "numpy": lambda: by_numpy(a.numpy(), b.numpy()),
        "with within": lambda: match(a, b, within=True),
    }
    found = {name: way() for name, way in ways.items()}
    for name, (c, partner) in found.items():
        if name != "product":
            np.testing.assert_allclose(c, found["numpy"][0], atol=1e-9, err_msg=name)
            assert (np.asarray(partner) == found["numpy"][1]).all(), name
    seconds = {name: [] for name in ways}
    names = list(ways)
    for round_ in range(rounds):
        # A new order each round, so that no way always runs after the same other one.
        for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
            start = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - start)

    def over(name, base):
        return statistics.median(x / y for x, y in zip(seconds[name], seconds[base]))

    return {
        "n": n,
        "d": d,
        "seconds": {name: statistics.median(s) for name, s in seconds.items()},
        "over_product": {name: over(name, "product") for name in names if name != "product"},
        "numpy_over_within": over("numpy", "with within"),
    }


def show(rows, machine):
    print(f"{machine['processor']}, {machine['cores']} cores, one thread, torch {machine['packages']['torch']}.")
    print("Seconds (medians), and in brackets how many times the product's.\n")
    names = list(rows[0]["seconds"])
    print(f"| n | d | {' | '.join(names)} | numpy / with within |")
    print("|---" * (len(names) + 3) + "|")
    for r in rows:
        cells = [
            f"{r['seconds'][name]:.2f}" + (f" ({r['over_product'][name]:.2f})" if name != "product" else "")
            for name in names
        ]
        print(f"| {r['n']:,} | {r['d']:,} | {' | '.join(cells)} | {r['numpy_over_within']:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--case", nargs=2, type=int, action="append", metavar=("N", "D"), help="rows and units; repeatable"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(n, d, arguments.rounds) for n, d in arguments.case or CASES]
    tell(rows, show, as_json=arguments.json)


if __name__ == "__main__":
    main()
