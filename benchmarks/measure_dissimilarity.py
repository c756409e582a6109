"""What a dissimilarity matrix costs: farfield beside scipy and rsatoolbox, by metric and number of stimuli.

    pip install rsatoolbox     # a peer; farfield itself does not need it
    python benchmarks/measure_dissimilarity.py [--n 200 2000 10000] [--rounds 9] [--json]

The ways, each from an array (n, 512) of float64 to the condensed distances:

- **farfield**: `farfield.measure.rdm`, tile by tile from matrix products.
- **farfield float32**: the same, from float32 numbers, in float32.
- **scipy**: `scipy.spatial.distance.pdist`.
- **rsatoolbox**: `rsatoolbox.rdm.calc_rdm` of a data set made before. Its "euclidean" is squared and divided by the number of
  columns, so it takes no root; it has no cosine.

The distances are compared first: to 1e-9 of their size, 1e-3 for float32. One process, one thread. All ways take turns within a
round, in a changing order; ratios are taken within each round, and figures are medians over rounds. At n = 10,000 there is one
round. The growth is the power of n between two sizes. Peak memory is that of a fresh process for each way, the highest resident
size over that before, in MiB, beside the size of the result.
"""

import argparse
import itertools
import math
import statistics
import time
import warnings

import numpy as np
import torch
from _shared import growth, peak, tell

from farfield.measure import rdm

COLUMNS = 512
METRICS = ("euclidean", "correlation", "cosine")
WAYS = ("farfield", "farfield float32", "scipy", "rsatoolbox")


def prepared(way, metric, n):
    """Return a function without arguments that makes the matrix, with all that comes before it done."""
    x = np.random.default_rng(n).normal(size=(n, COLUMNS))
    if way == "farfield":
        return lambda: rdm(x, metric)
    if way == "farfield float32":
        single = x.astype(np.float32)
        return lambda: rdm(single, metric, dtype=None)
    if way == "scipy":
        from scipy.spatial.distance import pdist

        return lambda: pdist(x, metric)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import rsatoolbox
    data = rsatoolbox.data.Dataset(x)
    return lambda: rsatoolbox.rdm.calc_rdm(data, method=metric).dissimilarities[0]


def measure(metric, n, rounds):
    ways = [way for way in WAYS if way != "rsatoolbox" or metric != "cosine"]
    made = {way: prepared(way, metric, n) for way in ways}
    expected = made["farfield"]()
    for way in ways[1:]:
        found = made[way]()
        if way == "rsatoolbox" and metric == "euclidean":
            found = np.sqrt(found * COLUMNS)
        np.testing.assert_allclose(found, expected, rtol=1e-3 if way == "farfield float32" else 1e-9, err_msg=way)
        del found
    del expected
    seconds = {way: [] for way in ways}
    for number in range(rounds if n < 10_000 else 1):
        # A new order each round, so that no way always runs after the same other one.
        start = number % len(ways)
        for way in ways[start:] + ways[:start]:
            began = time.perf_counter()
            made[way]()
            seconds[way].append(time.perf_counter() - began)
    ours = seconds["farfield"]
    return {
        "metric": metric,
        "n": n,
        "milliseconds": {way: 1e3 * statistics.median(s) for way, s in seconds.items()},
        "times_farfield": {way: [s / o for s, o in zip(seconds[way], ours)] for way in ways[1:]},
        "result_mib": n * (n - 1) / 2 * 8 / 2**20,
        "peak_mib": {way: peak(__file__, way, metric, n) for way in ways},
    }


def print_peak(way, metric, n):
    make = prepared(way, metric, int(n))
    # Whatever a first call loads is there before.
    prepared(way, metric, 50)()
    print(growth(make))


def show(rows, machine):
    print(f"{machine['processor']}, {machine['cores']} cores, one thread, torch {machine['packages']['torch']}.")
    print(
        f"n x {COLUMNS} numbers; times are medians; a peer's time over farfield's: median (min to max) over rounds.\n"
    )
    print("| metric | n | farfield, ms | float32, ms | scipy, ms | rsatoolbox, ms | scipy / farfield |", end="")
    print(" rsatoolbox / farfield | result, MiB | peak MiB: farfield / float32 / scipy / rsatoolbox |")
    print("|---|---|---|---|---|---|---|---|---|---|")

    def number(values, way, form):
        return format(values[way], form) if way in values else "-"

    def ratio(row, way):
        values = row["times_farfield"].get(way)
        return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})" if values else "-"

    for r in rows:
        times = " | ".join(number(r["milliseconds"], way, ",.1f") for way in WAYS)
        peaks = " / ".join(number(r["peak_mib"], way, ",.0f") for way in WAYS)
        ratios = " | ".join(ratio(r, way) for way in ("scipy", "rsatoolbox"))
        print(f"| {r['metric']} | {r['n']:,} | {times} | {ratios} | {r['result_mib']:,.0f} | {peaks} |")
    print("\nGrowth with n, as a power:")
    for metric in METRICS:
        for a, b in itertools.pairwise([r for r in rows if r["metric"] == metric]):
            powers = {
                way: math.log(b["milliseconds"][way] / a["milliseconds"][way]) / math.log(b["n"] / a["n"])
                for way in WAYS
                if way in a["milliseconds"]
            }
            print(f"- {metric}, {a['n']:,} to {b['n']:,}: " + ", ".join(f"{way} {p:.2f}" for way, p in powers.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[200, 2000, 10_000])
    parser.add_argument("--metrics", nargs="+", default=METRICS, choices=METRICS)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.peak:
        print_peak(*arguments.peak)
        return
    rows = [measure(metric, n, arguments.rounds) for metric in arguments.metrics for n in arguments.n]
    tell(rows, show, as_json=arguments.json)


if __name__ == "__main__":
    main()
