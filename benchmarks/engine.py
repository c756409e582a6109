"""What the engine costs: the overhead per trial, everything recorded, and the time to read many trials back.

    python benchmarks/engine.py [--rounds 3] [--store URL]

1,000 trials of 10 ms each with one worker and with two (the start of their processes is left out); then 10,000 trials read
back and summarised, each with its result of about thirty numbers.
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict

import numpy as np

from farfield.provenance import describe
from farfield.study import Store, Trial, run

TRIALS, SECONDS, MANY = 1_000, 0.010, 10_000


def work(point, seed):
    """Wait as a short trial would compute, and return about as much as one."""
    end = time.perf_counter() + SECONDS
    time.sleep(SECONDS)
    while time.perf_counter() < end:
        pass
    return result(point, seed)


def result(point, seed):
    """Return what a comparison's trial returns, shortened: accuracies, settings and a curve."""
    rng = np.random.default_rng(seed)
    accuracy = {f"domain {i}": float(value) for i, value in enumerate(rng.uniform(size=6))}
    return {"accuracy": accuracy, "chosen": {"learning_rate": 1e-3}, "curve": rng.uniform(size=24).tolist()}


def new_store(url):
    return Store(url) if url else Store(f"sqlite:///{tempfile.mkdtemp()}/trials.db")


def run_once(url, workers, round_):
    """Return the overhead per trial in milliseconds: beyond the time that the calls themselves need."""
    store = new_store(url)
    trials = [Trial(f"engine {round_} {workers}", {"method": f"m{seed % 10}"}, seed) for seed in range(TRIALS)]
    where = describe()
    if workers > 1:
        # The workers' start is measured apart.
        start = time.perf_counter()
        list(run(work, [Trial(f"start {round_}", {}, s) for s in range(workers)], store, workers=workers))
        begin = time.perf_counter() - start
    else:
        begin = 0.0
    start = time.perf_counter()
    done = sum(outcome.result is not None for outcome in run(work, trials, store, workers=workers, provenance=where))
    seconds = time.perf_counter() - start - begin
    assert done == TRIALS
    store.close()
    return 1_000 * (seconds - TRIALS * SECONDS / workers) / TRIALS


def read_back(url, round_):
    """Return the seconds to read 10,000 trials and to take the mean of each number by method."""
    store = new_store(url)
    study = f"many {round_}"
    trials = [Trial(study, {"method": f"m{seed % 10}", "task": f"t{seed % 7}"}, seed) for seed in range(MANY)]
    for _ in run(result, trials, store, provenance=describe()):
        pass
    start = time.perf_counter()
    values = defaultdict(list)
    for record in store.records(study=study, state="done"):
        for test, accuracy in record.result["accuracy"].items():
            values[record.point["method"], test].append(accuracy)
    summary = {key: (float(np.mean(v)), float(np.std(v))) for key, v in values.items()}
    seconds = time.perf_counter() - start
    assert len(summary) == 60 and sum(map(len, values.values())) == 6 * MANY
    start = time.perf_counter()
    kept = sum(outcome.kept for outcome in run(result, trials, store))
    again = time.perf_counter() - start
    assert kept == MANY
    store.close()
    return seconds, again


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", help="URL of an empty store; by default a new SQLite file each time")
    options = parser.parse_args()
    machine = describe()["machine"]
    rounds = range(options.rounds)
    print(f"{machine['processor']}, {machine['cores']} cores. Medians of {options.rounds} (lowest to highest).\n")
    print("| what | limit | measured |")
    print("|---|---|---|")
    for workers, limit in ((1, "20 ms"), (2, "")):
        ms = [run_once(options.store, workers, i) for i in rounds]
        print(
            f"| overhead per trial, {TRIALS:,} trials of 10 ms, {workers} worker{'s' * (workers > 1)} | {limit} | "
            f"{statistics.median(ms):.2f} ms ({min(ms):.2f} to {max(ms):.2f}) |"
        )
    pairs = [read_back(options.store, i) for i in rounds]
    for what, limit, seconds in zip(
        (f"read back and summarise {MANY:,} trials", f"run again {MANY:,} trials that are done"),
        ("2 s", ""),
        zip(*pairs),
    ):
        print(f"| {what} | {limit} | {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}) |")


if __name__ == "__main__":
    main()
