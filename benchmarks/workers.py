"""One process with all threads against one process per core with one thread each: which runs the same trials faster?

    python benchmarks/workers.py [--rounds 3]

Runs the same comparison both ways in turn, each into a new folder, start of the worker processes and all writing included.
"""

import argparse
import os
import statistics
import tempfile
import time

from farfield.compare import compare
from farfield.provenance import describe

CASES = [
    # data, model, steps, seeds
    ("digits/rotation", "mlp", 300, 6),
    ("digits/rotation", "cnn", 300, 6),
    ("digits/rotation", "resnet", 100, 3),
    ("amazon/books", "mlp", 150, 3),
]


def seconds(data, model, steps, seeds, workers):
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        compare(data, methods=["erm", "sam"], model=model, seeds=seeds, steps=steps, workers=workers, out=out)
        return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    cores = os.cpu_count()
    machine = describe()["machine"]
    print(
        f"{machine['processor']}, {cores} cores, torch {machine['packages']['torch']}. Seconds, medians of {rounds}.\n"
    )
    print(f"| data | model | trials x steps | 1 process, {cores} threads | {cores} processes, 1 thread each | ratio |")
    print("|---|---|---|---|---|---|")
    for data, model, steps, seeds in CASES:
        one, many = [], []
        for _ in range(rounds):
            one.append(seconds(data, model, steps, seeds, workers=1))
            many.append(seconds(data, model, steps, seeds, workers=cores))
        ratios = [a / b for a, b in zip(one, many)]
        print(
            f"| {data} | {model} | {2 * seeds} x {steps} | {statistics.median(one):.1f} | {statistics.median(many):.1f} | "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )


if __name__ == "__main__":
    main()
