"""What neural collapse costs: class statistics beside the mere reading of the data, and the measures of many classes.

    python benchmarks/measure_collapse.py [--rounds 5] [--json]

**Streaming.** Features of 768 dimensions and Zipf-distributed labels lie on disk as float32 shards of 16,384 rows. The ways, each over
all shards:

- **read**: ``np.load`` of each shard, nothing else.
- **read + sum**: and one ``torch.sum`` over it.
- **read + statistics**: and `farfield.measure.ClassStatistics.update`: counts, class sums and squared norms in float64.
- **read + index_add_**: and the same three sums as a script has them, the whole shard converted to float64 at once.
- **ahead + statistics**: as the third, while a second thread reads the next shard.
- **mapped sum**, **mapped statistics**: the same from shards that are mapped into memory, so that nothing is copied first.

The way of the official code, a product with a one-hot matrix (batch, classes), is timed on 1,024 rows only, as it takes so long.

**Measures.** From random means of K classes: CDNV (mean), uniformity, distance to a simplex, everything of `collapse_summary`, and NC4 of 1,024
features, each beside what it is written as most simply: the full (K, K) distances by ``torch.cdist``, the full (K, K) Gram matrix, or
the two products that NC4 needs. A full matrix above 8,000 classes is left out, as it takes gigabytes.

One process, one thread (and the reading one), the ways in turn within a round, in a changing order; ratios are taken within each round, figures are medians.
Files come from the operating system's cache, the fastest reading there is. Results are compared before anything is timed.
"""

import argparse
import json
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from farfield import measure
from farfield.provenance import describe

DIM, ROWS = 768, 16_384
STREAMS = [  # classes, shards
    (100, 8),
    (10_000, 2),
    (10_000, 4),
    (10_000, 8),
]
CLASSES = (1000, 3000, 10_000)


def write_shards(folder, shards):
    rng = np.random.default_rng(0)
    for i in range(shards):
        np.save(folder / f"{i}.npy", rng.standard_normal((ROWS, DIM), dtype=np.float32))


def labels(classes, shards):
    generator = torch.Generator().manual_seed(0)
    zipf = 1 / torch.arange(1, classes + 1, dtype=torch.float64)
    return torch.multinomial(zipf, shards * ROWS, replacement=True, generator=generator).split(ROWS)


class Simple:
    """The three sums as a script has them."""

    def __init__(self, classes):
        self.counts = torch.zeros(classes, dtype=torch.float64)
        self.sums = torch.zeros(classes, DIM, dtype=torch.float64)
        self.squares = torch.zeros(classes, dtype=torch.float64)

    def update(self, x, y):
        x = x.double()
        self.counts.index_add_(0, y, torch.ones(len(y), dtype=torch.float64))
        self.sums.index_add_(0, y, x)
        self.squares.index_add_(0, y, x.square().sum(1))


def one_hot(x, y, sums, squares):
    marks = torch.nn.functional.one_hot(y, len(sums)).double()
    sums += marks.T @ x.double()
    squares += marks.T @ x.double().square().sum(1)


def streaming(folder, classes, shards, rounds):
    y = labels(classes, shards)

    def over(act, *, mapped=False):
        for i in range(shards):
            x = np.load(folder / f"{i}.npy", mmap_mode="c" if mapped else None)
            act(torch.from_numpy(np.asarray(x)), y[i])

    def gathered(mapped=False):
        found = measure.ClassStatistics(classes, DIM)
        over(found.update, mapped=mapped)
        return found

    def ahead():
        found = measure.ClassStatistics(classes, DIM)
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(np.load, folder / "0.npy")
            for i in range(shards):
                x = coming.result()
                if i + 1 < shards:
                    coming = reader.submit(np.load, folder / f"{i + 1}.npy")
                found.update(torch.from_numpy(x), y[i])

    def simple():
        found = Simple(classes)
        over(found.update)
        return found

    ours, theirs = gathered().finish(), simple()
    n = theirs.counts[ours.index]
    means = theirs.sums[ours.index] / n[:, None]
    assert torch.allclose(ours.means, means, atol=1e-10)
    assert torch.allclose(ours.var, theirs.squares[ours.index] / n - means.square().sum(1), atol=1e-8)
    ways = {
        "read": lambda: over(lambda x, y: None),
        "read + sum": lambda: over(lambda x, y: x.sum()),
        "read + statistics": gathered,
        "ahead + statistics": ahead,
        "read + index_add_": simple,
        "mapped sum": lambda: over(lambda x, y: x.sum(), mapped=True),
        "mapped statistics": lambda: gathered(mapped=True),
    }
    seconds = timed(ways, rounds)
    x = torch.from_numpy(np.load(folder / "0.npy")[:1024])
    sums, squares = torch.zeros(classes, DIM, dtype=torch.float64), torch.zeros(classes, dtype=torch.float64)
    slow = timed({"one-hot": lambda: one_hot(x, y[0][:1024], sums, squares)}, 3)["one-hot"]
    n = shards * ROWS
    return {
        "classes": classes,
        "rows": n,
        "gigabytes": 4 * n * DIM / 1e9,
        "seconds": {way: statistics.median(s) for way, s in seconds.items()},
        "statistics_over_read": ratios(seconds, "read + statistics", "read"),
        "ahead_over_read": ratios(seconds, "ahead + statistics", "read"),
        "statistics_over_sum": ratios(seconds, "read + statistics", "read + sum"),
        "simple_over_statistics": ratios(seconds, "read + index_add_", "read + statistics"),
        "one_hot_microseconds_per_row": 1e6 * statistics.median(slow) / 1024,
    }


