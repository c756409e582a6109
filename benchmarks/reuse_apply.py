"""How fast an adapter goes over a file: rows per second of `farfield.reuse.Adapter.apply`, beside a copy of the file.

    python benchmarks/reuse_apply.py [--rows 1000000] [--columns 256] [--dims 64] [--rounds 5] [--folder DIR] [--json]

The ways, on a .npy of float32 that lies in the page cache, memory-mapped:

- **copy**: its bytes, read in pieces and written to a new file: what a disk and memory allow.
- **product**: the matrix product alone, over pieces in memory that were read before: what the processor allows.
- **apply**: the adapter, which reads, brings rows to length 1, multiplies, brings the results to length 1 and writes
  them.

One thread. The ways take turns within a round; seconds are medians over rounds, ratios medians of the ratios within a
round. Beside them stands by how much the memory of the process itself (not pages of mapped files, which the system takes
back) grows during apply: it does not depend on the number of rows.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from _shared import tell

from farfield.reuse import Adapter
from farfield.reuse.adapter import PIECE


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=256)
    parser.add_argument("--dims", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        for rows in (asked.rows // 10, asked.rows):
            found.append(measure(Path(folder), rows, asked.columns, asked.dims, asked.rounds))
    tell(found, show, as_json=asked.json)


def measure(folder, rows, columns, dims, rounds):
    """Return the row of one number of rows."""
    file = folder / "rows.npy"
    made = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(rows, columns))
    block = np.random.default_rng(0).normal(size=(min(rows, 50_000), columns)).astype(np.float32)
    for start in range(0, rows, len(block)):
        made[start : start + len(block)] = block[: rows - start]
    made.flush()
    del made
    source = torch.from_numpy(np.load(file, mmap_mode="c"))
    weight = torch.from_numpy(np.random.default_rng(1).normal(size=(dims, columns)).astype(np.float32))
    adapter = Adapter(weight, torch.zeros(dims), (dims,), unit_inputs=True, unit_outputs=True)
    step = max(1, PIECE // columns)
    piece = source[:step].clone()
    memory = []

    def copy():
        with file.open("rb") as read, (folder / "copy.npy").open("wb") as write:
            while data := read.read(4 * step * columns):
                write.write(data)

    def product():
        for start in range(0, rows, step):
            piece[: rows - start] @ weight.T

    def apply():
        adapter.apply(source, folder / "out.npy", watch=lambda done: memory.append(own_memory()))

    apply()
    before = own_memory()
    memory.clear()
    ways = {"copy": copy, "product": product, "apply": apply}
    seconds = {name: [] for name in ways}
    for turn in range(rounds):
        for name in list(ways)[turn % 3 :] + list(ways)[: turn % 3]:
            start = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - start)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    over = {
        name: statistics.median(a / b for a, b in zip(seconds["apply"], seconds[name])) for name in ("copy", "product")
    }
    return {
        "rows": rows,
        "columns": columns,
        "dims": dims,
        "rows_per_second": rows / middle["apply"],
        "gigabytes_per_second": 4e-9 * rows * columns / middle["apply"],
        **{f"{name}_seconds": value for name, value in middle.items()},
        "apply_over_copy": over["copy"],
        "apply_over_product": over["product"],
        "growth_mib": (max(memory) - before) / 1024,
    }


def own_memory():
    """Return the resident kB of this process that belong to no file (Linux)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def show(rows, machine):
    print(f"{machine['processor']}, torch {machine['packages']['torch']}, one thread")
    for r in rows:
        print(
            f"{r['rows']:>10,} x {r['columns']} to {r['dims']}: {r['rows_per_second']:,.0f} rows/s ({r['gigabytes_per_second']:.2f} GB/s "
            f"read), {r['apply_over_copy']:.2f} x copy, {r['apply_over_product']:.2f} x product alone, memory +{r['growth_mib']:.1f} MiB"
        )


if __name__ == "__main__":
    main()
