"""What an intrinsic dimension costs, beside scikit-dimension: MLE (20 neighbours) and TwoNN.

    pip install scikit-dimension      # the peer; farfield itself does not need it
    python benchmarks/measure_dimension.py [--rounds 5] [--only 2000 10000] [--json]

The ways, each from the array to the number:

- **skdim MLE**, **skdim TwoNN**: ``skdim.id.MLE(unbiased=True).fit(x, n_neighbors=20)`` and ``skdim.id.TwoNN(...).fit(x)``, which
  search neighbours by scikit-learn: a k-d tree up to 15 columns, inner products in float64 above; TwoNN sorts all distances of
  a point above 25 columns.
- **MLE**, **TwoNN**: `farfield.measure.intrinsic_dimension`. Exact neighbours too: candidates by inner products in float32 along the
  leading directions, then distances in float64; scipy's k-d tree up to 7 columns.

The data, float64:

- **normal, d columns**: no structure. The worst there is in 10 columns and more: no tree and no direction helps.
- **surface in 512**: `farfield.tasks.latent_manifold` of dimension 8, as the outputs of a layer: many columns, few directions.

The results are compared first: both must be the same number. One process, one thread; all ways take turns within a round, in a
changing order, ratios are taken within each round, and figures are medians over rounds (at 50,000 points a single round by default,
as the peer takes minutes). The last column is the exponent of the growth of our MLE with n since the size before.
"""

import argparse
import math
import statistics
import time
import warnings

import numpy as np
import torch
from _shared import tell
from threadpoolctl import threadpool_limits

from farfield.measure import intrinsic_dimension
from farfield.tasks import latent_manifold

SIZES = (2000, 10_000, 50_000)
DATA = ("normal, 3 columns", "normal, 10 columns", "normal, 64 columns", "surface in 512", "normal, 512 columns")


def make(name, n):
    if name.startswith("surface"):
        return latent_manifold(n, 8, out_dim=512)[0].double().numpy()
    return np.random.default_rng(0).normal(size=(n, int(name.split()[1])))


def measure(name, n, rounds):
    import skdim

    x = make(name, n)
    ways = {
        "skdim MLE": lambda: skdim.id.MLE(unbiased=True).fit(x, n_neighbors=20).dimension_,
        "MLE": lambda: intrinsic_dimension(x),
        # The fraction that leaves out the last point only, as the paper does.
        "skdim TwoNN": lambda: float(skdim.id.TwoNN(discard_fraction=0.5 / n).fit(x).dimension_),
        "TwoNN": lambda: intrinsic_dimension(x, "twonn"),
    }
    names, values = list(ways), {}
    seconds = {way: [] for way in names}
    for round_ in range(rounds):
        for way in names[round_ % 4 :] + names[: round_ % 4]:
            start = time.perf_counter()
            values[way] = ways[way]()
            seconds[way].append(time.perf_counter() - start)
    for way in ("MLE", "TwoNN"):
        assert math.isclose(values[way], values[f"skdim {way}"], rel_tol=1e-6), (name, n, values)
    return {
        "data": name,
        "n": n,
        "seconds": {way: statistics.median(s) for way, s in seconds.items()},
        "ratios": {w: [p / o for p, o in zip(seconds[f"skdim {w}"], seconds[w])] for w in ("MLE", "TwoNN")},
        "dimension": {way: values[way] for way in ("MLE", "TwoNN")},
    }


def show(rows, machine):
    print(
        f"{machine['processor']}, one thread, torch {machine['packages']['torch']}. Seconds (medians); ratio: median (min to max).\n"
    )
    print("| data | n | skdim MLE | MLE | ratio | skdim TwoNN | TwoNN | ratio | growth |")
    print("|---|---|---|---|---|---|---|---|---|")
    before = {}
    for r in rows:
        s, growth = r["seconds"], ""
        if r["data"] in before:
            n, seconds = before[r["data"]]
            growth = f"n^{math.log(s['MLE'] / seconds) / math.log(r['n'] / n):.1f}"
        before[r["data"]] = r["n"], s["MLE"]
        ratio = {w: f"{statistics.median(v):.1f} ({min(v):.1f} to {max(v):.1f})" for w, v in r["ratios"].items()}
        print(
            f"| {r['data']} | {r['n']:,} | {s['skdim MLE']:.3f} | {s['MLE']:.3f} | {ratio['MLE']} "
            f"| {s['skdim TwoNN']:.3f} | {s['TwoNN']:.3f} | {ratio['TwoNN']} | {growth} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="below 50,000 points; there a fifth of them")
    parser.add_argument("--only", nargs="+", type=int, choices=SIZES, default=SIZES)
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1), warnings.catch_warnings():
        # The peer's own, about its parameters.
        warnings.simplefilter("ignore")
        rows = [
            measure(name, n, max(1, arguments.rounds // 5) if n == max(SIZES) else arguments.rounds)
            for name in arguments.data
            for n in arguments.only
        ]
    tell(rows, show, as_json=arguments.json)


if __name__ == "__main__":
    main()
