"""What Matryoshka representations cost: the loss against that of one size, search in stages against flat and HNSW.

    pip install 'farfield[search]'
    python benchmarks/reuse_matryoshka.py loss [--rounds 7] [--case 256 10000 2048 ...] [--json]
    python benchmarks/reuse_matryoshka.py search [--rounds 3] [--n 100000 ...] [--no-hnsw] [--json]

**loss**: forward and backward of the head and the loss, for a batch, C classes and d features, 8 sizes d/128 ... d.

- **one size**: a linear layer and cross-entropy, what is trained without nesting.
- **nested**: `farfield.nn.MatryoshkaLinear(efficient=True)` and `farfield.losses.MatryoshkaCrossEntropy`: every weight
  is multiplied once, the logits of a size are those of the size before plus its own columns' part.
- **a product each**: the same numbers from 8 products with the first columns of the same weight, as the released code
  has it.
- **a layer each**: a weight for each size (MRL); its products alone are twice the one size's.
- **floor**: one size, and 7 more cross-entropies of logits at hand, forward and backward: no way to have 8 losses costs
  less.

**search**: recall of the 10 nearest by all 768 dimensions, multiply-adds and time of a query, exact search at 100 %.
Vectors: principal components of MNIST's images, and between and around pairs of images of one digit as many more as are
asked for: 768 dimensions in the order of their variance, of length 1 at every cut. Queries (500) are made in the same
way from other images.

- **flat**: faiss, exact, 768 dimensions.
- **funnel**: `farfield.reuse.FunnelIndex` from 48 dimensions over 192 (800 rows) to 768 (100), and **adaptive**: from
  48 to 768 at once (400).
- **HNSW**: faiss, 32 links, the smallest search width of 16, 32, ... 512 whose recall is at least the funnel's less
  half a point; its multiply-adds are 768 for each vector it looked at. Building its graph takes most of the time here.
One process, one thread. All ways take turns within a round, in a changing order; ratios are taken within each round,
and figures are medians over rounds. Losses and gradients of the ways that compute the same are compared first. Needs
MNIST's test images in ``$FARFIELD_DATA`` for search.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from _shared import tell
from torch.nn.functional import cross_entropy, linear

from farfield.losses import MatryoshkaCrossEntropy
from farfield.nn import MatryoshkaLinear

CASES = [(256, 1_000, 2048), (256, 10_000, 512), (256, 10_000, 2048)]
SIZES = 8
WIDTH = 768
QUERIES = 500


def interleave(ways, rounds):
    """Return name -> seconds of each round."""
    seconds, names = {name: [] for name in ways}, list(ways)
    for round_ in range(rounds):
        # A new order each round, so that no way always runs after the same other one.
        for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
            start = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def over(seconds, name, base):
    return statistics.median(a / b for a, b in zip(seconds[name], seconds[base]))


def measure_loss(batch, classes, d, rounds):
    nesting = [d >> (SIZES - 1 - i) for i in range(SIZES)]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, d, generator=generator, requires_grad=True)
    y = torch.randint(classes, (batch,), generator=generator)
    head, layers = (MatryoshkaLinear(nesting, classes, efficient=e) for e in (True, False))
    objective = MatryoshkaCrossEntropy()
    weight, bias = head.heads[0].weight, head.heads[0].bias
    extra = [torch.randn(batch, classes, generator=generator, requires_grad=True) for _ in nesting[1:]]

    def run(loss):
        for tensor in (x, weight, bias, *layers.parameters(), *extra):
            tensor.grad = None
        loss.backward()
        return loss.detach()

    def one_size():
        return run(cross_entropy(linear(x, weight, bias), y))

    def floor():
        return one_size() + run(sum(cross_entropy(logits, y) for logits in extra))

    ways = {
        "one size": one_size,
        "nested": lambda: run(objective(head(x), y)),
        "a product each": lambda: run(objective([linear(x[:, :m], weight[:, :m], bias) for m in nesting], y)),
        "a layer each": lambda: run(objective(layers(x), y)),
        "floor": floor,
    }
    found = {}
    for name in ("nested", "a product each"):
        loss = ways[name]()
        found[name] = [loss, x.grad.clone(), weight.grad.clone(), bias.grad.clone()]
    for ours, theirs in zip(*found.values()):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    seconds = interleave(ways, rounds)
    return {
        "batch": batch,
        "classes": classes,
        "d": d,
        "milliseconds": {name: 1e3 * statistics.median(s) for name, s in seconds.items()},
        "over_one_size": {name: over(seconds, name, "one size") for name in ways if name != "one size"},
    }


def vectors(n, queries):
    """Return n vectors and some queries (float32, 768), in the order of their principal components."""
    from farfield.tasks.sources import load_source

    source = load_source("mnist")
    images = source.images.reshape(len(source.labels), -1).double() / 255
    rng = np.random.default_rng(0)
    home = rng.random(len(images)) < 0.9
    _, _, axes = torch.linalg.svd(images[torch.from_numpy(home)] - images.mean(0), full_matrices=False)
    components = ((images - images.mean(0)) @ axes[:WIDTH].T).float().numpy()

    def make(rows, count, real):
        by_digit = [rows[source.labels[rows] == digit] for digit in range(10)]
        digit, out = rng.integers(10, size=count), np.empty((count, WIDTH), np.float32)
        for d in range(10):
            at = np.flatnonzero(digit == d)
            for part in np.array_split(at, max(1, len(at) // 10_000)):
                a, b = components[rng.choice(by_digit[d], size=(2, len(part)))]
                share = rng.random((len(part), 1), dtype=np.float32)
                noise = rng.normal(size=a.shape).astype(np.float32) * 0.3 * components.std(0)
                out[part] = share * a + (1 - share) * b + noise
        kept = min(real, len(rows), count)
        out[:kept] = components[rows[:kept]]
        return out

    rows = np.flatnonzero(home)
    return make(rows, n, real=len(rows)), make(np.flatnonzero(~home), queries, real=queries // 2)


def measure_search(n, rounds, hnsw):
    import faiss

    from farfield.reuse import FunnelIndex, truncate

    faiss.omp_set_num_threads(1)
    db, queries = vectors(n, QUERIES)
    whole = FunnelIndex(db, WIDTH)
    exact, _ = whole.search(queries, 10)
    made = {
        "flat": whole,
        "adaptive": FunnelIndex(db, 48, [WIDTH], [400]),
        "funnel": FunnelIndex(db, 48, [192, WIDTH], [800, 100]),
    }
    ways = {name: lambda index=index: index.search(queries, 10)[0] for name, index in made.items()}
    macs = {name: index.macs for name, index in made.items()}
    recall = {name: share(way(), exact) for name, way in ways.items()}
    row = {"n": n, "hnsw_build_seconds": None, "hnsw_width": None}
    if hnsw:
        units, asked = truncate(db, WIDTH), truncate(queries, WIDTH)
        graph = faiss.IndexHNSWFlat(WIDTH, 32)
        start = time.perf_counter()
        graph.add(units)
        row["hnsw_build_seconds"] = time.perf_counter() - start
        for width in (16, 32, 64, 128, 256, 512):
            graph.hnsw.efSearch = width
            faiss.cvar.hnsw_stats.reset()
            recall["HNSW"] = share(graph.search(asked, 10)[1], exact)
            if recall["HNSW"] >= recall["funnel"] - 0.005:
                break
        row["hnsw_width"] = width
        macs["HNSW"] = WIDTH * faiss.cvar.hnsw_stats.ndis / QUERIES
        ways["HNSW"] = lambda: graph.search(asked, 10)
    seconds = interleave(ways, rounds)
    return {
        **row,
        "recall": recall,
        "multiply_adds": macs,
        "milliseconds": {name: 1e3 * statistics.median(s) / QUERIES for name, s in seconds.items()},
        "flat_over": {name: over(seconds, "flat", name) for name in ways if name != "flat"},
        "fewer_multiply_adds": {name: macs["flat"] / m for name, m in macs.items()},
    }


def share(found, exact):
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, exact)]))


def show_loss(rows, machine):
    print(f"{machine['processor']}, {machine['cores']} cores, one thread, torch {machine['packages']['torch']}.")
    print("Milliseconds (medians), and in brackets how many times the one size's.\n")
    names = list(rows[0]["milliseconds"])
    print(f"| batch | classes | d | {' | '.join(names)} |")
    print("|---" * (len(names) + 3) + "|")
    for r in rows:
        cells = [
            f"{r['milliseconds'][name]:.0f}" + (f" ({r['over_one_size'][name]:.2f})" if name != "one size" else "")
            for name in names
        ]
        print(f"| {r['batch']} | {r['classes']:,} | {r['d']:,} | {' | '.join(cells)} |")


def show_search(rows, machine):
    print(f"{machine['processor']}, {machine['cores']} cores, one thread, {QUERIES} queries at once.\n")
    print("| n | way | recall@10 | multiply-adds | fewer | ms a query | times as fast as flat |")
    print("|---" * 7 + "|")
    for r in rows:
        for name in r["recall"]:
            print(
                f"| {r['n']:,} | {name} | {100 * r['recall'][name]:.1f} % | {r['multiply_adds'][name]:,.0f} "
                f"| {r['fewer_multiply_adds'][name]:.1f} | {r['milliseconds'][name]:.2f} "
                f"| {r['flat_over'].get(name, 1):.1f} |"
            )
        if r["hnsw_width"]:
            print(f"\nHNSW at {r['n']:,}: built in {r['hnsw_build_seconds']:.0f} s, search width {r['hnsw_width']}.\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("loss", "search"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--case",
        nargs=3,
        type=int,
        action="append",
        metavar=("B", "C", "D"),
        help="batch, classes, features; repeatable",
    )
    parser.add_argument("--n", type=int, action="append", help="vectors; repeatable; by default 100,000 and a million")
    parser.add_argument("--no-hnsw", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.what == "loss":
        rows = [measure_loss(*case, arguments.rounds) for case in arguments.case or CASES]
        tell(rows, show_loss, as_json=arguments.json)
    else:
        rows = [measure_search(n, arguments.rounds, not arguments.no_hnsw) for n in arguments.n or (100_000, 1_000_000)]
        tell(rows, show_search, as_json=arguments.json)


if __name__ == "__main__":
    main()