def measures(classes, rounds):
    generator = torch.Generator().manual_seed(0)
    means, weight = (torch.randn(classes, DIM, generator=generator, dtype=torch.float64) for _ in range(2))
    var, middle = torch.rand(classes, generator=generator, dtype=torch.float64) + 1, means.mean(0)
    features = torch.randn(1024, DIM, generator=generator, dtype=torch.float64)
    moments = measure.ClassMoments(means, torch.ones(classes), var, middle, torch.arange(classes))
    centred = means - middle
    upper = torch.triu_indices(min(classes, 8000), min(classes, 8000), 1)

    def plain_cdnv():
        squared = torch.cdist(means, means).square_()
        return float((((var[:, None] + var) / 2) / squared)[upper[0], upper[1]].mean())

    def plain_uniformity():
        u = centred / centred.norm(dim=1, keepdim=True)
        return float(-torch.cdist(u, u).log_()[upper[0], upper[1]].mean())

    def plain_etf():
        gram = centred @ centred.T
        ideal = (torch.eye(classes, dtype=torch.float64) - 1 / classes) / (classes - 1) ** 0.5
        return float(torch.linalg.matrix_norm(gram / torch.linalg.matrix_norm(gram) - ideal))

    pairs = {
        "cdnv": (lambda: measure.cdnv(var, means), plain_cdnv),
        "uniformity": (lambda: measure.uniformity(means, middle).mean, plain_uniformity),
        "etf_error": (lambda: measure.etf_error(means, middle), plain_etf),
    }
    ways = {}
    for name, (ours, plain) in pairs.items():
        ways[name] = ours
        if classes <= 8000:
            ways[f"plain {name}"] = plain
            assert abs(ours() - plain()) <= 1e-8 * abs(plain()), name
    ways["summary"] = lambda: measure.collapse_summary(moments, weight)
    ways["ncc_agreement"] = lambda: measure.ncc_agreement(features, weight, means)
    ways["two products"] = lambda: (features @ weight.T, features @ means.T)
    seconds = timed(ways, rounds)
    return {"classes": classes, "seconds": {way: statistics.median(s) for way, s in seconds.items()}}


def timed(ways, rounds):
    seconds = {way: [] for way in ways}
    for round_ in range(-1, rounds):
        names = list(ways)
        # A new order each round, so that no way always runs after the same other one; the first round warms up.
        for way in names[round_ % len(names) :] + names[: round_ % len(names)]:
            start = time.perf_counter()
            ways[way]()
            if round_ >= 0:
                seconds[way].append(time.perf_counter() - start)
    return seconds


def ratios(seconds, a, b):
    return [x / y for x, y in zip(seconds[a], seconds[b])]


def show(streams, found, machine):
    print(f"{machine['processor']}, {machine['cores']} cores, one thread, torch {machine['packages']['torch']}.\n")
    print("Streaming, seconds (medians); ratios: median (min to max) over rounds.\n")
    ways = list(streams[0]["seconds"])
    print(
        f"| classes | rows | GB | {' | '.join(ways)} | statistics / read | ahead / read | statistics / sum | index_add_ / ours | one-hot, us a row |"
    )
    print("|---" * (len(ways) + 8) + "|")
    for r in streams:
        values = " | ".join(f"{r['seconds'][w]:.2f}" for w in ways)
        compared = [
            r[k] for k in ("statistics_over_read", "ahead_over_read", "statistics_over_sum", "simple_over_statistics")
        ]
        shown = " | ".join(f"{statistics.median(v):.2f} ({min(v):.2f} to {max(v):.2f})" for v in compared)
        print(
            f"| {r['classes']:,} | {r['rows']:,} | {r['gigabytes']:.2f} | {values} | {shown} | {r['one_hot_microseconds_per_row']:.0f} |"
        )
    print("\nMeasures of K classes in 768 dimensions, seconds (medians).\n")
    ways = list(found[0]["seconds"])
    print(f"| classes | {' | '.join(ways)} |")
    print("|---" * (len(ways) + 1) + "|")
    for r in found:
        values = (f"{r['seconds'][w]:.3f}" if w in r["seconds"] else "-" for w in ways)
        print(f"| {r['classes']:,} | {' | '.join(values)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_shards(Path(folder), max(shards for _, shards in STREAMS))
        streams = [streaming(Path(folder), classes, shards, arguments.rounds) for classes, shards in STREAMS]
    found = [measures(classes, max(1, arguments.rounds // 2)) for classes in CLASSES]
    machine = describe()["machine"]
    if arguments.json:
        print(json.dumps({"machine": machine, "streaming": streams, "measures": found}, indent=1))
    else:
        show(streams, found, machine)


if __name__ == "__main__":
    main()
